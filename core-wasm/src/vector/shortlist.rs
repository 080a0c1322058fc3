//! The quantised search: one-bit codes choose a shortlist, which is searched exactly.
//!
//! # Theory of operation
//!
//! 1. Take the lead distances of all rows, from a third of their codes, and from a sample of them a cut
//!    that about `FIRST` + `FIRST_FACTOR` k rows pass. Search the best `PROBES` + 2k of these, by
//!    weighted distance, exactly.
//! 2. The cosine of the k-th hit in hand (or the caller's threshold) is now known, and the true one
//!    is no further. A row with that cosine lies past its expected lead distance by `LEAD_DEVIATIONS`
//!    standard deviations four times in a hundred, past its weighted distance by `WEIGHTED_DEVIATIONS`
//!    five times; nearer rows, far more rarely. Search all rows within both cuts exactly. The weighted
//!    distance is the lead distance and what the rest of the code adds.
//! 3. Where rows are ranked by more than their cosine, each has a factor of at most 1, so it must be
//!    the nearer the less it weighs: both cuts are its own. They are closer (`WEIGHED_DEVIATIONS`), since
//!    such a search finds more than is wanted, of which the last may be missed.
//!
//! The list grows where hits are far away and shrinks where they are near, so recall holds for
//! embeddings unlike those it was measured on. See `lead` and `sketch` for the statistics.

use super::chunk::BLOCK_ROWS;
use super::exact;
use super::lead::FARTHEST;
use super::sketch::Sketch;
use super::{Query, Rows, TopK, bitmap, kernels};

/// The least length of the first list.
const FIRST: usize = 80;
/// So many times k is added.
const FIRST_FACTOR: usize = 6;
/// How many rows of it are searched exactly at least; twice k is added.
const PROBES: usize = 10;
/// How many standard deviations past its expected lead distance a hit may lie and still be found.
const LEAD_DEVIATIONS: f32 = 1.75;
/// The same, of its weighted distance.
const WEIGHTED_DEVIATIONS: f32 = 1.6;
/// Both, where rows are ranked by more than their cosines. Who does that wants the best of them alone,
/// and those that lie at a cut are the last.
const WEIGHED_DEVIATIONS: f32 = 1.25;
/// How many standard deviations nearer than its cosine tells a row is not expected to lie at all.
const BOUND_DEVIATIONS: f32 = 3.0;
/// One row in this many is sampled for the first cut, in blocks of [`SAMPLE_BLOCK`].
const SAMPLE_EVERY: usize = 16;
const SAMPLE_BLOCK: usize = 16;
/// From this many rows in a search on, the cosines that lead distances tell are worth finding out.
const BOUNDED_ROWS: usize = 8_192;
/// And they are told to one in this many.
const COSINE_STEPS: usize = 32;
/// From this many rows in a list on, cuts of their own are.
const LIGHT_ROWS: usize = 512;
/// Factors of rows are told apart to one in this many.
const FACTOR_STEPS: usize = 16;
/// The distance given to rows that a filter leaves out.
const OUT: u8 = FARTHEST + 1;

/// Buffers that are kept from one search to the next.
#[derive(Default)]
pub struct Scratch {
    distances: Vec<u8>,
    list: Vec<u32>,
    weighted: Vec<(u32, u32)>,
    /// The lead distances that rows with a cosine of 0, and more by one in [`COSINE_STEPS`] each, hardly
    /// ever exceed.
    within: [u8; COSINE_STEPS],
    pub(super) walk: super::hnsw::Walk,
}

impl Scratch {
    /// Forgets the last search.
    pub(super) fn clear(&mut self) {
        self.distances.clear();
    }

    /// A cosine that a row exceeds once in a thousand times at most, by its lead distance in the last
    /// search, if that was a weighed one of many rows; else infinity.
    #[must_use]
    #[inline]
    pub fn cosine_hardly_over(&self, row: u32) -> f32 {
        let distance = self.distances.get(row as usize).filter(|distance| **distance != OUT);
        let step = distance.and_then(|distance| self.within.iter().position(|to| to < distance));
        step.map_or(f32::INFINITY, cosine_of)
    }
}

/// The cosine of a step of [`Scratch::within`].
#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn cosine_of(step: usize) -> f32 {
    step as f32 / COSINE_STEPS as f32
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
    let end = (rows.end() as usize).next_multiple_of(BLOCK_ROWS);
    let Scratch { distances, list, weighted, within, .. } = scratch;
    let sketch = query.sketch(rows);
    let (lead_deviations, weighted_deviations) = if top.is_weighed() {
        (WEIGHED_DEVIATIONS, WEIGHED_DEVIATIONS)
    } else {
        (LEAD_DEVIATIONS, WEIGHTED_DEVIATIONS)
    };
    distances.clear();
    weighted.clear();
    if distances.try_reserve(end).is_err() {
        return false;
    }
    distances.resize(end, 0);
    rows.add_lead_distances(sketch.lead().tables(), distances);
    *within = [FARTHEST; COSINE_STEPS];
    if top.is_weighed() && among >= BOUNDED_ROWS {
        for (step, to) in within.iter_mut().enumerate() {
            *to = sketch.lead().distance_at(cosine_of(step), BOUND_DEVIATIONS);
        }
    }
    mask(distances, a, b);
    let wanted = (FIRST + FIRST_FACTOR * k).min(among);
    let mut first = first_cut(distances, wanted);
    loop {
        list.clear();
        collect(distances, 0, first, list);
        if list.len() >= wanted.min(k + FIRST / 2) || first == FARTHEST {
            break;
        }
        first = (first + first / 16 + 1).min(FARTHEST);
    }
    weigh(rows, query, distances, list, weighted);
    let probes = (PROBES + 2 * k).min(weighted.len());
    if probes < weighted.len() {
        weighted.select_nth_unstable(probes);
    }
    exact::scan_list(rows, query, list_of(weighted.drain(..probes), list), k, top);
    top.settle();
    let (second, heaviest) = if top.floor() == f32::NEG_INFINITY {
        (FARTHEST, u32::MAX)
    } else {
        let cosine = query.least_cosine(top.floor(), rows.norms());
        let heaviest = sketch.weighted_distance_at(cosine, weighted_deviations);
        (sketch.lead().distance_at(cosine, lead_deviations), heaviest)
    };
    if second > first {
        list.clear();
        collect(distances, first + 1, second, list);
        if top.is_weighed() && list.len() >= LIGHT_ROWS {
            leave_out_light(distances, sketch, top, list);
        }
        weigh(rows, query, distances, list, weighted);
    }
    let left = weighted.drain(..).filter(|&(weight, row)| {
        let cosine = || sketch.cosine_at(weight, weighted_deviations);
        weight <= heaviest && !top.outweighs(row, cosine())
    });
    let left = list_of(left, list);
    exact::scan_rows(rows, query, left, top);
    true
}

/// Takes off a list the rows that are too far away for how little they weigh.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
fn leave_out_light(distances: &[u8], sketch: &Sketch, top: &TopK<'_>, list: &mut Vec<u32>) {
    let mut farthest = [0; FACTOR_STEPS + 1];
    for (step, to) in (1_u8..).zip(&mut farthest) {
        let cosine = top.floor_at(f32::from(step) / FACTOR_STEPS as f32);
        *to = sketch.lead().distance_at(cosine, WEIGHED_DEVIATIONS);
    }
    list.retain(|&row| {
        let step = (top.most(row) * FACTOR_STEPS as f32) as usize;
        distances.get(row as usize) <= farthest.get(step.min(FACTOR_STEPS))
    });
}

/// Appends the rows of a list with their weighted distances.
fn weigh(rows: &Rows, query: &Query, distances: &[u8], list: &[u32], into: &mut Vec<(u32, u32)>) {
    let lead = |row: u32| distances.get(row as usize).copied().unwrap_or_default();
    let (fours, last) = list.as_chunks::<4>();
    // The last ones are filled up with the first of them.
    let mut filled = [last.first().copied().unwrap_or_default(); 4];
    filled.iter_mut().zip(last).for_each(|(into, row)| *into = *row);
    into.reserve(list.len() + 4);
    let sketch = query.sketch(rows);
    for four in fours.iter().chain([&filled]) {
        let rest = four.map(|row| rows.bits_behind_lead(row));
        let weights = sketch.weighted_distances(four.map(lead), rest);
        into.extend(weights.into_iter().zip(*four));
    }
    into.truncate(into.len() - (4 - last.len()));
}

/// The rows alone, in `list`.
fn list_of(weighted: impl Iterator<Item = (u32, u32)>, list: &mut Vec<u32>) -> &[u32] {
    list.clear();
    list.extend(weighted.map(|(_, row)| row));
    list
}

/// The distance within which about `wanted` rows lie, judged by a sample.
fn first_cut(distances: &[u8], wanted: usize) -> u8 {
    let mut histogram = [0_u32; 256];
    let every = if distances.len() < 64 * SAMPLE_BLOCK * SAMPLE_EVERY { 1 } else { SAMPLE_EVERY };
    for block in distances.chunks(SAMPLE_BLOCK).step_by(every) {
        for &distance in block {
            if let Some(count) = histogram.get_mut(usize::from(distance)) {
                *count += 1;
            }
        }
    }
    let mut left = wanted.div_ceil(every);
    for (distance, &count) in (0..FARTHEST).zip(histogram.iter()) {
        if left <= count as usize {
            return distance;
        }
        left -= count as usize;
    }
    FARTHEST
}

/// Sets the distance of rows that are not in both bitmaps to [`OUT`]; what lies past a bitmap's end
/// is not in it.
fn mask(distances: &mut [u8], a: &[u64], b: &[u64]) {
    let words = a.iter().zip(b).map(|(a, b)| a & b).chain(core::iter::repeat(0));
    for (block, word) in distances.chunks_mut(64).zip(words) {
        if word == 0 {
            block.fill(OUT);
        } else if word != u64::MAX {
            for (eight, bits) in block.as_chunks_mut::<8>().0.iter_mut().zip(word.to_le_bytes()) {
                *eight = (u64::from_le_bytes(*eight) | where_clear(bits)).to_le_bytes();
            }
        }
    }
}

/// A byte for each bit, the first one lowest: [`OUT`] where the bit is clear, else 0. Without a branch,
/// which a filter of half the rows would make a coin toss.
fn where_clear(bits: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // In each byte its own bit of `bits`, then whether there is one: adding 127 carries into bit 7.
    let own = (u64::from(bits) * ONES) & 0x8040_2010_0804_0201;
    let is_set = ((own + 127 * ONES) >> 7) & ONES;
    (ONES - is_set) * u64::from(OUT)
}

/// Appends the rows with a distance of `from` to `to`, which is less than [`OUT`].
fn collect(distances: &[u8], from: u8, to: u8, list: &mut Vec<u32>) {
    let width = to.saturating_sub(from);
    let (blocks, rest) = distances.as_chunks::<64>();
    let mut last = [OUT; 64];
    for (into, &distance) in last.iter_mut().zip(rest) {
        *into = distance;
    }
    for (index, block) in blocks.iter().chain([&last]).enumerate() {
        bitmap::rows_of_word(index, kernels::within(block, from, width), list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_leaves_out_what_is_not_in_both_bitmaps() {
        let a = [u64::MAX, 0x0123_4567_89ab_cdef, u64::MAX, 0];
        let b = [u64::MAX, u64::MAX, 0x8000_0000_0000_0001, u64::MAX];
        let mut distances = vec![7; 5 * 64 + 16];
        mask(&mut distances, &a, &b);
        for (row, &distance) in distances.iter().enumerate() {
            let is_in = |words: &[u64]| bitmap::contains(words, u32::try_from(row).unwrap());
            assert_eq!(distance, if is_in(&a) && is_in(&b) { 7 } else { OUT }, "{row}");
        }
    }

    #[test]
    fn rows_are_collected_by_distance_to_the_last_one() {
        for length in [0_u32, 16, 64, 80, 192] {
            let distances: Vec<u8> = (0..length).map(|row| (row * 37 % 251) as u8).collect();
            for (from, to) in [(0, 254), (0, 0), (100, 101), (200, 254)] {
                let mut list = Vec::new();
                collect(&distances, from, to, &mut list);
                let expected = (0..).zip(&distances).filter(|(_, at)| (from..=to).contains(at));
                assert_eq!(list, expected.map(|(row, _)| row).collect::<Vec<u32>>());
            }
        }
    }
}
