//! A query as one-bit codes see it, and what their distances say about cosines.
//!
//! # Theory of operation
//!
//! Let `s` be the signs of a row at angle `t`, rotated, and `v` the query, rotated, of length one.
//!
//! - **Weighted distance**: `v.s / sqrt(dim * 2 / pi)` is about `cos t`, with a deviation of
//!   `sqrt(pi / 2 - 1) / sqrt(dim)`, half of the other's in cosine (the estimator of RaBitQ, Gao and
//!   Long, 2024, without its factor of each row, which measured no better). `v.s` is the sum of
//!   `|v_i|` less twice those where the signs differ; with `|v_i|` in three bits, that is three
//!   popcounts a word.

use crate::float::{larger, smaller};

use super::lead::{self, Lead};
use super::quantize::peak;
use super::{Rows, kernels};

/// The largest weight: three bits.
const PEAK: f32 = 7.0;
/// `sqrt(pi / 2 - 1)`, and a twentieth for the rounding of the weights.
const WEIGHTED_DEVIATION: f32 = 0.79;

/// A unit of the weights is this many units of weighted distances.
const FINE: u16 = 1_024;

/// The signs of a query and their weights.
pub(super) struct Sketch {
    /// For each two words of a code the signs, and the weights' bits, lowest first.
    weights: Vec<kernels::Weights>,
    lead: Lead,
    /// The words of a code that the lead distance is about.
    lead_words: usize,
    /// What a unit of lead distance is in weighted distance.
    lead_step: u32,
    /// The largest weighted distance there is.
    total: f32,
    /// What a unit of `total - 2 * weighted distance` is in cosine.
    unit: f32,
    dim: f32,
}

impl Sketch {
    #[expect(clippy::cast_precision_loss, reason = "a dimension is at most 8,192")]
    pub(super) fn new(rows: &Rows, query: &[f32]) -> Self {
        let (rotation, words) = rows.rotation();
        let mut rotated = Vec::new();
        rotation.rotate(query, &mut rotated);
        let dim = query.len() as f32;
        let peak = peak(&rotated);
        let factor = if peak > 0.0 { PEAK / peak } else { 0.0 };
        let levels = levels(&rotated, factor);
        let mut weights = vec![[[0; 2]; 4]; words / 2];
        for (into, levels) in weights.iter_mut().zip(levels.chunks(128)) {
            let [signs, ones, twos, fours] = into;
            pack_bit::<SIGN>(levels, signs);
            pack_bit::<0>(levels, ones);
            pack_bit::<1>(levels, twos);
            pack_bit::<2>(levels, fours);
        }
        let norm = kernels::dot(&rotated, &rotated).sqrt();
        let step = if peak > 0.0 { peak / (PEAK * norm) } else { 0.0 };
        let lead = Lead::new(&rotated, norm);
        let lead_words = lead.tables().len() * 2;
        let lead_step = f32::from(FINE) * factor / larger(lead.factor(), f32::MIN_POSITIVE);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let lead_step = smaller(lead_step + 0.5, f32::from(u16::MAX)) as u32;
        let rest = levels.iter().skip(lead_words * 64).map(|&level| u32::from(level & 7));
        let rest = rest.sum::<u32>() as f32;
        Self {
            weights,
            lead,
            lead_words,
            lead_step,
            total: f32::from(FINE) * rest + lead_step as f32 * lead::TOTAL,
            unit: step / f32::from(FINE) / (dim * core::f32::consts::FRAC_2_PI).sqrt(),
            dim,
        }
    }

    /// What the leading bytes of codes are compared with.
    pub(super) fn lead(&self) -> &Lead {
        &self.lead
    }

    /// A row's weighted distance.
    #[inline(always)]
    pub(super) fn weighted_distance(&self, code: &[u64]) -> u32 {
        kernels::weighted_hamming(&self.weights, code) * u32::from(FINE)
    }

    /// Those of four rows whose lead distances are known, from what follows the leading bytes.
    #[inline(always)]
    pub(super) fn weighted_distances(&self, leads: [u8; 4], rest: [&[u64]; 4]) -> [u32; 4] {
        let weights = self.weights.get(self.lead_words / 2..).unwrap_or_default();
        let [a, b, c, d] = kernels::weighted_hamming_four(weights, rest);
        let whole = |lead, rest| u32::from(FINE) * rest + self.lead_step * u32::from(lead);
        let [lead_a, lead_b, lead_c, lead_d] = leads;
        [whole(lead_a, a), whole(lead_b, b), whole(lead_c, c), whole(lead_d, d)]
    }

    /// The weighted distance that a row with this cosine stays within, to so many deviations.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub(super) fn weighted_distance_at(&self, cosine: f32, deviations: f32) -> u32 {
        let least = cosine - deviations * WEIGHTED_DEVIATION / self.dim.sqrt();
        ((self.total - least / larger(self.unit, f32::MIN_POSITIVE)) / 2.0) as u32
    }

    /// The cosine up to which a row at this weighted distance stays, to so many deviations.
    #[expect(clippy::cast_precision_loss, reason = "a sum of small weights")]
    pub(super) fn cosine_at(&self, weighted_distance: u32, deviations: f32) -> f32 {
        (self.total - 2.0 * weighted_distance as f32) * self.unit
            + deviations * WEIGHTED_DEVIATION / self.dim.sqrt()
    }
}

/// The bit of a level that is set for negative components; below it is the weight.
const SIGN: u32 = 3;

/// The weight and the sign of each component.
fn levels(rotated: &[f32], factor: f32) -> Vec<u8> {
    // Adding a half and cutting rounds to the nearest: 0 to 7.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 15")]
    let level = |x: f32| ((x.abs() * factor + 0.5) as i32 as u32 | x.to_bits() >> 31 << SIGN) as u8;
    let mut levels = vec![0; rotated.len()];
    let (fours, rest) = levels.as_chunks_mut::<4>();
    for (into, four) in fours.iter_mut().zip(rotated.as_chunks::<4>().0) {
        *into = four.map(level);
    }
    for (into, &x) in rest.iter_mut().zip(rotated.as_chunks::<4>().1) {
        *into = level(x);
    }
    levels
}

/// Collects one bit of each level; bits past the last level are clear.
fn pack_bit<const BIT: u32>(levels: &[u8], bits: &mut [u64]) {
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    // Multiplying moves the lowest bits of eight bytes next to each other.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let gather =
        |eight: [u8; 8]| ((u64::from_le_bytes(eight) >> BIT & LOWEST).wrapping_mul(GATHER)) >> 56;
    for (word, levels) in bits.iter_mut().zip(levels.chunks(64)) {
        let (eights, rest) = levels.as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(into, level)| *into = *level);
        let bytes = eights.iter().chain([&last]);
        *word =
            (0..64).step_by(8).zip(bytes).fold(0, |word, (at, eight)| word | gather(*eight) << at);
    }
}
