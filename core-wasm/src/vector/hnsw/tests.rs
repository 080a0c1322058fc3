//! The graph against the exact search, whatever happens to its rows.

#![allow(clippy::cast_possible_truncation, reason = "row numbers of small test sets")]

use super::super::shortlist::Scratch;
use super::super::{
    Filter, Hit, Hnsw, Metric, Mode, Path, Query, Request, Rows, TopK, bitmap, search,
};
use super::links::level_of;
use super::probe::{key, row_of, similarity_of};
use super::walk::Walk;

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

const DIM: usize = 48;

fn filled(metric: Metric, count: usize) -> (Rows, Random) {
    let (mut rows, mut random) = (Rows::new(metric, DIM), Random(count as u64));
    for _ in 0..count {
        rows.insert(&random.clustered(DIM)).unwrap();
    }
    (rows, random)
}

fn built(rows: &Rows) -> Hnsw {
    let mut graph = Hnsw::default();
    assert!(graph.extend(rows, usize::MAX).unwrap());
    graph
}

fn run(rows: &Rows, query: &Query, graph: &Hnsw, k: usize, filter: Filter<'_>) -> Vec<Hit> {
    let tie = |a: u32, b: u32| a.cmp(&b);
    let graph = Some(graph);
    let request =
        Request { k, threshold: None, filter, mode: Mode::Hnsw, tie: &tie, weigh: None, graph };
    search(rows, query, &request, &mut Scratch::default()).hits
}

fn exact(rows: &Rows, query: &Query, k: usize, filter: Filter<'_>) -> Vec<Hit> {
    let tie = |a: u32, b: u32| a.cmp(&b);
    let mode = Mode::Exact;
    let request = Request { k, threshold: None, filter, mode, tie: &tie, weigh: None, graph: None };
    search(rows, query, &request, &mut Scratch::default()).hits
}

/// Asserts that hits are as many as exact ones, and returns how many in 1,000 are the same.
fn recall(rows: &Rows, graph: &Hnsw, random: &mut Random, filter: Filter<'_>) -> usize {
    let (mut same, mut all) = (0, 0);
    for _ in 0..60 {
        let query = Query::new(rows, &random.clustered(rows.dim())).unwrap();
        let (found, wanted) =
            (run(rows, &query, graph, 10, filter), exact(rows, &query, 10, filter));
        assert_eq!(found.len(), wanted.len());
        same += found.iter().filter(|hit| wanted.contains(hit)).count();
        all += wanted.len();
    }
    same * 1_000 / all.max(1)
}

fn bitmap_of(rows: &Rows, keep: impl Fn(u32) -> bool) -> Vec<u64> {
    let mut bits = Vec::new();
    bitmap::resize(&mut bits, rows.end() as usize).unwrap();
    (0..rows.end()).for_each(|row| bitmap::set(&mut bits, row, keep(row)));
    bits
}

#[test]
fn keys_order_by_similarity_and_then_by_row() {
    let ascending =
        [(f32::MIN, 0), (-1.5, 3), (-1.5, 9), (0.0, 7), (0.25, u32::MAX - 1), (1e30, 1)];
    assert!(ascending.is_sorted_by_key(|&(near, row)| key(near, row)));
    for (near, row) in ascending {
        assert_eq!((similarity_of(key(near, row)), row_of(key(near, row))), (near, row));
    }
}

#[test]
fn one_row_in_sixteen_reaches_the_next_level() {
    let reach = |level| (0..65_536).filter(|&row| level_of(row) >= level).count();
    assert_eq!(reach(0), 65_536);
    assert!((3_800..4_400).contains(&reach(1)), "{}", reach(1));
    assert!((200..320).contains(&reach(2)), "{}", reach(2));
}

#[test]
fn recall_has_a_floor_under_every_metric() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let (rows, mut random) = filled(metric, 4_000);
        let found = recall(&rows, &built(&rows), &mut random, Filter::Current);
        assert!(found >= 980, "{metric:?}: {found}");
    }
}

#[test]
fn the_path_is_reported_and_dot_with_uneven_norms_is_left_to_a_scan() {
    for (metric, expected) in [(Metric::Cosine, true), (Metric::L2, true), (Metric::Dot, false)] {
        let (rows, mut random) = filled(metric, 300);
        let query = Query::new(&rows, &random.clustered(DIM)).unwrap();
        let tie = |a: u32, b: u32| a.cmp(&b);
        let graph = built(&rows);
        for (mode, expected) in [(Mode::Hnsw, expected), (Mode::Auto, false)] {
            let (threshold, filter) = (None, Filter::Current);
            let request = Request {
                k: 3,
                threshold,
                filter,
                mode,
                tie: &tie,
                weigh: None,
                graph: Some(&graph),
            };
            let answer = search(&rows, &query, &request, &mut Scratch::default());
            assert_eq!(answer.path == Path::Hnsw, expected, "{metric:?} {mode:?}");
        }
    }
}

#[test]
fn filters_lose_no_match() {
    let (rows, mut random) = filled(Metric::Cosine, 4_000);
    let graph = built(&rows);
    for (every, floor) in [(2, 980), (10, 980), (100, 980), (1_000, 1_000)] {
        let bits = bitmap_of(&rows, |row| row.is_multiple_of(every));
        let found = recall(&rows, &graph, &mut random, Filter::Bitmap(&bits));
        assert!(found >= floor, "1 in {every}: {found}");
        let query = Query::new(&rows, &random.clustered(DIM)).unwrap();
        for k in [1, 3, 40, 4_000] {
            let hits = run(&rows, &query, &graph, k, Filter::Bitmap(&bits));
            assert_eq!(hits.len(), k.min(4_000_usize.div_ceil(every as usize)));
            assert!(hits.iter().all(|hit| hit.row.is_multiple_of(every)));
        }
    }
    // Matches far away from the query: the walk has to cross the others.
    let query = Query::new(&rows, &random.clustered(DIM)).unwrap();
    let far = exact(&rows, &query, 4_000, Filter::Current);
    let bits = bitmap_of(&rows, |row| far[3_900..].iter().any(|hit| hit.row == row));
    let hits = run(&rows, &query, &graph, 10, Filter::Bitmap(&bits));
    assert_eq!(hits.len(), 10);
    assert_eq!(hits[0], far[3_900]);
}

#[test]
fn slices_build_the_same_graph_and_a_search_covers_what_is_behind() {
    let (rows, mut random) = filled(Metric::Cosine, 3_000);
    let (whole, mut sliced, mut slices) = (built(&rows), Hnsw::default(), 0);
    assert!(!sliced.extend(&rows, 0).unwrap(), "a budget of 0 only asks");
    assert_eq!((sliced.linked_count(), sliced.behind_count(&rows)), (0, 3_000));
    while !sliced.extend(&rows, 50_000).unwrap() {
        slices += 1;
        if slices % 8 == 1 {
            assert!(sliced.behind_count(&rows) > 0);
            assert!(recall(&rows, &sliced, &mut random, Filter::Current) >= 980);
        }
    }
    assert!(slices > 20 && sliced.behind_count(&rows) == 0);
    for row in 0..rows.end() {
        for level in 0..=level_of(row) {
            let (a, b) = (&whole.graph.links, &sliced.graph.links);
            assert!(a.of(row, level).eq(b.of(row, level)), "the links of {row}");
        }
    }
    for _ in 0..20 {
        let query = Query::new(&rows, &random.clustered(DIM)).unwrap();
        let [a, b] = [&whole, &sliced].map(|g| run(&rows, &query, g, 20, Filter::Current));
        assert_eq!(a, b);
    }
}

#[test]
fn retired_rows_are_left_out_and_lead_on() {
    let (mut rows, mut random) = filled(Metric::Cosine, 3_000);
    let graph = built(&rows);
    (0..3_000).filter(|row| row % 4 != 0).for_each(|row| rows.retire(row));
    assert!(recall(&rows, &graph, &mut random, Filter::Current) >= 980);
    let as_of = rows.live().to_vec();
    assert!(recall(&rows, &graph, &mut random, Filter::Bitmap(&as_of)) >= 980);
}

#[test]
fn erased_rows_are_not_found_and_their_numbers_come_back() {
    let (mut rows, mut random) = filled(Metric::L2, 3_000);
    let mut graph = built(&rows);
    for round in 0..6 {
        for row in (0..3_000).filter(|row| row % 6 == round && row % 12 < 9) {
            graph.erase(row);
            rows.erase(row);
        }
        assert!(recall(&rows, &graph, &mut random, Filter::Current) >= 970, "tombstones {round}");
        if round % 2 == 0 {
            // Numbers are given out again while their tombstones stand.
            for _ in 0..300 {
                rows.insert(&random.clustered(DIM)).unwrap();
            }
            assert!(recall(&rows, &graph, &mut random, Filter::Current) >= 970, "reuse {round}");
        }
        while !graph.extend(&rows, 20_000).unwrap() {
            assert_eq!(recall(&rows, &graph, &mut random, Filter::List(&[])), 0);
        }
        assert!(graph.tombstone_count() <= graph.linked_count() / 256);
        assert!(recall(&rows, &graph, &mut random, Filter::Current) >= 970, "swept {round}");
    }
    assert!(graph.extend(&rows, usize::MAX).unwrap() && graph.behind_count(&rows) <= 8);
}

#[test]
fn erasing_most_rows_at_once_breaks_nothing() {
    let (mut rows, mut random) = filled(Metric::Cosine, 3_000);
    let mut graph = built(&rows);
    for row in (0..3_000).rev().filter(|row| row % 20 != 7) {
        rows.erase(row);
    }
    // Not told of them: extend finds out.
    while !graph.extend(&rows, 1_000).unwrap() {}
    assert_eq!((graph.linked_count(), graph.tombstone_count()), (150, 0));
    assert!(recall(&rows, &graph, &mut random, Filter::Current) >= 990);
    for row in 0..3_000 {
        graph.erase(row);
        rows.erase(row);
    }
    assert_eq!((graph.linked_count(), graph.tombstone_count()), (0, 0));
    let query = Query::new(&rows, &random.clustered(DIM)).unwrap();
    assert!(run(&rows, &query, &graph, 10, Filter::Current).is_empty());
    rows.insert(&random.clustered(DIM)).unwrap();
    assert!(graph.extend(&rows, 1).unwrap());
    assert_eq!(run(&rows, &query, &graph, 10, Filter::Current).len(), 1);
}

#[test]
fn erasing_while_a_sweep_is_under_way_breaks_nothing() {
    let (mut rows, mut random) = filled(Metric::Cosine, 3_000);
    let mut graph = built(&rows);
    for row in 0..2_400_u32 {
        let row = row * 7 % 3_000;
        graph.erase(row);
        rows.erase(row);
        if row % 3 == 0 {
            rows.insert(&random.clustered(DIM)).unwrap();
        }
        graph.extend(&rows, 60).unwrap();
        if row % 500 == 0 {
            assert!(recall(&rows, &graph, &mut random, Filter::Current) >= 960, "{row}");
        }
    }
    while !graph.extend(&rows, 10_000).unwrap() {}
    assert!(recall(&rows, &graph, &mut random, Filter::Current) >= 970);
}

#[test]
fn copies_of_few_vectors_are_found() {
    let mut random = Random(3);
    let few: Vec<Vec<f32>> = (0..10).map(|_| random.clustered(DIM)).collect();
    let mut rows = Rows::new(Metric::Cosine, DIM);
    for _ in 0..3_000 {
        rows.insert(&few[(random.next() % 10) as usize]).unwrap();
    }
    let graph = built(&rows);
    for vector in &few {
        let query = Query::new(&rows, vector).unwrap();
        let hits = run(&rows, &query, &graph, 50, Filter::Current);
        assert_eq!(hits.len(), 50);
        assert!(hits.iter().all(|hit| hit.score > 0.9999), "{}", hits[49].score);
    }
    let query = Query::new(&rows, &few[0]).unwrap();
    assert_eq!(run(&rows, &query, &graph, 3_000, Filter::Current).len(), 3_000);
}

#[test]
fn a_threshold_is_inclusive_and_equal_scores_go_by_the_tie() {
    let mut rows = Rows::new(Metric::L2, 2);
    for vector in [[1.0, 0.0], [2.0, 0.0], [1.0, 0.0], [9.0, 0.0], [0.0, 0.0]] {
        rows.insert(&vector).unwrap();
    }
    let (graph, query) = (built(&rows), Query::new(&rows, &[2.0, 0.0]).unwrap());
    let backwards = |a: u32, b: u32| b.cmp(&a);
    for k in [2, 10] {
        let (threshold, filter, mode) = (Some(-1.0), Filter::Current, Mode::Hnsw);
        let graph = Some(&graph);
        let request = Request { k, threshold, filter, mode, tie: &backwards, weigh: None, graph };
        let answer = search(&rows, &query, &request, &mut Scratch::default());
        let found: Vec<u32> = answer.hits.iter().map(|hit| hit.row).collect();
        assert_eq!((answer.path, found), (Path::Hnsw, [1, 2, 0][..k.min(3)].to_vec()));
    }
}

#[test]
fn a_walk_that_costs_too_much_gives_up_and_offers_nothing() {
    let (rows, mut random) = filled(Metric::Cosine, 2_000);
    let (graph, query) = (built(&rows), Query::new(&rows, &random.clustered(DIM)).unwrap());
    let bits = bitmap_of(&rows, |row| row.is_multiple_of(50));
    let among = super::matches(&graph, &rows, &bits);
    assert_eq!(among, 40);
    for (limit, expected) in [(100, 0), (usize::MAX, 10)] {
        let tie = |a: u32, b: u32| a.cmp(&b);
        let mut top = TopK::new(10, None, &tie);
        let plan = super::Plan { filter: &bits, among, behind: 0, k: 10, limit };
        let done = super::scan(&graph, &rows, &query, &plan, &mut Walk::default(), &mut top);
        assert_eq!((done, top.finish().len()), (expected > 0, expected));
    }
}
