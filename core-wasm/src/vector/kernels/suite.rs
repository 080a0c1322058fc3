//! One suite for every implementation, against naive oracles: run by `cargo test` on the portable
//! kernels, and inside the module (feature `selftest`) on the SIMD128 ones.

use super::{dot_error, portable};

/// The kernels of one implementation.
struct Kernels {
    dot: fn(&[f32], &[f32]) -> f32,
    squared_l2: fn(&[f32], &[f32]) -> f32,
    dot_codes_pair: fn(&[i16], [&[i8]; 2]) -> [i32; 2],
    hamming_rows: fn(&[u64], &[u64], &mut [u16]),
    #[expect(clippy::type_complexity, reason = "three slices of one kind")]
    weighted_hamming: fn(&[u64], [&[u64]; 3], &[u64]) -> u32,
}

/// Stamps the suite on a module of kernels.
macro_rules! kernels_of {
    ($module:ident) => {
        Kernels {
            dot: super::$module::dot,
            squared_l2: super::$module::squared_l2,
            dot_codes_pair: super::$module::dot_codes_pair,
            hamming_rows: super::$module::hamming_rows,
            weighted_hamming: super::$module::weighted_hamming,
        }
    };
}

/// Every length that exercises a different mix of wide steps and left-overs, and the usual ones.
fn lengths() -> impl Iterator<Item = usize> {
    (1..=67).chain([96, 127, 128, 129, 300, 384, 768, 1_000, 1_024, 1_536, 3_072, 8_191, 8_192])
}

/// 0, or the number of the first check that failed: on the platform's own kernels, then on the
/// portable ones.
#[must_use]
pub fn run() -> u32 {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if let Err(check) = check(&kernels_of!(wasm32)) {
        return check;
    }
    check(&kernels_of!(portable)).err().map_or(0, |check| check + 100)
}

fn check(kernels: &Kernels) -> Result<(), u32> {
    for length in lengths() {
        for seed in 0..3 {
            check_floats(kernels, length, seed)?;
            check_codes(kernels, length, seed)?;
        }
        check_bits(kernels, length)?;
    }
    Ok(())
}

fn ensure(condition: bool, check: u32) -> Result<(), u32> {
    if condition { Ok(()) } else { Err(check) }
}

fn check_floats(kernels: &Kernels, length: usize, seed: u64) -> Result<(), u32> {
    let mut state = seed << 32 | length as u64;
    let mut vector = || -> Vec<f32> { (0..length).map(|_| float(&mut state)).collect() };
    let (a, b) = (vector(), vector());
    let pairs = || a.iter().zip(&b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    let bound = f64::from(dot_error(length));

    let dot = f64::from((kernels.dot)(&a, &b));
    let products: f64 = pairs().map(|(x, y)| (x * y).abs()).sum();
    ensure((dot - pairs().map(|(x, y)| x * y).sum::<f64>()).abs() <= bound * products, 1)?;
    ensure((kernels.dot)(&a, &b).to_bits() == portable::dot(&a, &b).to_bits(), 2)?;
    ensure((kernels.dot)(&a, &b).to_bits() == (kernels.dot)(&b, &a).to_bits(), 3)?;

    let distance = f64::from((kernels.squared_l2)(&a, &b));
    let expected: f64 = pairs().map(|(x, y)| (x - y) * (x - y)).sum();
    ensure((distance - expected).abs() <= 2.0 * bound * expected, 4)?;
    let portable = portable::squared_l2(&a, &b);
    ensure((kernels.squared_l2)(&a, &b).to_bits() == portable.to_bits(), 5)?;
    ensure((kernels.squared_l2)(&a, &a) == 0.0, 6)
}

#[expect(clippy::cast_possible_truncation, reason = "random bits, cut to size on purpose")]
fn check_codes(kernels: &Kernels, length: usize, seed: u64) -> Result<(), u32> {
    let mut state = seed << 32 | length as u64;
    let limit = (i32::MAX as usize / (127 * length)).min(32_767) as u64;
    let mut code = |peak: u64| {
        // Seed 0 is the worst case: everything at its peak.
        let bits = if seed == 0 { 2 * peak } else { random(&mut state) % (2 * peak + 1) };
        bits as i32 - peak as i32
    };
    let query: Vec<i16> = (0..length).map(|_| code(limit) as i16).collect();
    let rows = [0, 1].map(|_| (0..length).map(|_| code(127) as i8).collect::<Vec<i8>>());
    let expected = rows
        .each_ref()
        .map(|row| query.iter().zip(row).map(|(&q, &c)| i64::from(q) * i64::from(c)).sum::<i64>());
    let [a, b] = rows.each_ref().map(Vec::as_slice);
    ensure((kernels.dot_codes_pair)(&query, [a, b]).map(i64::from) == expected, 11)
}

fn check_bits(kernels: &Kernels, length: usize) -> Result<(), u32> {
    let words = length.div_ceil(128) * 2;
    let mut state = length as u64;
    for rows in [0, 1, 7, 8, 9, 24, 31] {
        let query: Vec<u64> = (0..words).map(|_| random(&mut state)).collect();
        let mut codes: Vec<u64> = (0..words * rows).map(|_| random(&mut state)).collect();
        // The largest distance there is, and none.
        for (code, q) in codes.iter_mut().zip(&query) {
            *code = !q;
        }
        for (code, q) in codes.iter_mut().skip(words).zip(&query) {
            *code = *q;
        }
        let mut found = vec![u16::MAX; rows];
        (kernels.hamming_rows)(&query, &codes, &mut found);
        let expected = codes
            .chunks_exact(words)
            .map(|code| query.iter().zip(code).map(|(q, c)| (q ^ c).count_ones()).sum::<u32>());
        ensure(found.iter().map(|&bits| u32::from(bits)).eq(expected), 21)?;
    }
    for fill in [0, u64::MAX, random(&mut state)] {
        let [q, c, p0, p1, p2] = [1, 0, 1, 1, 1].map(|random_bits| -> Vec<u64> {
            (0..words)
                .map(|_| if random_bits == 1 { random(&mut state) | fill } else { !fill })
                .collect()
        });
        let bit =
            |words: &[u64], at: usize| words.get(at / 64).map_or(0, |word| word >> (at % 64) & 1);
        let weight = |at| bit(&p0, at) + 2 * bit(&p1, at) + 4 * bit(&p2, at);
        let expected: u64 =
            (0..words * 64).map(|at| (bit(&q, at) ^ bit(&c, at)) * weight(at)).sum();
        let found = (kernels.weighted_hamming)(&q, [&p0, &p1, &p2], &c);
        ensure(u64::from(found) == expected, 22)?;
    }
    Ok(())
}

/// -1 to 1, now and then a thousand times larger or smaller.
#[expect(clippy::cast_precision_loss, reason = "any float will do")]
fn float(state: &mut u64) -> f32 {
    let bits = random(state);
    let unit = (bits >> 40) as f32 / (1_u64 << 23) as f32 - 1.0;
    match bits & 15 {
        0 => unit * 1_000.0,
        1 => unit / 1_000.0,
        _ => unit,
    }
}

/// An xorshift generator (Marsaglia, 2003), its state spread by a multiplication.
fn random(state: &mut u64) -> u64 {
    let mut x = *state | 1 << 63;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    x.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_kernel_equals_its_oracle() {
        assert_eq!(super::run(), 0);
    }
}
