//! A query as the leading bytes of one-bit codes see it, and what their distances say about cosines.
//!
//! # Theory of operation
//!
//! Rows are rotated, so any part of their signs tells their angle to a query. The first third of each
//! code lies apart, sixteen rows side by side, and a table for each half byte says what its four
//! signs add to the **lead distance**: the sum of `|v_i|` where the signs of a row differ from those of
//! the rotated query `v`. One lookup serves sixteen rows, in the way of faiss's 4-bit product
//! quantisation (André, Kermarrec and Le Scouarnec, "Cache locality is not enough", 2015), and a third
//! of a code, weighted, tells as much as all of it unweighted.
//!
//! The component of a row that belongs to `v_i` is normal about `cos t * v_i` with a deviation of
//! `sin t / sqrt(dim)`, `t` being their angle. So its sign differs with a known probability `p_i`, and
//! the distance has the mean `sum |v_i| p_i` and the variance `sum v_i^2 p_i (1 - p_i)`, exact for the
//! query at hand, of which a part of the components may have more or less than its share.

use crate::float::{larger, smaller};

use super::chunk::STEP_BYTES;

/// Twice the distance of rows without any likeness. Distances much past that are cut off.
pub(super) const TOTAL: f32 = 510.0;
/// The largest distance there is.
pub(super) const FARTHEST: u8 = 254;
/// The most bytes that lead: past these, rounding blurs the sum.
const MOST_BYTES: usize = 64;

/// How many bytes lead the one-bit codes of a dimension: a third, in whole steps.
pub(super) fn bytes_of(dim: usize) -> usize {
    (dim / 24).next_multiple_of(STEP_BYTES).clamp(STEP_BYTES, MOST_BYTES)
}

/// The leading signs of a query, and their weights.
pub(super) struct Lead {
    /// For each half byte, the distance of each value that a row may have there.
    tables: Vec<[[u8; 16]; 2 * STEP_BYTES]>,
    /// `|v_i|`, in units of the distance; zeros fill up four.
    weights: Vec<f32>,
    factor: f32,
    /// The root of the dimension, over the length of the query in units of the distance.
    spread: f32,
}

impl Lead {
    /// For a query that was rotated.
    #[expect(clippy::cast_precision_loss, reason = "a dimension is at most 8,192")]
    pub(super) fn new(rotated: &[f32], norm: f32) -> Self {
        let bytes = bytes_of(rotated.len());
        let part = rotated.get(..bytes * 8).unwrap_or(rotated);
        let total =
            part.chunks(8).map(|part| part.iter().map(|x| x.abs()).sum::<f32>()).sum::<f32>();
        let factor = if total > 0.0 { TOTAL / total } else { 0.0 };
        let mut tables = vec![[[0; 16]; 2 * STEP_BYTES]; bytes / STEP_BYTES];
        for (into, four) in tables.as_flattened_mut().iter_mut().zip(part.chunks(4)) {
            *into = table(four, factor);
        }
        let mut weights: Vec<f32> = part.iter().map(|x| x.abs() * factor).collect();
        weights.resize(weights.len().next_multiple_of(4), 0.0);
        let length = larger(norm * factor, f32::MIN_POSITIVE);
        Self { tables, weights, factor, spread: (rotated.len() as f32).sqrt() / length }
    }

    /// What a component of the query is multiplied by to be in units of the distance.
    pub(super) fn factor(&self) -> f32 {
        self.factor
    }

    /// What the half bytes of codes are looked up in, two for each byte, for each step of bytes.
    pub(super) fn tables(&self) -> &[[[u8; 16]; 2 * STEP_BYTES]] {
        &self.tables
    }

    /// The distance that a row with this cosine stays within, to so many deviations.
    #[expect(clippy::cast_precision_loss, reason = "at most 128 tables")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub(super) fn distance_at(&self, cosine: f32, deviations: f32) -> u8 {
        let cosine = cosine.clamp(-1.0, 1.0);
        let sine = larger(1.0 - cosine * cosine, 1e-9).sqrt();
        let slope = self.spread * cosine.abs() / sine;
        // Four sums each, for the four lanes of vector instructions.
        let (mut means, mut variances) = ([0.0; 4], [0.0; 4]);
        for weights in self.weights.as_chunks::<4>().0 {
            for ((mean, variance), weight) in means.iter_mut().zip(&mut variances).zip(weights) {
                let differs = weight * tail(slope * weight);
                *mean += differs;
                *variance += differs * (weight - differs);
            }
        }
        let (mean, variance) = (means.iter().sum::<f32>(), variances.iter().sum::<f32>());
        // Past a right angle, what would differ is what does not.
        let mean = if cosine < 0.0 { TOTAL - mean } else { mean };
        // The entries of tables are rounded, by a variance of a twelfth each.
        let variance = variance + self.tables.as_flattened().len() as f32 / 12.0;
        smaller(mean + deviations * variance.sqrt() + 0.5, f32::from(FARTHEST)) as u8
    }
}

/// The distance of each value of half a byte: the weights of the signs that differ.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn table(four: &[f32], factor: f32) -> [u8; 16] {
    // A half, so that cutting rounds to the nearest.
    let mut sums = [0.5_f32; 16];
    for (bit, &x) in four.iter().enumerate() {
        let weight = x.abs() * factor;
        let (clear, set) = if x.is_sign_negative() { (weight, 0.0) } else { (0.0, weight) };
        for (value, sum) in sums.iter_mut().enumerate() {
            *sum += if value >> bit & 1 == 1 { set } else { clear };
        }
    }
    sums.map(|sum| sum as u8)
}

/// The chance that a normal deviate exceeds `x`, which is not negative, to within 3e-4 (Abramowitz and
/// Stegun 7.1.27), with the same bits on every host.
fn tail(x: f32) -> f32 {
    let x = x * core::f32::consts::FRAC_1_SQRT_2;
    let series = 1.0 + x * (0.278_393 + x * (0.230_389 + x * (0.000_972 + x * 0.078_108)));
    let square = series * series;
    0.5 / (square * square)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "small numbers")]

    use super::super::rotation::Rotation;
    use super::super::{Metric, Rows};
    use super::*;

    /// About normal: a sum of twelve even deviates.
    fn normal(state: &mut u64) -> f32 {
        let mut even = || {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*state >> 40) as f32 / (1_u64 << 24) as f32
        };
        (0..12).map(|_| even()).sum::<f32>() - 6.0
    }

    fn lead_of(vector: &[f32]) -> (Vec<f32>, Lead) {
        let mut rotated = Vec::new();
        Rotation::new(vector.len()).rotate(vector, &mut rotated);
        let norm = rotated.iter().map(|x| x * x).sum::<f32>().sqrt();
        let lead = Lead::new(&rotated, norm);
        (rotated, lead)
    }

    #[test]
    fn distances_are_the_weights_of_signs_that_differ() {
        let mut state = 1;
        for dim in [1, 4, 100, 384, 768, 2_000] {
            let mut vector = || -> Vec<f32> { (0..dim).map(|_| normal(&mut state)).collect() };
            let (rotated, lead) = lead_of(&vector());
            // Grown several times, with rows that were erased and given out again.
            let mut rows = Rows::new(Metric::L2, dim);
            for row in 0..150 {
                rows.insert(&vector()).unwrap();
                if row % 7 == 6 {
                    rows.erase(row / 2);
                }
            }
            let end = rows.end();
            let mut found = vec![0; (end as usize).next_multiple_of(16)];
            rows.add_lead_distances(lead.tables(), &mut found);
            for row in (0..end).filter(|&row| rows.is_live(row)) {
                let code = rows.bits(row);
                let differs =
                    |at: usize, x: f32| (code[at / 64] >> (at % 64) & 1 == 1) != (x < 0.0);
                let fours = rotated[..dim.min(bytes_of(dim) * 8)].chunks(4).enumerate();
                let expected = fours.map(|(index, four)| {
                    let weights = four.iter().enumerate().map(|(bit, &x)| {
                        if differs(index * 4 + bit, x) { x.abs() * lead.factor() } else { 0.0 }
                    });
                    // Halves may be rounded either way, by the order of adding.
                    u32::from((weights.sum::<f32>() + 0.5) as u8)
                });
                let gap = u32::from(found[row as usize]).abs_diff(expected.sum::<u32>().min(254));
                assert!(gap <= 1, "{dim} {row}: {gap}");
            }
        }
    }

    #[test]
    fn a_cosine_tells_the_distance() {
        let mut state = 2;
        let dim = 384;
        for cosine in [0.1_f32, 0.3, 0.5, 0.8, 0.97] {
            let (mut near, mut within) = (0, 0);
            for _ in 0..400 {
                let query: Vec<f32> = (0..dim).map(|_| normal(&mut state)).collect();
                let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
                let across: Vec<f32> = (0..dim).map(|_| normal(&mut state)).collect();
                let along = query.iter().zip(&across).map(|(q, x)| q * x).sum::<f32>()
                    / length(&query).powi(2);
                let across: Vec<f32> =
                    across.iter().zip(&query).map(|(x, q)| x - along * q).collect();
                let scale = length(&query) * (1.0 - cosine * cosine).sqrt() / length(&across);
                let row = query.iter().zip(&across).map(|(q, x)| q * cosine + x * scale);
                let (_, lead) = lead_of(&query);
                let mut rows = Rows::new(Metric::Cosine, dim);
                rows.insert(&row.collect::<Vec<f32>>()).unwrap();
                let mut found = vec![0; 16];
                rows.add_lead_distances(lead.tables(), &mut found);
                near += usize::from(found[0] <= lead.distance_at(cosine, 0.0));
                within += usize::from(found[0] <= lead.distance_at(cosine, 2.0));
            }
            // About a half, since distances are whole numbers; 97.7 of 100, to within three deviations of
            // what 400 trials tell.
            assert!((155..=265).contains(&near), "{cosine}: {near}");
            assert!((380..=400).contains(&within), "{cosine}: {within}");
        }
        let (_, lead) = lead_of(&vec![1.0; dim]);
        assert_eq!(lead.distance_at(-0.5, 0.0), FARTHEST, "no row is too far for that");
        assert!(lead.distance_at(1.0, 2.0) <= 5, "but for rounding, nothing differs");
    }
}
