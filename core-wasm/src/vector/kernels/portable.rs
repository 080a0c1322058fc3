//! Lanes as arrays: every target, and the reference that the others must equal bit for bit.

use super::Weights;
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

/// Adds to the sum of each row what `tables` say of the half bytes of its code; sums end at 254.
///
/// Codes have sixteen bytes, and sixteen rows make a block: the first bytes of all of them, then the
/// second bytes, and so on. Two tables belong to each byte, one to its lower and one to its upper half.
/// `sums` has a place for each row of whole blocks.
pub fn half_byte_sums(tables: &[[u8; 16]; 32], codes: &[u8], sums: &mut [u8]) {
    let entry =
        |table: &[u8; 16], half: u8| table.get(usize::from(half)).copied().unwrap_or_default();
    for (block, sums) in codes.as_chunks::<256>().0.iter().zip(sums.as_chunks_mut::<16>().0) {
        for (bytes, [low, high]) in block.as_chunks::<16>().0.iter().zip(tables.as_chunks::<2>().0)
        {
            for (sum, byte) in sums.iter_mut().zip(bytes) {
                *sum = sum
                    .saturating_add(entry(low, byte & 15))
                    .saturating_add(entry(high, byte >> 4));
            }
        }
        for sum in sums {
            *sum = (*sum).min(254);
        }
    }
}

/// Which of 64 values are `from` to `from + width`: a bit for each, the first one lowest.
#[must_use]
pub fn within(values: &[u8; 64], from: u8, width: u8) -> u64 {
    values
        .iter()
        .rev()
        .fold(0, |bits, value| bits << 1 | u64::from(value.wrapping_sub(from) <= width))
}

/// The summed weights, three bits each, of the bits in which a code differs from a query: for each two
/// words, `weights` has the query's, and those of the weights' bits, lowest first. At most 7 * 8,192.
#[must_use]
pub fn weighted_hamming(weights: &[Weights], code: &[u64]) -> u32 {
    let each = weights.iter().zip(code.as_chunks::<2>().0);
    each.fold(0, |sum, ([query, ones, twos, fours], code)| {
        let count = |plane: &[u64; 2]| {
            let words = query.iter().zip(code).zip(plane);
            words.map(|((query, code), plane)| ((query ^ code) & plane).count_ones()).sum::<u32>()
        };
        sum + count(ones) + 2 * count(twos) + 4 * count(fours)
    })
}

/// [`weighted_hamming`] for four codes of one length at a time.
#[must_use]
pub fn weighted_hamming_four(weights: &[Weights], codes: [&[u64]; 4]) -> [u32; 4] {
    codes.map(|code| weighted_hamming(weights, code))
}
