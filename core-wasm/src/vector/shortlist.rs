//! The quantised search: one-bit codes choose a shortlist, which is searched exactly.
//!
//! # Theory of operation
//!
//! 1. Take the one-bit distances of all rows, and from a sample of them a cut that about
//!    `FIRST` + 4k rows pass. Search the best `PROBES` + 2k of these, by weighted distance,
//!    exactly.
//! 2. The cosine of the k-th hit in hand (or the caller's threshold) is now known, and the true one
//!    is no further. A row with that cosine lies past its expected distance by `DEVIATIONS`
//!    standard deviations twice in a hundred times, past its weighted distance by
//!    `WEIGHTED_DEVIATIONS` three times; nearer rows, far more rarely. Search all rows within both
//!    cuts exactly.
//!
//! The list grows where hits are far away and shrinks where they are near, so recall holds for
//! embeddings unlike those it was measured on. See `sketch` for the statistics.

use super::exact;
use super::{Query, Rows, TopK};

/// The least length of the first list; four times k is added.
const FIRST: usize = 60;
/// How many rows of it are searched exactly at least; twice k is added.
const PROBES: usize = 10;
/// How many standard deviations past its expected distance a hit may lie and still be found.
const DEVIATIONS: f32 = 2.0;
/// The same, of its weighted distance.
const WEIGHTED_DEVIATIONS: f32 = 1.9;
/// One row in this many is sampled for the first cut, in blocks of [`SAMPLE_BLOCK`].
const SAMPLE_EVERY: usize = 16;
const SAMPLE_BLOCK: usize = 16;
/// The distance given to rows that a filter leaves out.
const OUT: u16 = u16::MAX;

/// Buffers that are kept from one search to the next.
#[derive(Default)]
pub struct Scratch {
    distances: Vec<u16>,
    histogram: Vec<u32>,
    list: Vec<u32>,
    weighted: Vec<(u32, u32)>,
    pub(super) walk: super::hnsw::Walk,
}

/// Offers to `top` the rows of both bitmaps that are likely among the best `k`; `among` is how many
/// rows the bitmaps have in common.
///
/// Returns false, having offered nothing, when memory is refused.
pub fn scan(
    rows: &Rows,
    query: &Query,
    (a, b): (&[u64], &[u64]),
    (k, among): (usize, usize),
    scratch: &mut Scratch,
    top: &mut TopK<'_>,
) -> bool {
    let end = rows.end() as usize;
    let Scratch { distances, histogram, list, weighted, .. } = scratch;
    let sketch = query.sketch();
    distances.clear();
    weighted.clear();
    if distances.try_reserve(end).is_err() {
        return false;
    }
    distances.resize(end, OUT);
    rows.hamming(sketch.bits(), distances);
    mask(distances, a, b);
    let wanted = (FIRST + 4 * k).min(among);
    let mut first = first_cut(distances, histogram, rows.dim(), wanted);
    loop {
        list.clear();
        collect(distances, 0, first, list);
        if list.len() >= wanted.min(k + FIRST / 2) || usize::from(first) >= rows.dim() {
            break;
        }
        first += first / 16 + 1;
    }
    weigh(rows, query, list, weighted);
    let probes = (PROBES + 2 * k).min(weighted.len());
    if probes < weighted.len() {
        weighted.select_nth_unstable(probes);
    }
    exact::scan_rows(rows, query, list_of(weighted.drain(..probes), list), top);
    top.settle();
    let (second, heaviest) = if top.floor() == f32::NEG_INFINITY {
        (OUT - 1, u32::MAX)
    } else {
        let cosine = query.least_cosine(top.floor(), rows.norms());
        let heaviest = sketch.weighted_distance_at(cosine, WEIGHTED_DEVIATIONS);
        (sketch.distance_at(cosine, DEVIATIONS), heaviest)
    };
    if second > first {
        list.clear();
        collect(distances, first + 1, second, list);
        weigh(rows, query, list, weighted);
    }
    let left = weighted.drain(..).filter(|&(weight, row)| {
        let cosine = || sketch.cosine_at(weight, WEIGHTED_DEVIATIONS);
        weight <= heaviest && !top.outweighs(row, cosine())
    });
    let left = list_of(left, list);
    exact::scan_rows(rows, query, left, top);
    true
}

/// Appends the rows of a list with their weighted distances.
fn weigh(rows: &Rows, query: &Query, list: &[u32], into: &mut Vec<(u32, u32)>) {
    let sketch = query.sketch();
    into.extend(list.iter().map(|&row| (sketch.weighted_distance(rows.bits(row)), row)));
}

/// The rows alone, in `list`.
fn list_of(weighted: impl Iterator<Item = (u32, u32)>, list: &mut Vec<u32>) -> &[u32] {
    list.clear();
    list.extend(weighted.map(|(_, row)| row));
    list
}

/// The distance within which about `wanted` rows lie, judged by a sample.
fn first_cut(distances: &[u16], histogram: &mut Vec<u32>, dim: usize, wanted: usize) -> u16 {
    histogram.clear();
    histogram.resize(dim + 2, 0);
    let every = if distances.len() < 64 * SAMPLE_BLOCK * SAMPLE_EVERY { 1 } else { SAMPLE_EVERY };
    for block in distances.chunks(SAMPLE_BLOCK).step_by(every) {
        for &distance in block {
            // Rows left out fall off the end of the histogram.
            if let Some(count) = histogram.get_mut(usize::from(distance)) {
                *count += 1;
            }
        }
    }
    let mut left = wanted.div_ceil(every);
    for (distance, &count) in (0_u16..).zip(histogram.iter()) {
        if left <= count as usize {
            return distance;
        }
        left -= count as usize;
    }
    OUT - 1
}

/// Sets the distance of rows that are not in both bitmaps to [`OUT`]; what lies past a bitmap's end
/// is not in it.
fn mask(distances: &mut [u16], a: &[u64], b: &[u64]) {
    let words = a.iter().zip(b).map(|(a, b)| a & b).chain(core::iter::repeat(0));
    for (block, word) in distances.chunks_mut(64).zip(words) {
        if word == 0 {
            block.fill(OUT);
        } else if word != u64::MAX {
            for (bit, distance) in block.iter_mut().enumerate() {
                // Without a branch, which a filter of half the rows would make a coin toss.
                *distance |= OUT & u16::from(word >> bit & 1 == 0).wrapping_neg();
            }
        }
    }
}

/// Appends the rows with a distance of `from` to `to`.
fn collect(distances: &[u16], from: u16, to: u16, list: &mut Vec<u32>) {
    let width = to.saturating_sub(from);
    for (base, block) in (0_u32..).step_by(32).zip(distances.chunks(32)) {
        // Compiles to vector compares; most blocks have nothing to offer.
        let hits = block
            .iter()
            .fold(0_u16, |hits, distance| hits | u16::from(distance.wrapping_sub(from) <= width));
        if hits != 0 {
            for (row, distance) in (base..).zip(block) {
                if distance.wrapping_sub(from) <= width {
                    list.push(row);
                }
            }
        }
    }
}
