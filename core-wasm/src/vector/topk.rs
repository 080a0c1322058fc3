//! The best `k` of a stream of scored rows.
//!
//! A buffer of up to `2k` entries is cut back to the best `k` whenever it is full (a selection in
//! linear time), so `n` offers cost O(n + k log k) and offers below the floor cost one comparison.
//!
//! The order is total: higher score first, equal scores by the caller's `tie`, which must be a
//! total order of rows (by key, or by row number). So the answer does not depend on the order in
//! which rows were offered.

use core::cmp::Ordering;

use crate::float::larger;

/// A row and its score: higher is better under every metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The row number.
    pub row: u32,
    /// See [`Metric`](super::Metric) for what it means.
    pub score: f32,
}

/// Orders two rows with equal scores: `Less` puts the first one first.
pub type Tie<'a> = &'a dyn Fn(u32, u32) -> Ordering;

/// What rows are ranked by instead of their scores.
pub trait Weigh {
    /// What a row of a score is ranked by, at most that score; `None` leaves the row out.
    fn weigh(&self, row: u32, score: f32) -> Option<f32>;

    /// A factor, at most 1, with which no positive score of the row weighs less than it does. Cheap:
    /// it decides which rows are scored.
    fn most(&self, row: u32) -> f32;
}

/// Collects the best `k` hits.
pub struct TopK<'a> {
    k: usize,
    floor: f32,
    /// The least weighed score among the best `k`, once there are so many.
    worst: f32,
    hits: Vec<Hit>,
    tie: Tie<'a>,
    weigh: Option<&'a dyn Weigh>,
}

impl<'a> TopK<'a> {
    /// For the best `k` rows among those that score at least `threshold`.
    #[must_use]
    pub fn new(k: usize, threshold: Option<f32>, tie: Tie<'a>) -> Self {
        let k = k.max(1);
        let floor = threshold.unwrap_or(f32::NEG_INFINITY);
        Self { k, floor, worst: f32::NEG_INFINITY, hits: Vec::new(), tie, weigh: None }
    }

    /// The same, ranking by weighed scores, which hits have. The threshold is about scores as they were.
    /// Since no weighed score exceeds the score, a row whose score is below the floor has no chance
    /// here either.
    #[must_use]
    pub fn weighed(self, weigh: Option<&'a dyn Weigh>) -> Self {
        Self { weigh, ..self }
    }

    /// What a row must reach to have a chance. It only rises.
    #[must_use]
    #[inline(always)]
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// Whether rows are ranked by something else than their scores.
    #[must_use]
    pub fn is_weighed(&self) -> bool {
        self.weigh.is_some()
    }

    /// A factor, at most 1, with which no positive score of the row weighs less than it does.
    #[must_use]
    #[inline(always)]
    pub fn most(&self, row: u32) -> f32 {
        self.weigh.map_or(1.0, |weigh| weigh.most(row))
    }

    /// What rows must score to have a chance if no factor of theirs is more than this.
    #[must_use]
    pub fn floor_at(&self, most: f32) -> f32 {
        larger(self.floor, self.worst / most)
    }

    /// Whether a row whose score is no more than `bound` weighs too little to be one of the best.
    #[must_use]
    #[inline(always)]
    pub fn outweighs(&self, row: u32, bound: f32) -> bool {
        self.is_weighed() && bound >= 0.0 && bound * self.most(row) < self.worst
    }

    /// Whether `k` rows are in hand, so that [`floor`](Self::floor) is the worst of them.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.hits.len() >= self.k
    }

    /// Takes the row if it may be one of the best.
    #[inline]
    pub fn offer(&mut self, row: u32, score: f32) {
        if score >= self.floor {
            let score = match self.weigh {
                None => score,
                Some(weigh) => match weigh.weigh(row, score) {
                    Some(weighed) if weighed >= self.worst => weighed,
                    _ => return,
                },
            };
            // Adding zero turns -0.0 into 0.0, which the order below would tell apart.
            self.hits.push(Hit { row, score: score + 0.0 });
            if self.hits.len() >= (2 * self.k).max(16) {
                self.settle();
            }
        }
    }

    /// Cuts back to the best `k` and raises the floor to the worst of them.
    pub fn settle(&mut self) {
        if self.hits.len() < self.k {
            return;
        }
        let tie = self.tie;
        let (_, worst, _) = self.hits.select_nth_unstable_by(self.k - 1, |a, b| order(a, b, tie));
        self.worst = worst.score;
        self.floor = larger(self.floor, worst.score);
        self.hits.truncate(self.k);
    }

    /// The hits, best first.
    #[must_use]
    pub fn finish(mut self) -> Vec<Hit> {
        let tie = self.tie;
        self.settle();
        self.hits.sort_unstable_by(|a, b| order(a, b, tie));
        self.hits
    }
}

fn order(a: &Hit, b: &Hit, tie: Tie<'_>) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| tie(a.row, b.row))
}
