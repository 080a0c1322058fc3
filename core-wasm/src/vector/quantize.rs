//! int8 codes of rows and int16 codes of queries, with a proven bound on what they lose.
//!
//! A row `x` scaled to length one is `u`; its codes `c` are `u / unit_scale` rounded, with the
//! largest component at 127. What is lost, `e = u - unit_scale * c`, is measured when the row is
//! added, so for a query `v` of length one, with codes `d` and loss `f = v - step * d`,
//!
//! ```text
//! |v.u - unit_scale * step * (c.d)| = |v.e + f.(u - e)| <= |e| + |f| (1 + |e|)
//! ```
//!
//! by Cauchy and Schwarz. About 0.01 at 384 dimensions. A search that keeps every row whose upper
//! bound reaches the worst hit in hand, and scores those from float32, is therefore **exact**.

use super::chunk::Facts;
use super::{BadVector, kernels};

/// Shorter vectors have no direction: their squares are lost to underflow.
pub(super) const MIN_NORM: f32 = 1e-18;
/// Longer vectors overflow when multiplied.
pub(super) const MAX_NORM: f32 = 1e18;

/// The largest int8 code.
const ROW_PEAK: f32 = 127.0;
/// What rounding while a bound is computed can add: some sixty times the real 2^-24 each.
const ROUNDING: f32 = 4e-6;

/// The Euclidean norm.
///
/// # Errors
///
/// A component that is NaN or infinite, or a norm over [`MAX_NORM`].
pub(super) fn norm(vector: &[f32]) -> Result<f32, BadVector> {
    let square = kernels::dot(vector, vector);
    let norm = if square > 1e-30 && square.is_finite() {
        square.sqrt()
    } else if let Some(component) = vector.iter().position(|x| !x.is_finite()) {
        return Err(BadVector::NotFinite { component });
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_DIM.sqrt() * f32::MAX")]
        let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32;
        norm
    };
    if norm <= MAX_NORM { Ok(norm) } else { Err(BadVector::TooLong { norm }) }
}

/// What is known of a row before its codes are: bounds that exclude nothing.
pub(super) fn facts(norm: f32) -> Facts {
    let inverse_norm = if norm < MIN_NORM { 0.0 } else { 1.0 / norm };
    Facts { unit_scale: 0.0, unit_error: 1.01, norm, inverse_norm }
}

/// Writes the codes of a row and says what they mean.
pub(super) fn row_codes(vector: &[f32], norm: f32, codes: &mut [i8]) -> Facts {
    if norm < MIN_NORM {
        codes.fill(0);
        return facts(norm);
    }
    let peak = peak(vector);
    let factor = ROW_PEAK / peak;
    let (fours, rest) = vector.as_chunks::<4>();
    let (code_fours, code_rest) = codes.as_chunks_mut::<4>();
    let mut squares = [0.0; 4];
    for (codes, four) in code_fours.iter_mut().zip(fours) {
        let [a, b, c, d] = four.map(|x| round(x * factor));
        let [e, f, g, h] = four.map(|x| x * factor);
        let gaps = [e - a, f - b, g - c, h - d];
        for (square, gap) in squares.iter_mut().zip(gaps) {
            *square += gap * gap;
        }
        *codes = [a, b, c, d].map(code);
    }
    for (into, x) in code_rest.iter_mut().zip(rest) {
        let rounded = round(x * factor);
        *into = code(rounded);
        let [square, ..] = &mut squares;
        *square += (x * factor - rounded) * (x * factor - rounded);
    }
    let lost = squares.iter().sum::<f32>().sqrt() * (1.0 + ROUNDING);
    let scale = peak / ROW_PEAK;
    let unit_scale = scale / norm;
    Facts { unit_scale, unit_error: lost * unit_scale + ROUNDING, norm, inverse_norm: 1.0 / norm }
}

/// To the nearest whole number, ties to the even one, for values that float32 holds to a quarter:
/// adding this constant leaves no room for fractions. Compiles to two vector additions.
#[inline(always)]
fn round(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (x + SHIFT) - SHIFT
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a whole number from -127 to 127")]
fn code(rounded: f32) -> i8 {
    rounded as i32 as i8
}

/// The int16 codes of a query of length one (or zero).
pub(super) struct QueryCodes {
    pub(super) codes: Vec<i16>,
    pub(super) step: f32,
    /// To be added to a row's `unit_error`: the query's own loss, and that of float32 scoring.
    pub(super) error: f32,
}

impl QueryCodes {
    #[expect(clippy::cast_precision_loss, reason = "an error bound, rounded generously")]
    pub(super) fn new(unit: &[f32]) -> Self {
        // The widest codes whose dot product with 127s fits an i32.
        let limit = (i32::MAX as usize / (127 * unit.len().max(1))).min(32_767) as f32;
        let peak = peak(unit);
        let factor = if peak > 0.0 { limit.floor() / peak } else { 0.0 };
        let mut codes = vec![0; unit.len()];
        let lost = code_query(unit, factor, &mut codes);
        let step = if factor > 0.0 { 1.0 / factor } else { 0.0 };
        let lost = step * lost.sqrt() * (1.0 + 100.0 * ROUNDING);
        // A row's unit_error is at most 1.01, so its factor (1 + |e|) is at most 2.01.
        let error = 2.01 * lost + 2.0 * kernels::dot_error(unit.len()) + ROUNDING;
        Self { codes, step, error }
    }
}

/// Writes the codes of a query, and says what they lose: a sum of squares.
fn code_query(unit: &[f32], factor: f32, codes: &mut [i16]) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 32,767 after scaling")]
    let code = |x: f32| round(x * factor) as i32 as i16;
    let gap = |x: f32| x * factor - round(x * factor);
    let (fours, rest) = unit.as_chunks::<4>();
    let (code_fours, code_rest) = codes.as_chunks_mut::<4>();
    let mut squares = [0.0; 4];
    for (codes, four) in code_fours.iter_mut().zip(fours) {
        *codes = four.map(code);
        for (square, gap) in squares.iter_mut().zip(four.map(gap)) {
            *square += gap * gap;
        }
    }
    for (into, &x) in code_rest.iter_mut().zip(rest) {
        *into = code(x);
    }
    squares.into_iter().sum::<f32>() + rest.iter().map(|&x| gap(x) * gap(x)).sum::<f32>()
}

pub(super) fn peak(vector: &[f32]) -> f32 {
    let (wide, rest) = vector.as_chunks::<4>();
    let mut peaks = [0.0_f32; 4];
    for four in wide {
        for (peak, x) in peaks.iter_mut().zip(four) {
            let x = x.abs();
            *peak = if x > *peak { x } else { *peak };
        }
    }
    rest.iter().map(|x| x.abs()).chain(peaks).fold(0.0, f32::max)
}
