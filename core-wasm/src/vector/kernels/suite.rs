//! One suite for every implementation, against naive oracles: run by `cargo test` on the portable
//! kernels, and inside the module (feature `selftest`) on the SIMD128 ones.

use super::{Weights, dot_error, portable};

/// The kernels of one implementation.
struct Kernels {
    dot: fn(&[f32], &[f32]) -> f32,
    squared_l2: fn(&[f32], &[f32]) -> f32,
    dot_codes_pair: fn(&[i16], [&[i8]; 2]) -> [i32; 2],
    half_byte_sums: fn(&[[u8; 16]; 32], &[u8], &mut [u8]),
    within: fn(&[u8; 64], u8, u8) -> u64,
    weighted_hamming: fn(&[Weights], &[u64]) -> u32,
    weighted_hamming_four: fn(&[Weights], [&[u64]; 4]) -> [u32; 4],
}

/// Stamps the suite on a module of kernels.
macro_rules! kernels_of {
    ($module:ident) => {
        Kernels {
            dot: super::$module::dot,
            squared_l2: super::$module::squared_l2,
            dot_codes_pair: super::$module::dot_codes_pair,
            half_byte_sums: super::$module::half_byte_sums,
            within: super::$module::within,
            weighted_hamming: super::$module::weighted_hamming,
            weighted_hamming_four: super::$module::weighted_hamming_four,
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
    check_half_bytes(kernels)?;
    check_within(kernels)
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
        let planes = [&q, &p0, &p1, &p2].map(|words| words.as_chunks::<2>().0);
        let weights: Vec<Weights> = (0..words / 2)
            .map(|at| planes.map(|words| words.get(at).copied().unwrap_or_default()))
            .collect();
        let found = (kernels.weighted_hamming)(&weights, &c);
        ensure(u64::from(found) == expected, 22)?;
        let four = (kernels.weighted_hamming_four)(&weights, [&c, &q, &p1, &c]);
        let one = |code: &[u64]| portable::weighted_hamming(&weights, code);
        ensure(four == [one(&c), 0, one(&p1), one(&c)], 23)?;
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "random bits, cut to size on purpose")]
fn check_half_bytes(kernels: &Kernels) -> Result<(), u32> {
    let mut state = 5;
    let mut byte = || (random(&mut state) >> 20) as u8;
    // Entries so large that all sums, some, and none end at the cap.
    for (peak, first) in [(255_u8, 255_u8), (255, 0), (13, 0), (7, 30), (7, 0)] {
        // The last chunk of rows has codes of more rows than were ever given out.
        for (blocks, spare) in [(0, 0), (1, 0), (3, 0), (4, 0), (5, 0), (9, 0), (3, 1), (7, 25)] {
            let tables = core::array::from_fn(|_| core::array::from_fn(|_| byte().min(peak)));
            let codes: Vec<u8> = (0..256 * (blocks + spare)).map(|_| byte()).collect();
            let mut found = vec![first; blocks * 16];
            (kernels.half_byte_sums)(&tables, &codes, &mut found);
            let half = |row: usize, at: usize| {
                let byte = codes.get((row / 16 * 16 + at / 2) * 16 + row % 16)?;
                let half = if at.is_multiple_of(2) { byte % 16 } else { byte / 16 };
                tables.get(at)?.get(usize::from(half)).copied().map(u32::from)
            };
            for (row, found) in found.into_iter().enumerate() {
                let sum: u32 = (0..32).filter_map(|at| half(row, at)).sum();
                ensure(u32::from(found) == (u32::from(first) + sum).min(254), 31)?;
            }
        }
    }
    Ok(())
}

fn check_within(kernels: &Kernels) -> Result<(), u32> {
    let values: [u8; 64] = core::array::from_fn(|at| u8::try_from(at * 4 + 3).unwrap_or_default());
    for (from, to) in [(0, 254), (0, 0), (3, 3), (4, 6), (4, 7), (0, 130), (131, 254), (255, 255)] {
        let found = (kernels.within)(&values, from, to - from);
        for (at, value) in values.into_iter().enumerate() {
            ensure((found >> at & 1 == 1) == (from..=to).contains(&value), 32)?;
        }
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
