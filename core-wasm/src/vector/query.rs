//! A query vector, checked and made ready for one set of rows.

use core::cell::OnceCell;

use crate::float::smaller;

use super::quantize::{self, QueryCodes};
use super::sketch::Sketch;
use super::{BadVector, Metric, Rows, kernels};

/// What a query vector may be refused for: as a row.
pub type QueryError = BadVector;

/// A query ready for the rows it was made for.
pub struct Query {
    metric: Metric,
    raw: Vec<f32>,
    norm: f32,
    /// `raw / norm`, or zeros.
    unit: Vec<f32>,
    codes: QueryCodes,
    /// Made when it is asked for: an exact search does not.
    sketch: OnceCell<Sketch>,
}

impl Query {
    /// Checks a vector and derives its codes.
    ///
    /// # Errors
    ///
    /// Another dimension than the rows'; NaN, infinities, or a length over 1e18; under cosine a
    /// length under 1e-18.
    pub fn new(rows: &Rows, vector: &[f32]) -> Result<Self, QueryError> {
        Self::with_metric(rows, vector, rows.metric())
    }

    /// A query that scores by cosine, whatever the metric of the rows; rows without direction have 0.
    ///
    /// # Errors
    ///
    /// As [`Query::new`] of rows under cosine.
    pub fn cosine(rows: &Rows, vector: &[f32]) -> Result<Self, QueryError> {
        Self::with_metric(rows, vector, Metric::Cosine)
    }

    fn with_metric(rows: &Rows, vector: &[f32], metric: Metric) -> Result<Self, QueryError> {
        if vector.len() != rows.dim() {
            return Err(BadVector::Dimension { expected: rows.dim(), found: vector.len() });
        }
        let norm = quantize::norm(vector)?;
        if norm < quantize::MIN_NORM && metric == Metric::Cosine {
            return Err(BadVector::NoDirection { norm });
        }
        let inverse = if norm < quantize::MIN_NORM { 0.0 } else { 1.0 / norm };
        let unit: Vec<f32> = vector.iter().map(|x| x * inverse).collect();
        let codes = QueryCodes::new(&unit);
        let raw = vector.to_vec();
        Ok(Self { metric, raw, norm, unit, codes, sketch: OnceCell::new() })
    }

    /// The row's score, from float32.
    #[must_use]
    #[inline(always)]
    pub fn score(&self, rows: &Rows, row: u32) -> f32 {
        let vector = rows.vector(row);
        match self.metric {
            Metric::Cosine => kernels::dot(&self.unit, vector) * rows.facts(row).inverse_norm,
            Metric::Dot => kernels::dot(&self.raw, vector),
            Metric::L2 => -kernels::squared_l2(&self.raw, vector),
        }
    }

    /// Scores that [`score`](Self::score) cannot exceed, for two rows, from their int8 codes.
    #[inline(always)]
    pub(super) fn upper_bounds(&self, rows: &Rows, pair: [u32; 2]) -> [f32; 2] {
        let products = kernels::dot_codes_pair(&self.codes.codes, pair.map(|row| rows.codes(row)));
        let [a, b] = pair;
        let [product_a, product_b] = products;
        [self.upper_bound(rows, a, product_a), self.upper_bound(rows, b, product_b)]
    }

    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "the loss is within the bound's slack")]
    fn upper_bound(&self, rows: &Rows, row: u32, product: i32) -> f32 {
        let facts = rows.facts(row);
        let cosine = product as f32 * (facts.unit_scale * self.codes.step)
            + (facts.unit_error + self.codes.error);
        match self.metric {
            Metric::Cosine => cosine,
            Metric::Dot => cosine * facts.norm * self.norm,
            Metric::L2 => {
                let squares = self.norm * self.norm + facts.norm * facts.norm;
                2.0 * cosine * facts.norm * self.norm
                    - squares * (1.0 - 4.0 * kernels::dot_error(self.raw.len()))
            }
        }
    }

    /// A score that [`score`](Self::score) cannot exceed, from the row's codes where it has them.
    #[must_use]
    pub fn score_at_most(&self, rows: &Rows, row: u32) -> f32 {
        if super::bitmap::contains(rows.coded(), row) {
            self.upper_bounds(rows, [row, row])[0]
        } else {
            f32::INFINITY
        }
    }

    /// About what [`score`](Self::score) gives, for two rows, from their int8 codes.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn estimates(&self, rows: &Rows, pair: [u32; 2]) -> [f32; 2] {
        let products = kernels::dot_codes_pair(&self.codes.codes, pair.map(|row| rows.codes(row)));
        let ([row_a, row_b], [a, b]) = (pair, products);
        [(row_a, a), (row_b, b)].map(|(row, product)| {
            let facts = rows.facts(row);
            let cosine = product as f32 * (facts.unit_scale * self.codes.step);
            match self.metric {
                Metric::Cosine => cosine,
                Metric::Dot => cosine * facts.norm * self.norm,
                Metric::L2 => {
                    2.0 * cosine * facts.norm * self.norm
                        - (self.norm * self.norm + facts.norm * facts.norm)
                }
            }
        })
    }

    /// The least cosine that a row scoring `score` can have, its norm being in `norms`.
    pub(super) fn least_cosine(&self, score: f32, norms: (f32, f32)) -> f32 {
        let at = |norm: f32| match self.metric {
            Metric::Cosine => score,
            Metric::Dot => score / (norm * self.norm),
            Metric::L2 => (self.norm * self.norm + norm * norm + score) / (2.0 * norm * self.norm),
        };
        smaller(at(norms.0), at(norms.1))
    }

    /// Whether the query has a direction, so that one-bit codes tell something.
    pub(super) fn has_direction(&self) -> bool {
        self.norm >= quantize::MIN_NORM
    }

    /// What one-bit codes are compared with; `rows` are those that the query was made for.
    pub(super) fn sketch(&self, rows: &Rows) -> &Sketch {
        self.sketch.get_or_init(|| Sketch::new(rows, &self.unit))
    }
}
