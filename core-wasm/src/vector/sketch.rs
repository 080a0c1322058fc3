//! A query as one-bit codes see it, and what their distances say about cosines.
//!
//! # Theory of operation
//!
//! Let `s` be the signs of a row at angle `t`, rotated, and `v` the query, rotated, of length one.
//!
//! - **Distance**: signs of `v` differ from `s` in about `dim * p` places, `p = t / pi`, with a
//!   deviation of at most `sqrt(dim * p * (1 - p))` (Charikar, 2002).
//! - **Weighted distance**: `v.s / sqrt(dim * 2 / pi)` is about `cos t`, with a deviation of
//!   `sqrt(pi / 2 - 1) / sqrt(dim)`, half of the other's in cosine (the estimator of RaBitQ, Gao and
//!   Long, 2024, without its factor of each row, which measured no better). `v.s` is the sum of
//!   `|v_i|` less twice those where the signs differ; with `|v_i|` in three bits, that is three
//!   popcounts a word.

use super::rotation::pack;
use super::{Rows, kernels};

/// The largest weight: three bits.
const PEAK: f32 = 7.0;
/// `sqrt(pi / 2 - 1)`, and a twentieth for the rounding of the weights.
const WEIGHTED_DEVIATION: f32 = 0.79;

/// The signs of a query and their weights.
pub(super) struct Sketch {
    bits: Vec<u64>,
    /// The weights' bits, lowest first.
    planes: [Vec<u64>; 3],
    /// The sum of the weights.
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
        let peak =
            rotated.iter().fold(0.0_f32, |peak, x| if x.abs() > peak { x.abs() } else { peak });
        let factor = if peak > 0.0 { PEAK / peak } else { 0.0 };
        // Adding a half and cutting rounds to the nearest: 0 to 7.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        let weight = |x: f32| (x.abs() * factor + 0.5) as i32 as u32;
        let [mut bits, mut ones, mut twos, mut fours] = [(); 4].map(|()| vec![0; words]);
        pack(&rotated, &mut bits, f32::is_sign_negative);
        pack(&rotated, &mut ones, |x| weight(x) & 1 != 0);
        pack(&rotated, &mut twos, |x| weight(x) & 2 != 0);
        pack(&rotated, &mut fours, |x| weight(x) & 4 != 0);
        let norm = kernels::dot(&rotated, &rotated).sqrt();
        let step = if peak > 0.0 { peak / (PEAK * norm) } else { 0.0 };
        Self {
            bits,
            planes: [ones, twos, fours],
            total: rotated.iter().map(|&x| weight(x)).sum::<u32>() as f32,
            unit: step / (dim * core::f32::consts::FRAC_2_PI).sqrt(),
            dim,
        }
    }

    /// The signs.
    pub(super) fn bits(&self) -> &[u64] {
        &self.bits
    }

    /// The summed weights of the places where a row's signs differ.
    #[inline(always)]
    pub(super) fn weighted_distance(&self, code: &[u64]) -> u32 {
        let [ones, twos, fours] = &self.planes;
        kernels::weighted_hamming(&self.bits, [ones, twos, fours], code)
    }

    /// The distance that a row with this cosine stays within, to so many deviations.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    pub(super) fn distance_at(&self, cosine: f32, deviations: f32) -> u16 {
        let share = angle(cosine.clamp(-1.0, 1.0)) * core::f32::consts::FRAC_1_PI;
        let deviation = (self.dim * share * (1.0 - share)).max(0.0).sqrt();
        (self.dim * share + deviations * deviation).clamp(0.0, f32::from(u16::MAX - 1)) as u16
    }

    /// The weighted distance that a row with this cosine stays within, to so many deviations.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub(super) fn weighted_distance_at(&self, cosine: f32, deviations: f32) -> u32 {
        let least = cosine - deviations * WEIGHTED_DEVIATION / self.dim.sqrt();
        ((self.total - least / self.unit.max(f32::MIN_POSITIVE)) / 2.0).max(0.0) as u32
    }
}

impl Sketch {
    /// The cosine up to which a row at this weighted distance stays, to so many deviations.
    #[expect(clippy::cast_precision_loss, reason = "a sum of small weights")]
    pub(super) fn cosine_at(&self, weighted_distance: u32, deviations: f32) -> f32 {
        (self.total - 2.0 * weighted_distance as f32) * self.unit
            + deviations * WEIGHTED_DEVIATION / self.dim.sqrt()
    }
}

/// The arc cosine to within 7e-5 (Abramowitz and Stegun 4.4.45), with the same bits on every host.
fn angle(cosine: f32) -> f32 {
    let x = cosine.abs();
    let series = 1.570_728_8 + x * (-0.212_114_4 + x * (0.074_261 - x * 0.018_729_3));
    let angle = (1.0 - x).max(0.0).sqrt() * series;
    if cosine < 0.0 { core::f32::consts::PI - angle } else { angle }
}
