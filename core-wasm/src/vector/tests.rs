//! The searches against a naive oracle, and the rows against a simple model.

#![allow(clippy::cast_possible_truncation, reason = "row numbers of small test sets")]

use core::cmp::Ordering;

use super::shortlist::Scratch;
use super::*;

/// A small deterministic generator (SplitMix64), for test data only.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// Points about 40 centres, so that there are near neighbours as embeddings have them.
    fn clustered(&mut self, dim: usize) -> Vec<f32> {
        let mut centre = Random(self.next() % 40);
        (0..dim).map(|_| centre.unit() + 0.6 * self.unit()).collect()
    }
}

fn by_row(a: u32, b: u32) -> Ordering {
    a.cmp(&b)
}

fn filled(metric: Metric, dim: usize, count: usize, codes: Codes) -> (Rows, Random) {
    let mut random = Random(dim as u64);
    let mut rows = Rows::new(metric, dim);
    let segments = rows.reserve(count as u32).unwrap();
    for segment in &segments {
        let place = rows.segment_mut(*segment);
        for vector in place.chunks_exact_mut(dim) {
            vector.copy_from_slice(&random.clustered(dim));
        }
    }
    rows.commit(&segments, codes).unwrap();
    (rows, random)
}

fn oracle(rows: &Rows, query: &Query, keep: impl Fn(u32) -> bool, k: usize) -> Vec<Hit> {
    let mut all: Vec<Hit> = (0..rows.end())
        .filter(|&row| rows.is_live(row) && keep(row))
        .map(|row| Hit { row, score: query.score(rows, row) + 0.0 })
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
    all.truncate(k);
    all
}

fn request(k: usize, filter: Filter<'_>, mode: Mode) -> Request<'_> {
    Request { k, threshold: None, filter, mode, tie: &by_row, weigh: None, graph: None }
}

#[test]
fn exact_search_equals_the_oracle() {
    let mut scratch = Scratch::default();
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        for (dim, count) in [(1, 70), (3, 300), (33, 1_500), (384, 3_000)] {
            for codes in [Codes::Now, Codes::Later] {
                let (mut rows, mut random) = filled(metric, dim, count, codes);
                rows.derive_codes(count / 3);
                for row in (0..count as u32).step_by(7) {
                    rows.erase(row);
                    rows.retire(row + 1);
                }
                for k in [1, 10, 100, 10_000] {
                    let query = Query::new(&rows, &random.clustered(dim)).unwrap();
                    let found = search(
                        &rows,
                        &query,
                        &request(k, Filter::Current, Mode::Exact),
                        &mut scratch,
                    );
                    let expected = oracle(&rows, &query, |row| row % 7 > 1, k);
                    assert_eq!(found.hits, expected, "{metric:?} {dim} {count} {k}");
                }
            }
        }
    }
}

#[test]
fn filters_lose_nothing_and_add_nothing() {
    let mut scratch = Scratch::default();
    let (rows, mut random) = filled(Metric::Cosine, 64, 5_000, Codes::Now);
    for every in [2, 30, 1_000] {
        let query = Query::new(&rows, &random.clustered(64)).unwrap();
        let list: Vec<u32> = (0..5_000).step_by(every).collect();
        let mut bits = vec![0; 79];
        list.iter().for_each(|&row| bitmap::set(&mut bits, row, true));
        let expected = oracle(&rows, &query, |row| (row as usize).is_multiple_of(every), 10);
        for filter in [Filter::Bitmap(&bits), Filter::List(&list)] {
            let exact = search(&rows, &query, &request(10, filter, Mode::Exact), &mut scratch);
            assert_eq!(exact.hits, expected);
            let auto = search(&rows, &query, &request(10, filter, Mode::Auto), &mut scratch);
            assert!(auto.hits.iter().all(|hit| list.contains(&hit.row)));
            assert_eq!(auto.hits.len(), expected.len());
            if every > 24 {
                assert_eq!((auto.path, auto.hits), (Path::Exact, expected.clone()));
            }
        }
    }
}

#[test]
fn a_list_loses_no_row_that_has_no_codes_yet() {
    let mut scratch = Scratch::default();
    for coded in [0, 700, 3_000] {
        let (mut rows, mut random) = filled(Metric::Cosine, 64, 3_000, Codes::Later);
        rows.derive_codes(coded);
        rows.erase(14);
        let list: Vec<u32> = (0..3_000).step_by(7).collect();
        for k in [1, 10, 1_000] {
            let query = Query::new(&rows, &random.clustered(64)).unwrap();
            let expected = oracle(&rows, &query, |row| row % 7 == 0 && row != 14, k);
            let request = request(k, Filter::List(&list), Mode::Auto);
            assert_eq!(search(&rows, &query, &request, &mut scratch).hits, expected, "{coded}");
        }
    }
}

#[test]
fn a_short_filter_leaves_out_what_lies_past_its_end() {
    let (rows, mut random) = filled(Metric::Cosine, 64, 5_000, Codes::Now);
    let query = Query::new(&rows, &random.clustered(64)).unwrap();
    for mode in [Mode::Exact, Mode::Quantized, Mode::Auto] {
        let filter = Filter::Bitmap(&[u64::MAX; 20]);
        let hits = search(&rows, &query, &request(10, filter, mode), &mut Scratch::default()).hits;
        assert!(hits.len() == 10 && hits.iter().all(|hit| hit.row < 1_280), "{mode:?}");
    }
}

#[test]
fn the_shortlist_keeps_its_recall() {
    let mut scratch = Scratch::default();
    for metric in [Metric::Cosine, Metric::L2] {
        let (rows, mut random) = filled(metric, 128, 8_000, Codes::Now);
        let (mut found, mut wanted) = (0, 0);
        for _ in 0..50 {
            let query = Query::new(&rows, &random.clustered(128)).unwrap();
            let expected = oracle(&rows, &query, |_| true, 10);
            let answer =
                search(&rows, &query, &request(10, Filter::Current, Mode::Quantized), &mut scratch);
            wanted += expected.len();
            found += answer.hits.iter().filter(|hit| expected.contains(hit)).count();
        }
        assert!(found * 100 >= wanted * 95, "{metric:?}: {found} of {wanted}");
    }
}

/// Halves every third row, and leaves out every fifth.
struct Halving;

impl Weigh for Halving {
    fn weigh(&self, row: u32, score: f32) -> Option<f32> {
        let halved = row.is_multiple_of(3);
        (!row.is_multiple_of(5)).then(|| if halved { score / 2.0 } else { score })
    }

    fn most(&self, row: u32) -> f32 {
        if row.is_multiple_of(3) { 0.55 } else { 1.0 }
    }
}

#[test]
fn a_weighed_search_ranks_by_weight() {
    let mut scratch = Scratch::default();
    let (rows, mut random) = filled(Metric::Cosine, 128, 9_000, Codes::Now);
    let (mut missed, mut wanted, mut over) = (0, 0, 0);
    for _ in 0..50 {
        let query = Query::new(&rows, &random.clustered(128)).unwrap();
        let mut expected = oracle(&rows, &query, |row| !row.is_multiple_of(5), 9_000);
        let cosines = expected.clone();
        expected
            .iter_mut()
            .filter(|hit| hit.row.is_multiple_of(3))
            .for_each(|hit| hit.score /= 2.0);
        expected.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        expected.truncate(20);
        for mode in [Mode::Exact, Mode::Quantized] {
            let request = Request {
                threshold: Some(0.1),
                weigh: Some(&Halving),
                ..request(20, Filter::Current, mode)
            };
            let hits = search(&rows, &query, &request, &mut scratch).hits;
            if mode == Mode::Exact {
                assert_eq!(hits, expected);
                assert_eq!(scratch.cosine_hardly_over(1), f32::INFINITY, "of no distances");
            } else {
                let at_most = |hit: &&Hit| hit.score > scratch.cosine_hardly_over(hit.row);
                over += cosines.iter().filter(at_most).count();
                assert_eq!(scratch.cosine_hardly_over(rows.end() + 99), f32::INFINITY);
                missed += expected.iter().filter(|hit| !hits.contains(hit)).count();
                wanted += expected.len();
            }
        }
    }
    assert!(missed * 50 <= wanted, "{missed} of {wanted}");
    assert!(over * 1_000 <= 50 * 7_200, "{over} of {}", 50 * 7_200);
}

#[test]
fn a_threshold_is_inclusive_and_equal_scores_go_by_the_tie() {
    let mut rows = Rows::new(Metric::Dot, 2);
    for vector in [[1.0, 0.0], [2.0, 0.0], [1.0, 5.0], [0.5, 0.0]] {
        rows.insert(&vector).unwrap();
    }
    let query = Query::new(&rows, &[1.0, 0.0]).unwrap();
    let backwards = |a: u32, b: u32| b.cmp(&a);
    for k in [2, 10] {
        let request = Request {
            k,
            threshold: Some(1.0),
            filter: Filter::Current,
            mode: Mode::Auto,
            tie: &backwards,
            weigh: None,
            graph: None,
        };
        let hits = search(&rows, &query, &request, &mut Scratch::default()).hits;
        let found: Vec<u32> = hits.iter().map(|hit| hit.row).collect();
        assert_eq!(found, [1, 2, 0][..k.min(3)]);
    }
}

#[test]
fn bad_vectors_are_named_and_nothing_of_their_batch_is_kept() {
    let mut rows = Rows::new(Metric::Cosine, 3);
    rows.insert(&[1.0, 2.0, 3.0]).unwrap();
    let bad = [
        ([0.0, f32::NAN, 0.0], BadVector::NotFinite { component: 1 }),
        ([0.0, 1.0, f32::INFINITY], BadVector::NotFinite { component: 2 }),
        ([0.0; 3], BadVector::NoDirection { norm: 0.0 }),
        ([3e18, 4e18, 0.0], BadVector::TooLong { norm: 5e18 }),
    ];
    for (vector, expected) in bad {
        assert_eq!(Query::new(&rows, &vector).err(), Some(expected));
        let segments = rows.reserve(3).unwrap();
        let first = segments[0];
        let place = rows.segment_mut(first);
        place.fill(1.0);
        place[3..6].copy_from_slice(&vector);
        assert_eq!(rows.commit(&segments, Codes::Now), Err((1, expected)));
        assert_eq!((rows.live_count(), rows.current_count()), (1, 1));
    }
    assert_eq!(rows.end(), 4, "room given back is used again");
    let wrong = BadVector::Dimension { expected: 3, found: 2 };
    assert_eq!(rows.insert(&[1.0, 2.0]), Err(wrong));
    rows.insert(&[3e-10, 4e-10, 0.0]).unwrap();
    let query = Query::new(&rows, &[3.0, 4.0, 0.0]).unwrap();
    let best = oracle(&rows, &query, |_| true, 1)[0];
    assert!((best.score - 1.0).abs() < 1e-6);
}

#[test]
fn rows_keep_their_values_and_places_while_the_set_grows() {
    let mut random = Random(5);
    let mut rows = Rows::new(Metric::L2, 100);
    let mut model: Vec<Option<Vec<f32>>> = Vec::new();
    for round in 0..4_000 {
        if round % 5 == 4 {
            let row = (random.next() % model.len() as u64) as usize;
            rows.erase(row as u32);
            model[row] = None;
        } else {
            let vector = random.clustered(100);
            let row = rows.insert(&vector).unwrap() as usize;
            model.resize(model.len().max(row + 1), None);
            assert!(model[row].replace(vector).is_none(), "a live row was given out again");
        }
    }
    for (row, vector) in (0..).zip(&model) {
        assert_eq!(rows.is_live(row), vector.is_some());
        match vector {
            Some(vector) => assert_eq!(rows.vector(row), vector.as_slice()),
            None => assert!(rows.vector(row).iter().all(|&x| x == 0.0), "erased means gone"),
        }
    }
    assert!(rows.end() < 2_600, "erased rows are given out again");
}
