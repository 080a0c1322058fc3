//! How much a memory's relevance counts, by its age and its importance.

use crate::float::{larger, smaller};

/// More than rounding takes from a bound, to float32 too.
const SLACK: f64 = 1.0 + 1e-6;

/// A bound found at one time holds for so long after it: this part of the half-life.
const STAYS: f64 = 1.0 / 64.0;

/// Weights and half-life of a recall.
#[derive(Clone, Copy)]
pub(super) struct Lift {
    weights: [f64; 3],
    now_us: u64,
    half_life_us: f64,
    /// The weights over their sum, and half-lives in a microsecond: bounds are found with these, without
    /// dividing, and have slack for what that rounds differently.
    shares: [f64; 3],
    half_lives: f64,
}

impl Lift {
    /// With weights of relevance, recency and importance, of which one is not 0, at a time, for a
    /// positive half-life; both in microseconds.
    pub(super) fn new(weights: [f64; 3], now_us: u64, half_life_us: f64) -> Self {
        let sum: f64 = weights.iter().sum();
        let shares = weights.map(|weight| weight / sum);
        // Finite, so that no age at all stays none.
        let half_lives = smaller(half_life_us.recip(), f64::MAX);
        Self { weights, now_us, half_life_us, shares, half_lives }
    }

    /// The factor, at most 1, and the recency, of what was written at a time.
    pub(super) fn of(&self, written_us: u64, importance: f64) -> (f64, f64) {
        let recency = (-(self.age_us(written_us) / self.half_life_us)).exp2();
        let [first, second, third] = self.weights;
        let mean = (first + second * recency + third * importance) / (first + second + third);
        (smaller(mean, 1.0), recency)
    }

    /// What the factor cannot exceed, give or take nothing: it is at most a hundredth more, and found
    /// without raising anything to a power.
    #[inline]
    pub(super) fn at_most(&self, written_us: u64, importance: f64) -> f64 {
        let [first, second, third] = self.shares;
        let recency = power_at_most(self.age_us(written_us) * self.half_lives);
        smaller(first + second * recency + third * importance, 1.0) * SLACK
    }

    /// Whether what [`Lift::at_most`] says here holds there, and is little more: factors only fall.
    pub(super) fn covers(&self, later: &Self) -> bool {
        let same = self.weights == later.weights && self.half_life_us == later.half_life_us;
        same && later.now_us >= self.now_us
            && later.age_us(self.now_us) <= self.half_life_us * STAYS
    }

    /// What the factor cannot exceed at any age.
    #[inline]
    pub(super) fn at_any_age(&self, importance: f64) -> f64 {
        let [first, second, third] = self.shares;
        smaller(first + second + third * importance, 1.0) * SLACK
    }

    fn age_us(&self, written_us: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an age, for its half-lives")]
        let age = self.now_us.saturating_sub(written_us) as f64;
        age
    }
}

/// No less than 2 to the power of `-age`, and at most a sixteenth more.
///
/// The bits of a float are its exponent and behind it its fraction: taken as one number, they are the
/// logarithm, with straight lines in place of its bends. A power of two lies below its chords.
fn power_at_most(age: f64) -> f64 {
    const BIAS: f64 = 1023.0;
    const FRACTION: f64 = (1_u64 << 52) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,023")]
    let bits = (larger(BIAS - age, 0.0) * FRACTION) as u64;
    larger(f64::from_bits(bits), f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bound_is_near_and_never_below(
            age in prop_oneof![0.0..3.0_f64, 0.0..2000.0_f64],
            weights in prop::array::uniform3(0.0..4.0_f64),
            importance in 0.0..=1.0_f64,
        ) {
            prop_assume!(weights.iter().sum::<f64>() > 0.0);
            let power = (-age).exp2();
            prop_assert!(power_at_most(age) * SLACK >= power);
            prop_assert!(power_at_most(age) <= power * 1.0625 + f64::MIN_POSITIVE);

            let lift = Lift::new(weights, 2_000_000_000, 1e6);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
            let written = 2_000_000_000 - (age * 1e6) as u64;
            let (factor, _) = lift.of(written, importance);
            prop_assert!(lift.at_most(written, importance) >= factor);
            prop_assert!(lift.at_any_age(importance) >= factor);
        }
    }

    #[test]
    fn what_was_written_just_now_has_the_whole_factor() {
        let lift = Lift::new([1.0, 1.0, 1.0], 5, 1.0);
        assert_eq!(lift.of(5, 1.0), (1.0, 1.0));
        assert_eq!(lift.of(9, 1.0), (1.0, 1.0)); // The clock went back.
        assert!(lift.at_most(5, 1.0) >= 1.0);
        assert_eq!(power_at_most(f64::INFINITY), f64::MIN_POSITIVE);
        let brief = Lift::new([0.0, 1.0, 0.0], 5, f64::MIN_POSITIVE / 4.0);
        assert!(brief.at_most(5, 1.0) >= brief.of(5, 1.0).0);
    }
}
