//! Recall on real embeddings: see tests/fixtures/corpus/make.py for what they are.
#![allow(clippy::cast_possible_truncation, reason = "row numbers of a small test set")]

use koru_delta_core::vector::shortlist::Scratch;
use koru_delta_core::vector::{
    Codes, Filter, Hnsw, Metric, Mode, Path, Query, Request, Rows, search,
};

const DIM: usize = 384;
const ROWS: usize = 2_000;
static CODES: &[u8] = include_bytes!("../../tests/fixtures/corpus/minilm-384.i8");
static SCALES: &[u8] = include_bytes!("../../tests/fixtures/corpus/minilm-384.scale.f32");

fn vectors() -> Vec<Vec<f32>> {
    let scales = SCALES.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let codes = CODES.chunks_exact(DIM);
    codes
        .zip(scales)
        .map(|(codes, scale)| codes.iter().map(|&c| f32::from(c.cast_signed()) * scale).collect())
        .collect()
}

#[test]
fn recall_at_10_on_real_embeddings() {
    let all = vectors();
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let mut rows = Rows::new(metric, DIM);
        let segments = rows.reserve(ROWS as u32).unwrap();
        let mut next = all.iter();
        for segment in &segments {
            for place in rows.segment_mut(*segment).chunks_exact_mut(DIM) {
                place.copy_from_slice(next.next().unwrap());
            }
        }
        rows.commit(&segments, Codes::Now).unwrap();
        let (mut kept, mut total, mut kept_by_graph) = (0, 0, 0);
        let mut graph = Hnsw::default();
        while !graph.extend(&rows, 100_000).unwrap() {}
        let mut scratch = Scratch::default();
        for vector in &all[ROWS..] {
            let query = Query::new(&rows, vector).unwrap();
            let mut run = |mode, graph| {
                let tie = |a: u32, b: u32| a.cmp(&b);
                let filter = Filter::Current;
                let request =
                    Request { k: 10, threshold: None, filter, mode, tie: &tie, weigh: None, graph };
                search(&rows, &query, &request, &mut scratch)
            };
            let exact = run(Mode::Exact, None);
            let quick = run(Mode::Auto, None);
            let by_graph = run(Mode::Hnsw, Some(&graph));
            assert_eq!((exact.path, quick.path), (Path::Exact, Path::Quantized));
            assert_eq!(by_graph.path, Path::Hnsw);
            assert_eq!(by_graph.hits.len(), exact.hits.len());
            kept_by_graph += by_graph.hits.iter().filter(|hit| exact.hits.contains(hit)).count();
            let naive: Vec<f64> = (0..ROWS)
                .map(|row| {
                    let pairs = vector.iter().zip(rows.vector(row as u32));
                    pairs.map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
                })
                .collect();
            let nearest = naive.iter().copied().fold(f64::MIN, f64::max);
            assert!((naive[exact.hits[0].row as usize] - nearest).abs() < 0.01);
            total += exact.hits.len();
            kept += quick.hits.iter().filter(|hit| exact.hits.contains(hit)).count();
        }
        assert!(kept * 100 >= total * 98, "{metric:?}: {kept} of {total}");
        assert!(kept_by_graph * 100 >= total * 98, "{metric:?}: {kept_by_graph} of {total}");
    }
}
