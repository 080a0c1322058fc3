//! Search without loss: int8 upper bounds decide which rows float32 has to score.
//!
//! Each row costs a quarter of the memory traffic of a float32 scan; about `k log n` rows, and the
//! few within the bound's width (0.02 in cosine) of the k-th hit, cost the float32 row as well. The
//! result equals scoring every row (see `quantize` for the proof), whatever
//! the order of visiting.

use super::{Query, Rows, TopK, bitmap};

/// Offers every row of both bitmaps to `top`.
pub fn scan_bitmaps(rows: &Rows, query: &Query, a: &[u64], b: &[u64], top: &mut TopK<'_>) {
    let mut block = Vec::with_capacity(64);
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        if a & b != 0 {
            block.clear();
            bitmap::rows_of_word(index, a & b, &mut block);
            scan_rows(rows, query, &block, top);
        }
    }
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
