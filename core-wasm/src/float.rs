//! The larger and the smaller of two floats, for inner loops.
//!
//! What `f64::max` does with NaN no instruction of WebAssembly does, so it is a call. These compare
//! and select.

/// The larger one; `one` if they do not compare.
///
/// ```
/// assert_eq!(koru_delta_core::float::larger(1.5, 2.5), 2.5);
/// ```
#[inline(always)]
pub fn larger<T: PartialOrd>(one: T, other: T) -> T {
    if other > one { other } else { one }
}

/// The smaller one; `one` if they do not compare.
///
/// ```
/// assert_eq!(koru_delta_core::float::smaller(1.5, 2.5), 1.5);
/// ```
#[inline(always)]
pub fn smaller<T: PartialOrd>(one: T, other: T) -> T {
    if other < one { other } else { one }
}
