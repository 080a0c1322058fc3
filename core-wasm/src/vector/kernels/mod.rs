//! The inner loops of vector search.
//!
//! # Theory of operation
//!
//! `generic` writes each loop once, over two small traits of SIMD lanes. `portable` implements
//! the lanes as arrays, `wasm32` as SIMD128 registers, in the layout of the memchr crate. Both do
//! the same operations in the same order, so a score has **the same bits on every host**: no
//! relaxed SIMD, no fused multiply-add, one fixed order of summation. One suite (`suite`) is
//! stamped on both, against naive oracles in `f64` and `i64`.
//!
//! Bounds: a float32 sum of `n` products has an error of at most `n * 2^-24 * sum(|a_i * b_i|)`;
//! [`dot_error`] is what the searches assume. Integer kernels are exact.

mod generic;
#[cfg(any(
    test,
    not(all(target_arch = "wasm32", target_feature = "simd128")),
    feature = "selftest"
))]
pub mod portable;
#[cfg(any(test, feature = "selftest"))]
pub mod suite;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod wasm32;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use portable::{
    dot, dot_codes_pair, half_byte_sums, squared_l2, weighted_hamming, weighted_hamming_four,
    within,
};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm32::{
    dot, dot_codes_pair, half_byte_sums, squared_l2, weighted_hamming, weighted_hamming_four,
    within,
};

/// Two words of a query's signs, and those of the bits of its weights, lowest first.
pub type Weights = [[u64; 2]; 4];

/// How far a float32 dot product of `dim` terms may be off, as a multiple of `|a| * |b|`.
///
/// Sixteen partial sums of `dim / 16` terms, four additions of them, up to fifteen left over:
/// each rounds once by at most 2^-24, and so does each product.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a dimension is at most 8,192")]
pub fn dot_error(dim: usize) -> f32 {
    (dim / 16 + 24) as f32 * (f32::EPSILON / 2.0)
}
