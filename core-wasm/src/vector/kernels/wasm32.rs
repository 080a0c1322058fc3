//! Lanes as SIMD128 registers, for WebAssembly.
#![allow(unsafe_code, reason = "v128_load takes a raw pointer")]

use core::arch::wasm32::{
    f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, f32x4_sub, i8x16_add, i8x16_popcnt,
    i8x16_splat, i16x8_add, i16x8_extadd_pairwise_u8x16, i16x8_load_extend_i8x8, i16x8_shuffle,
    i16x8_splat, i32x4_add, i32x4_dot_i16x8, i32x4_extadd_pairwise_i16x8, i32x4_extract_lane,
    i32x4_splat, v128, v128_and, v128_load, v128_store, v128_xor,
};

use super::generic::{self, Floats, Integers};

#[derive(Clone, Copy)]
struct Register(v128);

impl Floats for Register {
    #[inline(always)]
    fn zero() -> Self {
        Self(f32x4_splat(0.0))
    }
    #[inline(always)]
    fn load(from: &[f32; 4]) -> Self {
        // SAFETY: the reference covers the 16 bytes read; v128_load needs no alignment.
        Self(unsafe { v128_load(from.as_ptr().cast()) })
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(f32x4_sub(self.0, other.0))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = [
            f32x4_extract_lane::<0>(self.0),
            f32x4_extract_lane::<1>(self.0),
            f32x4_extract_lane::<2>(self.0),
            f32x4_extract_lane::<3>(self.0),
        ];
        (a + c) + (b + d)
    }
}

#[derive(Clone, Copy)]
struct Sums(v128);

impl Integers for Sums {
    #[inline(always)]
    fn zero() -> Self {
        Self(i32x4_splat(0))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(i32x4_add(self.0, other.0))
    }
    #[inline(always)]
    fn multiply(query: &[i16; 8], codes: &[i8; 8]) -> Self {
        // SAFETY: the references cover the 16 and the 8 bytes read; neither load needs alignment.
        let (query, codes) = unsafe {
            (v128_load(query.as_ptr().cast()), i16x8_load_extend_i8x8(codes.as_ptr().cast()))
        };
        Self(i32x4_dot_i16x8(query, codes))
    }
    #[inline(always)]
    fn sum(self) -> i32 {
        let [a, b, c, d] = [
            i32x4_extract_lane::<0>(self.0),
            i32x4_extract_lane::<1>(self.0),
            i32x4_extract_lane::<2>(self.0),
            i32x4_extract_lane::<3>(self.0),
        ];
        a.wrapping_add(b).wrapping_add(c).wrapping_add(d)
    }
}

/// As the portable `dot`: the same bits.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    generic::dot::<Register>(a, b)
}

/// As the portable `squared_l2`: the same bits.
#[must_use]
pub fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    generic::squared_l2::<Register>(a, b)
}

/// As the portable `dot_codes_pair`: exact.
#[must_use]
pub fn dot_codes_pair(query: &[i16], codes: [&[i8]; 2]) -> [i32; 2] {
    generic::dot_codes_pair::<Sums>(query, codes)
}

/// As the portable `hamming_rows`: exact.
///
/// Popcounts are added up as bytes, widened, and eight rows are summed at once by a tree of three
/// interleaving additions, so that a row costs no horizontal sum. Measured at 384 bits: 1.6 ns a
/// row, against 2.5 with a horizontal sum and 4.5 with scalar popcounts.
pub fn hamming_rows(query: &[u64], codes: &[u64], out: &mut [u16]) {
    match query.len() {
        6 => hamming_blocks::<6>(query, codes, out),
        8 => hamming_blocks::<8>(query, codes, out),
        12 => hamming_blocks::<12>(query, codes, out),
        16 => hamming_blocks::<16>(query, codes, out),
        24 => hamming_blocks::<24>(query, codes, out),
        _ => hamming_blocks::<ANY>(query, codes, out),
    }
}

/// The number of words where it is not known when this is compiled.
const ANY: usize = 0;

/// No closures here: one that is called from several places is not inlined, and then its result, a
/// register, goes through memory.
#[inline(always)]
fn hamming_blocks<const WORDS: usize>(query: &[u64], codes: &[u64], out: &mut [u16]) {
    let words = query.len().max(1);
    let (out_blocks, out_rest) = out.as_chunks_mut::<8>();
    let code_blocks = codes.chunks_exact(words * 8);
    let codes_rest = codes.get(out_blocks.len() * words * 8..).unwrap_or_default();
    for (codes, out) in code_blocks.zip(out_blocks) {
        let (r0, r1) = (count_row::<WORDS, 0>(query, codes), count_row::<WORDS, 1>(query, codes));
        let (r2, r3) = (count_row::<WORDS, 2>(query, codes), count_row::<WORDS, 3>(query, codes));
        let (r4, r5) = (count_row::<WORDS, 4>(query, codes), count_row::<WORDS, 5>(query, codes));
        let (r6, r7) = (count_row::<WORDS, 6>(query, codes), count_row::<WORDS, 7>(query, codes));
        let even = interleave_add(interleave_add(r0, r4), interleave_add(r2, r6));
        let odd = interleave_add(interleave_add(r1, r5), interleave_add(r3, r7));
        // SAFETY: `out` is eight u16, the sixteen bytes written; no alignment is needed.
        unsafe { v128_store(out.as_mut_ptr().cast(), interleave_add(even, odd)) };
    }
    for (code, out) in codes_rest.chunks_exact(words).zip(out_rest) {
        let sums = i32x4_extadd_pairwise_i16x8(count_row::<WORDS, 0>(query, code));
        *out = narrow(Sums(sums).sum());
    }
}

/// `[a0 + a4, b0 + b4, a1 + a5, b1 + b5, ...]`: half of a transposing sum.
#[inline(always)]
fn interleave_add(a: v128, b: v128) -> v128 {
    i16x8_add(
        i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b),
        i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b),
    )
}

/// Eight partial counts of the bits in which a query and one of consecutive codes differ.
#[inline(always)]
fn count_row<const WORDS: usize, const ROW: usize>(query: &[u64], codes: &[u64]) -> v128 {
    let words = if WORDS == ANY { query.len() } else { WORDS };
    match (query.get(..words), codes.get(ROW * words..(ROW + 1) * words)) {
        (Some(query), Some(code)) => count(query, code),
        _ => i16x8_splat(0),
    }
}

/// Eight partial counts of the bits in which two codes differ.
#[inline(always)]
fn count(query: &[u64], code: &[u64]) -> v128 {
    let (query, _) = query.as_chunks::<2>();
    let (code, _) = code.as_chunks::<2>();
    let mut total = i16x8_splat(0);
    let mut at = 0;
    while at < query.len() {
        // A byte holds 255: thirty-one counts of at most eight.
        let end = query.len().min(at + 31);
        let mut bytes = i8x16_splat(0);
        while at < end {
            let (Some(q), Some(c)) = (query.get(at), code.get(at)) else { break };
            // SAFETY: the references cover the 16 bytes that each load reads.
            let (q, c) = unsafe { (v128_load(q.as_ptr().cast()), v128_load(c.as_ptr().cast())) };
            bytes = i8x16_add(bytes, i8x16_popcnt(v128_xor(q, c)));
            at += 1;
        }
        total = i16x8_add(total, i16x8_extadd_pairwise_u8x16(bytes));
        at = end;
    }
    total
}

/// At most 128 * 64 = 8,192, so nothing is lost.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8,192")]
fn narrow(bits: i32) -> u16 {
    bits as u16
}

/// As the portable `weighted_hamming`: exact.
#[must_use]
pub fn weighted_hamming(query: &[u64], planes: [&[u64]; 3], code: &[u64]) -> u32 {
    let [ones, twos, fours] = planes.map(|plane| plane.as_chunks::<2>().0);
    let mut total = i32x4_splat(0);
    let codes = query.as_chunks::<2>().0.iter().zip(code.as_chunks::<2>().0);
    for ((((q, c), one), two), four) in codes.zip(ones).zip(twos).zip(fours) {
        // SAFETY: each reference covers the 16 bytes that its load reads.
        let [q, c, one, two, four] =
            [q, c, one, two, four].map(|words| unsafe { v128_load(words.as_ptr().cast()) });
        let differ = v128_xor(q, c);
        let count = |plane| i8x16_popcnt(v128_and(differ, plane));
        let twice = |bytes| i8x16_add(bytes, bytes);
        // Bytes: at most 8 * 7 each.
        let bytes = i8x16_add(count(one), twice(i8x16_add(count(two), twice(count(four)))));
        let pairs = i16x8_extadd_pairwise_u8x16(bytes);
        total = i32x4_add(total, i32x4_extadd_pairwise_i16x8(pairs));
    }
    u32::try_from(Sums(total).sum()).unwrap_or_default()
}
