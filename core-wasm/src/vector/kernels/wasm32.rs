//! Lanes as SIMD128 registers, for WebAssembly.
#![allow(unsafe_code, reason = "v128_load takes a raw pointer")]

use core::arch::wasm32::{
    f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, f32x4_sub, i8x16_add, i8x16_popcnt,
    i8x16_splat, i8x16_swizzle, i16x8_add, i16x8_extadd_pairwise_u8x16, i16x8_load_extend_i8x8,
    i16x8_splat, i32x4_add, i32x4_dot_i16x8, i32x4_extadd_pairwise_i16x8, i32x4_extract_lane,
    i32x4_splat, u8x16_add_sat, u8x16_bitmask, u8x16_le, u8x16_min, u8x16_shr, u8x16_splat,
    u8x16_sub, v128, v128_and, v128_load, v128_store, v128_xor,
};

use super::Weights;
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
///
/// Once in the module: whoever scores rows waits for memory, not for a call.
#[must_use]
#[inline(never)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    generic::dot::<Register>(a, b)
}

/// As the portable `squared_l2`: the same bits. Once in the module, as [`dot`].
#[must_use]
#[inline(never)]
pub fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    generic::squared_l2::<Register>(a, b)
}

/// As the portable `dot_codes_pair`: exact.
#[must_use]
pub fn dot_codes_pair(query: &[i16], codes: [&[i8]; 2]) -> [i32; 2] {
    generic::dot_codes_pair::<Sums>(query, codes)
}

/// As the portable `half_byte_sums`: exact.
///
/// A table is a register, and a swizzle looks sixteen rows' halves up in it at once; rows are lanes, so
/// nothing is ever summed across a register. Four blocks share the loads of the tables. All bytes are
/// spelt out, since wasmtime looks at its deadline at the end of each loop, and keeps sums that live
/// past that in memory.
pub fn half_byte_sums(tables: &[[u8; 16]; 32], codes: &[u8], sums: &mut [u8]) {
    // Codes may reach further than sums: parted at the same rows, they have to end at the same one.
    let rows = sums.len().min(codes.len() / 16);
    let (fours, rest) = sums.get_mut(..rows).unwrap_or_default().as_chunks_mut::<64>();
    let (code_fours, code_rest) = codes.get(..rows * 16).unwrap_or_default().as_chunks::<1024>();
    for (codes, sums) in code_fours.iter().zip(fours) {
        let ([a, b, c, d], []) = sums.as_chunks_mut::<16>() else { return };
        let mut four = (load(a), load(b), load(c), load(d));
        four = add_four::<0>(four, tables, codes);
        four = add_four::<2>(four, tables, codes);
        four = add_four::<4>(four, tables, codes);
        four = add_four::<6>(four, tables, codes);
        four = add_four::<8>(four, tables, codes);
        four = add_four::<10>(four, tables, codes);
        four = add_four::<12>(four, tables, codes);
        four = add_four::<14>(four, tables, codes);
        store_capped(four.0, a);
        store_capped(four.1, b);
        store_capped(four.2, c);
        store_capped(four.3, d);
    }
    let rest = rest.as_chunks_mut::<16>().0;
    for (codes, sums) in code_rest.as_chunks::<256>().0.iter().zip(rest) {
        let mut sum = load(sums);
        for (tables, codes) in tables.as_chunks::<2>().0.iter().zip(codes.as_chunks::<16>().0) {
            sum = look_up(sum, (load(&tables[0]), load(&tables[1])), load(codes));
        }
        store_capped(sum, sums);
    }
}

#[inline(always)]
fn load(from: &[u8; 16]) -> v128 {
    // SAFETY: the reference covers the 16 bytes read; v128_load needs no alignment.
    unsafe { v128_load(from.as_ptr().cast()) }
}

/// The sums of four blocks.
type Four = (v128, v128, v128, v128);

/// Adds what the tables say of two bytes of four blocks, from `AT` on.
#[inline(always)]
fn add_four<const AT: usize>(four: Four, tables: &[[u8; 16]; 32], codes: &[u8; 1024]) -> Four {
    let four = add_byte(four, tables, codes, AT);
    let four = add_byte(four, tables, codes, AT + 1);
    let mut places = four;
    // Written so that it is computed here: wasmtime computes what a stretch of code is for after all of
    // its loads, for which there are not enough registers.
    // SAFETY: `places` is a variable.
    unsafe {
        (&raw mut places.0).write_volatile(four.0);
        (&raw mut places.1).write_volatile(four.1);
        (&raw mut places.2).write_volatile(four.2);
        (&raw mut places.3).write_volatile(four.3);
    }
    four
}

#[inline(always)]
fn add_byte((a, b, c, d): Four, tables: &[[u8; 16]; 32], codes: &[u8; 1024], at: usize) -> Four {
    let (tables, codes) = (tables.as_chunks::<2>().0, codes.as_chunks::<16>().0);
    let code = |block: usize| codes.get(block * 16 + at).map_or(i8x16_splat(0), load);
    let tables = tables
        .get(at)
        .map_or((i8x16_splat(0), i8x16_splat(0)), |[low, high]| (load(low), load(high)));
    (
        look_up(a, tables, code(0)),
        look_up(b, tables, code(1)),
        look_up(c, tables, code(2)),
        look_up(d, tables, code(3)),
    )
}

/// Adds what two tables say of the halves of sixteen bytes.
#[inline(always)]
fn look_up(sum: v128, (lower, upper): (v128, v128), bytes: v128) -> v128 {
    let sum = u8x16_add_sat(sum, i8x16_swizzle(lower, v128_and(bytes, i8x16_splat(15))));
    u8x16_add_sat(sum, i8x16_swizzle(upper, u8x16_shr(bytes, 4)))
}

#[inline(always)]
fn store_capped(sum: v128, out: &mut [u8; 16]) {
    // SAFETY: the reference covers the 16 bytes written; v128_store needs no alignment.
    unsafe { v128_store(out.as_mut_ptr().cast(), u8x16_min(sum, u8x16_splat(254))) };
}

/// As the portable `within`.
#[must_use]
#[inline(always)]
pub fn within(values: &[u8; 64], from: u8, width: u8) -> u64 {
    let (from, width) = (u8x16_splat(from), u8x16_splat(width));
    values.as_chunks::<16>().0.iter().rev().fold(0, |bits, values| {
        let is_within = u8x16_le(u8x16_sub(load(values), from), width);
        bits << 16 | u64::from(u8x16_bitmask(is_within))
    })
}

/// As the portable `weighted_hamming`: exact.
#[must_use]
pub fn weighted_hamming(weights: &[Weights], code: &[u64]) -> u32 {
    let mut sum = i16x8_splat(0);
    for (weights, code) in weights.iter().zip(code.as_chunks::<2>().0) {
        sum = i16x8_add(sum, weigh(weights, code));
    }
    total(sum)
}

/// As the portable `weighted_hamming_four`: exact.
///
/// Four rows share the loads of the query, and what they miss of the caches they miss at the same time.
#[must_use]
pub fn weighted_hamming_four(weights: &[Weights], codes: [&[u64]; 4]) -> [u32; 4] {
    let [a, b, c, d] = codes.map(|code| code.as_chunks::<2>().0);
    let [mut sum_a, mut sum_b, mut sum_c, mut sum_d] = [i16x8_splat(0); 4];
    for ((((weights, a), b), c), d) in weights.iter().zip(a).zip(b).zip(c).zip(d) {
        sum_a = i16x8_add(sum_a, weigh(weights, a));
        sum_b = i16x8_add(sum_b, weigh(weights, b));
        sum_c = i16x8_add(sum_c, weigh(weights, c));
        sum_d = i16x8_add(sum_d, weigh(weights, d));
    }
    [total(sum_a), total(sum_b), total(sum_c), total(sum_d)]
}

#[inline(always)]
fn words(from: &[u64; 2]) -> v128 {
    // SAFETY: the reference covers the 16 bytes read; v128_load needs no alignment.
    unsafe { v128_load(from.as_ptr().cast()) }
}

/// The weights of the bits in which two words of 128 differ: eight sums, at most 112 each.
#[inline(always)]
fn weigh([query, ones, twos, fours]: &Weights, code: &[u64; 2]) -> v128 {
    let differ = v128_xor(words(query), words(code));
    let ones = i8x16_popcnt(v128_and(differ, words(ones)));
    let twos = i8x16_popcnt(v128_and(differ, words(twos)));
    let fours = i8x16_popcnt(v128_and(differ, words(fours)));
    let twos = i8x16_add(twos, i8x16_add(fours, fours));
    i16x8_extadd_pairwise_u8x16(i8x16_add(ones, i8x16_add(twos, twos)))
}

/// At most 64 * 8 * 112, so nothing is lost.
#[inline(always)]
fn total(sums: v128) -> u32 {
    u32::try_from(Sums(i32x4_extadd_pairwise_i16x8(sums)).sum()).unwrap_or_default()
}
