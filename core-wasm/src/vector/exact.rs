//! Search without loss: int8 upper bounds decide which rows float32 has to score.
//!
//! Each row costs a quarter of the memory traffic of a float32 scan; about `k log n` rows, and the
//! few within the bound's width (0.02 in cosine) of the k-th hit, cost the float32 row as well. Where
//! all bounds are known first, as of a list, only `k` rows and those few do. The result equals scoring
//! every row (see `quantize` for the proof), whatever the order of visiting.

use super::{Query, Rows, TopK, bitmap};

/// Up to this many rows are searched as a list: that takes a sixth off the time of the whole call. Of
/// more rows, those that are scored are a small part.
const LISTED_ROWS: usize = 4096;

/// Offers every row of both bitmaps to `top`, which is for `k`; `among` is how many these have in
/// common.
pub fn scan_bitmaps(
    rows: &Rows,
    query: &Query,
    (a, b): (&[u64], &[u64]),
    (k, among): (usize, usize),
    top: &mut TopK<'_>,
) {
    let mut list = Vec::with_capacity(64);
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        bitmap::rows_of_word(index, a & b, &mut list);
        if among > LISTED_ROWS {
            scan_rows(rows, query, &list, top);
            list.clear();
        }
    }
    scan_list(rows, query, &list, k, top);
}

/// Offers every row of a list to `top`. Each must be live, and named once.
pub fn scan_rows(rows: &Rows, query: &Query, list: &[u32], top: &mut TopK<'_>) {
    let (pairs, last) = list.as_chunks::<2>();
    for &pair in pairs {
        let bounds = query.upper_bounds(rows, pair);
        for (row, bound) in pair.into_iter().zip(bounds) {
            if bound >= top.floor() && !top.outweighs(row, bound) {
                top.offer(row, query.score(rows, row));
            }
        }
    }
    for &row in last {
        top.offer(row, query.score(rows, row));
    }
}

/// Offers every row of a list to `top`, which is for `k`, the most promising first. Each must be coded
/// and live, and named once.
///
/// Little more than `k` rows are scored, and codes are read without anything in between.
pub fn scan_list(rows: &Rows, query: &Query, list: &[u32], k: usize, top: &mut TopK<'_>) {
    let (pairs, last) = list.as_chunks::<2>();
    let mut bounds: Vec<f32> = Vec::with_capacity(list.len());
    bounds.extend(pairs.iter().flat_map(|&pair| query.upper_bounds(rows, pair)));
    bounds.extend(last.iter().map(|&row| query.score_at_most(rows, row)));
    let in_order = |one: u32, other: u32| one.cmp(&other);
    let mut promising = TopK::new(k, None, &in_order);
    for (index, &bound) in (0..).zip(&bounds) {
        promising.offer(index, bound);
    }
    for index in promising.finish().iter().map(|hit| hit.row as usize) {
        if let (Some(&row), Some(bound)) = (list.get(index), bounds.get_mut(index)) {
            top.offer(row, query.score(rows, row));
            *bound = f32::NAN; // Reaches no floor: it is not offered again.
        }
    }
    top.settle();
    for (&row, &bound) in list.iter().zip(&bounds) {
        if bound >= top.floor() && !top.outweighs(row, bound) {
            top.offer(row, query.score(rows, row));
        }
    }
}

/// Scores every row of both bitmaps from float32: for when nearly all rows are wanted, and the
/// reference for [`scan_bitmaps`].
pub fn scan_floats(rows: &Rows, query: &Query, a: &[u64], b: &[u64], top: &mut TopK<'_>) {
    let mut block = Vec::with_capacity(64);
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        block.clear();
        bitmap::rows_of_word(index, a & b, &mut block);
        for &row in &block {
            top.offer(row, query.score(rows, row));
        }
    }
}

/// Scores the rows of a bitmap that are live and have no codes yet, from float32.
pub fn scan_uncoded(rows: &Rows, query: &Query, bits: &[u64], top: &mut TopK<'_>) {
    let mut block = Vec::with_capacity(64);
    let live = rows.live().iter().zip(rows.coded()).map(|(live, coded)| live & !coded);
    for (index, (bits, uncoded)) in bits.iter().zip(live).enumerate() {
        block.clear();
        bitmap::rows_of_word(index, bits & uncoded, &mut block);
        for &row in &block {
            top.offer(row, query.score(rows, row));
        }
    }
}
