//! How much a memory's relevance counts, by its age and its importance.

use super::Recall;

/// Weights and half-life of a recall.
pub(super) struct Lift {
    weights: [f64; 3],
    now_us: u64,
    half_life_us: f64,
}

impl Lift {
    pub(super) fn new(recall: &Recall<'_>) -> Self {
        let Recall { weights, now_us, half_life_us, .. } = *recall;
        Self { weights, now_us, half_life_us }
    }

    /// The factor, at most 1, and the recency, of what was written at a time.
    pub(super) fn of(&self, written_us: u64, importance: f64) -> (f64, f64) {
        #[expect(clippy::cast_precision_loss, reason = "an age, for its half-lives")]
        let age = self.now_us.saturating_sub(written_us) as f64;
        let recency = (-age / self.half_life_us).exp2();
        let [first, second, third] = self.weights;
        let mean =
            (first + second * recency + third * importance) / self.weights.iter().sum::<f64>();
        (mean.min(1.0), recency)
    }
}
