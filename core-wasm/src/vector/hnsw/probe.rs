//! Similarities from int8 codes: what a walk steers by. Float32 has the last word, not here.

use super::super::{Metric, Query, Rows, kernels};

/// How many standard deviations past its expected weighted distance a row may lie and still have
/// its similarity computed. Measured at 50,000 and 0 to 2 deviations: a tenth of the time is saved
/// at the same recall.
const SIFT_DEVIATIONS: f32 = 1.0;

/// Something that rows are compared with. Higher is nearer.
pub(super) trait Probe {
    /// The similarities of two rows.
    fn pair(&self, rows: &Rows, pair: [u32; 2]) -> [f32; 2];

    /// Leaves out of a batch rows whose one-bit codes say that they are hardly nearer than `floor`.
    #[inline(always)]
    fn sift(&self, _rows: &Rows, _floor: f32, _batch: &mut Vec<u32>) {}
}

impl Probe for Query {
    #[inline(always)]
    fn pair(&self, rows: &Rows, pair: [u32; 2]) -> [f32; 2] {
        self.estimates(rows, pair)
    }

    fn sift(&self, rows: &Rows, floor: f32, batch: &mut Vec<u32>) {
        if rows.has_even_norms() {
            let sketch = self.sketch(rows);
            let cosine = self.least_cosine(floor, rows.norms());
            let heaviest = sketch.weighted_distance_at(cosine, SIFT_DEVIATIONS);
            batch.retain(|&row| sketch.weighted_distance(rows.bits(row)) <= heaviest);
        }
    }
}

/// A row that other rows are compared with, while the graph is built.
///
/// Under cosine by the cosine. Under l2 **and dot** by the negated squared distance: inner products
/// are no measure of nearness between rows, and where norms are even the two agree.
#[derive(Default)]
pub(super) struct RowProbe {
    codes: Vec<i16>,
    unit_scale: f32,
    norm: f32,
}

impl RowProbe {
    /// Becomes the row.
    pub(super) fn load(&mut self, rows: &Rows, row: u32) {
        self.codes.clear();
        self.codes.extend(rows.codes(row).iter().map(|&code| i16::from(code)));
        let facts = rows.facts(row);
        self.unit_scale = facts.unit_scale;
        self.norm = facts.norm;
    }

    pub(super) fn bytes(&self) -> usize {
        self.codes.capacity() * size_of::<i16>()
    }
}

impl Probe for RowProbe {
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn pair(&self, rows: &Rows, pair: [u32; 2]) -> [f32; 2] {
        let [a, b] = kernels::dot_codes_pair(&self.codes, pair.map(|row| rows.codes(row)));
        let [row_a, row_b] = pair;
        [(a, row_a), (b, row_b)].map(|(product, row)| {
            let facts = rows.facts(row);
            let cosine = product as f32 * (self.unit_scale * facts.unit_scale);
            match rows.metric() {
                Metric::Cosine => cosine,
                Metric::Dot | Metric::L2 => {
                    2.0 * cosine * facts.norm * self.norm
                        - (self.norm * self.norm + facts.norm * facts.norm)
                }
            }
        })
    }
}

/// A row and its similarity in one number: a nearer row is larger, of equal ones the later row.
#[inline(always)]
pub(super) fn key(similarity: f32, row: u32) -> u64 {
    let bits = similarity.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | u64::from(row)
}

/// The row of a key.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is the row")]
pub(super) fn row_of(key: u64) -> u32 {
    key as u32
}

/// The similarity of a key.
#[inline(always)]
pub(super) fn similarity_of(key: u64) -> f32 {
    let ordered = (key >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
}
