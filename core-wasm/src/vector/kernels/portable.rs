//! Lanes as arrays: every target, and the reference that the others must equal bit for bit.

use super::generic::{self, Floats, Integers};

#[derive(Clone, Copy)]
struct Array([f32; 4]);

impl Array {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [e, g, h, i]) = (self.0, other.0);
        Self([f(a, e), f(b, g), f(c, h), f(d, i)])
    }
}

impl Floats for Array {
    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; 4])
    }
    #[inline(always)]
    fn load(from: &[f32; 4]) -> Self {
        Self(*from)
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
}

#[derive(Clone, Copy)]
struct Sums([i32; 4]);

impl Integers for Sums {
    #[inline(always)]
    fn zero() -> Self {
        Self([0; 4])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.wrapping_add(e), b.wrapping_add(f), c.wrapping_add(g), d.wrapping_add(h)])
    }
    #[inline(always)]
    fn multiply(query: &[i16; 8], codes: &[i8; 8]) -> Self {
        let pair = |q: i16, c: i8| i32::from(q) * i32::from(c);
        let [q0, q1, q2, q3, q4, q5, q6, q7] = *query;
        let [c0, c1, c2, c3, c4, c5, c6, c7] = *codes;
        Self([
            pair(q0, c0) + pair(q1, c1),
            pair(q2, c2) + pair(q3, c3),
            pair(q4, c4) + pair(q5, c5),
            pair(q6, c6) + pair(q7, c7),
        ])
    }
    #[inline(always)]
    fn sum(self) -> i32 {
        self.0.into_iter().fold(0, i32::wrapping_add)
    }
}

/// The dot product of two float32 slices of one length. Error: see
/// [`dot_error`](super::dot_error).
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    generic::dot::<Array>(a, b)
}

/// The squared Euclidean distance of two float32 slices of one length.
#[must_use]
pub fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    generic::squared_l2::<Array>(a, b)
}

/// The exact dot products of int16 query codes and the int8 codes of two rows.
#[must_use]
pub fn dot_codes_pair(query: &[i16], codes: [&[i8]; 2]) -> [i32; 2] {
    generic::dot_codes_pair::<Sums>(query, codes)
}

/// How many bits of `query` differ from each of the consecutive codes of `query.len()` words, one
/// distance per place in `out`. Codes have an even number of words, at most 128.
#[expect(clippy::cast_possible_truncation, reason = "a distance is at most 128 * 64 = 8,192")]
pub fn hamming_rows(query: &[u64], codes: &[u64], out: &mut [u16]) {
    for (code, out) in codes.chunks_exact(query.len().max(1)).zip(out) {
        *out = query.iter().zip(code).map(|(q, c)| (q ^ c).count_ones()).sum::<u32>() as u16;
    }
}

/// `sum of 2^j * popcount((query ^ code) & planes[j])`: the summed weights, three bits each, of the
/// bits that differ. At most 7 * 8,192.
#[must_use]
pub fn weighted_hamming(query: &[u64], planes: [&[u64]; 3], code: &[u64]) -> u32 {
    let [ones, twos, fours] = planes;
    let words = query.iter().zip(code).zip(ones).zip(twos).zip(fours);
    words.fold(0, |sum, ((((q, c), one), two), four)| {
        let differ = q ^ c;
        let count = |plane: &u64| (differ & plane).count_ones();
        sum + count(one) + 2 * count(two) + 4 * count(four)
    })
}
