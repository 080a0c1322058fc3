//! A pseudo-random rotation, so that one-bit codes tell angles whatever the embedding looks like.
//!
//! # Theory of operation
//!
//! The signs of a randomly rotated vector are a sketch of its direction: two vectors at angle `t`
//! differ in about `t / pi` of them (Charikar, "Similarity estimation techniques from rounding
//! algorithms", 2002). A full random rotation costs `dim^2`; flipping random signs and applying a
//! Walsh-Hadamard transform a few times mixes as well in practice at `dim log dim` (Ailon and
//! Chazelle, "The fast Johnson-Lindenstrauss transform", 2009). Where `dim` is not a power of two
//! `p`, the transform is applied to the first `p` and to the last `p` components in turn.
//!
//! The transform must be scaled to be orthogonal: else the components that two blocks share outgrow
//! the others (measured: a bias of 0.09 in cosine). Seeded by a constant, so codes are the same on
//! every host; they are never stored, so the constant may change between releases.

const SEED: u64 = 0x6b6f_7275_5f76_6563;
const ROUNDS: usize = 3;

/// The rotation of one dimension.
pub(super) struct Rotation {
    /// `ROUNDS` times `dim` factors: a sign, and the scale that makes the transform orthogonal.
    factors: Vec<f32>,
    dim: usize,
}

impl Rotation {
    pub(super) fn new(dim: usize) -> Self {
        let mut state = SEED;
        let power = power(dim);
        #[expect(clippy::cast_precision_loss, reason = "a dimension is at most 8,192")]
        let scale = 1.0 / (power as f32).sqrt();
        let factor = |index: usize| {
            let (round, at) = (index / dim, index % dim);
            let from = first(round, dim);
            let size = if (from..from + power).contains(&at) { scale } else { 1.0 };
            if next(&mut state) >> 63 == 0 { size } else { -size }
        };
        Self { factors: (0..dim * ROUNDS).map(factor).collect(), dim }
    }

    /// Writes the rotated vector to `work`.
    pub(super) fn rotate(&self, vector: &[f32], work: &mut Vec<f32>) {
        work.clear();
        work.extend_from_slice(vector);
        for (round, factors) in self.factors.chunks_exact(self.dim).enumerate() {
            for (x, factor) in work.iter_mut().zip(factors) {
                *x *= factor;
            }
            let from = first(round, self.dim);
            hadamard(work.get_mut(from..from + power(self.dim)).unwrap_or_default());
        }
    }
}

/// The largest power of two that is at most `dim`.
fn power(dim: usize) -> usize {
    1 << dim.max(1).ilog2()
}

/// Where the components that a round transforms start.
fn first(round: usize, dim: usize) -> usize {
    if round.is_multiple_of(2) { 0 } else { dim - power(dim) }
}

/// Writes a bit for each value, set where `is_set`; bits past the last value are clear.
pub(super) fn pack(values: &[f32], bits: &mut [u64], is_set: impl Fn(f32) -> bool) {
    bits.fill(0);
    for (bits, part) in bits.iter_mut().zip(values.chunks(64)) {
        // Eight short chains of shifts instead of a long one.
        for (at, eight) in (0..64).step_by(8).zip(part.chunks(8)) {
            let byte = eight.iter().rev().fold(0, |byte, &x| byte << 1 | u64::from(is_set(x)));
            *bits |= byte << at;
        }
    }
}

/// The Walsh-Hadamard transform in place; the length is a power of two.
///
/// Two levels at a time, on four lanes at once, so that it is half loads and stores and half sums.
fn hadamard(values: &mut [f32]) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    for four in fours.iter_mut() {
        let [a, b, c, d] = *four;
        let (e, f, g, h) = (a + b, a - b, c + d, c - d);
        *four = [e + g, f + h, e - g, f - h];
    }
    if let [a, b] = rest {
        (*a, *b) = (*a + *b, *a - *b);
    }
    let mut step = 1;
    while step * 4 <= fours.len() {
        for block in fours.chunks_exact_mut(step * 4) {
            let (low, high) = block.split_at_mut(step * 2);
            let ((a, b), (c, d)) = (low.split_at_mut(step), high.split_at_mut(step));
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (e, f, g, h) = (add(*a, *b), sub(*a, *b), add(*c, *d), sub(*c, *d));
                (*a, *b, *c, *d) = (add(e, g), add(f, h), sub(e, g), sub(f, h));
            }
        }
        step *= 4;
    }
    if step * 2 <= fours.len() {
        let (low, high) = fours.split_at_mut(step);
        for (a, b) in low.iter_mut().zip(high) {
            (*a, *b) = (add(*a, *b), sub(*a, *b));
        }
    }
}

#[inline(always)]
fn add([a, b, c, d]: [f32; 4], [e, f, g, h]: [f32; 4]) -> [f32; 4] {
    [a + e, b + f, c + g, d + h]
}

#[inline(always)]
fn sub([a, b, c, d]: [f32; 4], [e, f, g, h]: [f32; 4]) -> [f32; 4] {
    [a - e, b - f, c - g, d - h]
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hadamard_is_orthogonal() {
        for length in [1_usize, 2, 4, 8, 64] {
            let input: Vec<f32> = (0..length).map(|i| (i * i % 7) as f32 - 3.0).collect();
            let mut twice = input.clone();
            hadamard(&mut twice);
            hadamard(&mut twice);
            let scaled: Vec<f32> = input.iter().map(|x| x * length as f32).collect();
            assert_eq!(twice, scaled);
        }
    }

    #[test]
    fn a_rotation_keeps_lengths() {
        for dim in [1, 2, 3, 100, 384, 1_000, 1_024] {
            let input: Vec<f32> = (0..dim).map(|i| (i * i % 11) as f32 - 4.0).collect();
            let mut rotated = Vec::new();
            Rotation::new(dim).rotate(&input, &mut rotated);
            let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!((norm(&rotated) / norm(&input) - 1.0).abs() < 1e-5, "{dim}");
        }
    }

    #[test]
    fn differing_signs_tell_the_angle() {
        // One-hot vectors are the worst case without mixing: all but two signs would agree.
        for dim in [100, 384, 1_000] {
            let rotation = Rotation::new(dim);
            let code = |at: usize| {
                let mut vector = vec![0.0; dim];
                vector[at] = 1.0;
                let mut bits = vec![0; dim.div_ceil(64)];
                let mut rotated = Vec::new();
                rotation.rotate(&vector, &mut rotated);
                pack(&rotated, &mut bits, f32::is_sign_negative);
                bits
            };
            for (a, b) in [(0, 1), (3, dim - 1), (dim / 2, dim / 3)] {
                let differ: u32 =
                    code(a).iter().zip(code(b)).map(|(a, b)| (a ^ b).count_ones()).sum();
                let share = f64::from(differ) / dim as f64;
                assert!((share - 0.5).abs() < 0.2, "{dim} {a} {b}: {share}");
            }
        }
    }
}
