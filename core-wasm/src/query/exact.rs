//! Sums of floats and integers without any rounding, rounded once at the end.
//!
//! Every float is an integer times 2^-1074, so a wide enough integer holds any sum of them exactly:
//! Kulisch's accumulator. Here it is a window of the digits that occurred, in base 2^32, each in 64
//! bits with a sign: adding touches three of them, and carries wait until a billion additions could
//! have filled a digit. Prices and counts need a handful of digits. Nothing overflows on the way, and
//! the outcome does not depend on the order of the additions.
//!
//! The sum, or its quotient by a count, becomes the float nearest to it, of two the one with an even
//! last bit: as Python's `float(sum(map(Fraction, values)) / n)`, and for sums as `math.fsum`.

/// The bits of a digit.
const DIGIT_BITS: i32 = 32;
const DIGIT: i64 = 0xFFFF_FFFF;
/// The bit that 1 is: a multiple of [`DIGIT_BITS`], above the 1074 bits behind the point.
const POINT: i32 = 1088;
/// Additions after which carries are resolved: each adds less than 2^32 to a digit of 2^63.
const MAX_PENDING: u32 = 1 << 30;
/// Digits behind the last one that a quotient gets, so that enough of its bits are true: a divisor of
/// 64 bits and 55 bits of a float.
const QUOTIENT_DIGITS: usize = 4;

/// A sum.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact {
    /// The number of the first digit in the window; digit 0 begins 2^-1088.
    first: usize,
    digits: Vec<i64>,
    pending: u32,
}

impl Exact {
    /// Adds a finite float.
    pub(super) fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let (exponent, fraction) = (bits >> 52 & 0x7FF, bits & ((1 << 52) - 1));
        // Floats below 2^-1022 have no leading one, and the exponent of those above.
        let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        if mantissa != 0 {
            let place = POINT - 1074 + i32::try_from(exponent.max(1)).unwrap_or(0) - 1;
            self.add_at(mantissa.into(), place, value.is_sign_negative());
        }
    }

    /// Adds an integer.
    pub(super) fn add_integer(&mut self, value: i128) {
        let magnitude = value.unsigned_abs();
        self.add_at(magnitude & u128::from(u64::MAX), POINT, value < 0);
        self.add_at(magnitude >> 64, POINT + 64, value < 0);
    }

    /// The bytes beside the structure itself.
    pub(super) fn bytes(&self) -> usize {
        self.digits.capacity() * size_of::<i64>()
    }

    /// Adds a magnitude of at most 64 bits, whose lowest bit is at `place`.
    fn add_at(&mut self, magnitude: u128, place: i32, negative: bool) {
        let mut rest = magnitude << (place % DIGIT_BITS);
        let digit = usize::try_from(place / DIGIT_BITS).unwrap_or(0);
        for number in digit..digit + 3 {
            let part = i64::try_from(rest & 0xFFFF_FFFF).unwrap_or(0);
            rest >>= DIGIT_BITS;
            if part != 0 {
                *self.digit(number) += if negative { -part } else { part };
            }
        }
        self.pending += 1;
        if self.pending == MAX_PENDING {
            self.carry();
        }
    }

    /// The digit of this number, with the window widened to it.
    fn digit(&mut self, number: usize) -> &mut i64 {
        if self.digits.is_empty() {
            self.first = number;
        } else if number < self.first {
            let missing = self.first - number;
            self.digits.splice(..0, core::iter::repeat_n(0, missing));
            self.first = number;
        }
        let place = number - self.first;
        if place >= self.digits.len() {
            self.digits.resize(place + 1, 0);
        }
        #[expect(clippy::indexing_slicing, reason = "the window was just widened to it")]
        &mut self.digits[place]
    }

    /// Makes every digit but the last one non-negative and below 2^32.
    fn carry(&mut self) {
        self.pending = 0;
        let mut carry = 0;
        for digit in &mut self.digits {
            *digit += carry;
            carry = *digit >> DIGIT_BITS;
            *digit &= DIGIT;
        }
        if carry != 0 {
            self.digits.push(carry);
        }
    }

    /// The sum, rounded; infinite if it is beyond all floats.
    pub(super) fn sum(self) -> f64 {
        self.quotient(1)
    }

    /// The sum divided by `count`, rounded once.
    pub(super) fn quotient(mut self, count: u64) -> f64 {
        self.carry();
        let negative = self.digits.last().is_some_and(|&last| last < 0);
        if negative {
            self.digits.iter_mut().for_each(|digit| *digit = -*digit);
            self.carry();
        }
        let divisor = u128::from(count.max(1));
        let mut remainder = 0_u128;
        let mut quotient = vec![0_u32; self.digits.len() + QUOTIENT_DIGITS];
        let zeros = core::iter::repeat_n(&0, QUOTIENT_DIGITS);
        for (digit, to) in self.digits.iter().rev().chain(zeros).zip(quotient.iter_mut().rev()) {
            remainder = remainder << DIGIT_BITS | u128::from(digit.unsigned_abs());
            *to = u32::try_from(remainder / divisor).unwrap_or(u32::MAX);
            remainder %= divisor;
        }
        let first = i32::try_from(self.first).unwrap_or(0);
        let quotient_digits = i32::try_from(QUOTIENT_DIGITS).unwrap_or(0);
        let magnitude =
            round(&quotient, (first - quotient_digits) * DIGIT_BITS - POINT, remainder > 0);
        if negative { -magnitude } else { magnitude }
    }
}

/// The float nearest to the digits times 2^`exponent`, and a little more with `sticky`.
fn round(digits: &[u32], exponent: i32, sticky: bool) -> f64 {
    let bit = |place: i32| {
        let place = usize::try_from(place).ok()?;
        Some(digits.get(place / 32)? >> (place % 32) & 1 == 1)
    };
    let length = i32::try_from(digits.len()).unwrap_or(0) * DIGIT_BITS;
    let Some(top) = (0..length).rev().find(|&place| bit(place) == Some(true)) else { return 0.0 };
    // The last bit of the float: 52 below its first, but none is below 2^-1074.
    let last = (top - 52).max(-1074 - exponent);
    let mut mantissa = (last..=top)
        .rev()
        .fold(0_u64, |mantissa, place| mantissa << 1 | u64::from(bit(place) == Some(true)));
    let half = bit(last - 1) == Some(true);
    let more = sticky || (0..last - 1).any(|place| bit(place) == Some(true));
    if half && (more || mantissa & 1 == 1) {
        mantissa += 1;
    }
    // The mantissa's first bit is bit 52 and adds one to the exponent, which so stands one too low;
    // without one, the exponent is that of the smallest floats, 0. Rounding up carries into it.
    let raised = u64::try_from(last + exponent + 1074).unwrap_or(0);
    let bits = (raised << 52) + mantissa;
    if bits >> 52 >= 0x7FF { f64::INFINITY } else { f64::from_bits(bits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> f64 {
        let mut exact = Exact::default();
        values.iter().for_each(|&value| exact.add(value));
        exact.sum()
    }

    #[test]
    fn sums_are_rounded_once() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e308, 1e308, -1e308]), 1e308);
        assert_eq!(sum(&[1e308, 1e308]), f64::INFINITY);
        assert_eq!(sum(&[-f64::MAX, -f64::MAX]), f64::NEG_INFINITY);
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[1e16, 1.0, 1e-16]), 10_000_000_000_000_002.0);
        assert_eq!(sum(&[f64::MAX, 9.9e291]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, 9.98e291]), f64::INFINITY);
        assert_eq!(sum(&[5e-324, 5e-324]), 1e-323);
        assert_eq!(sum(&[2.225_073_858_507_201e-308, 5e-324]), f64::MIN_POSITIVE);
    }

    #[test]
    fn quotients_are_rounded_once() {
        let quotient = |values: &[f64], count| {
            let mut exact = Exact::default();
            values.iter().for_each(|&value| exact.add(value));
            exact.quotient(count)
        };
        assert_eq!(quotient(&[1.0], 3), 1.0 / 3.0);
        assert_eq!(quotient(&[1e308, 1e308], 2), 1e308);
        assert_eq!(quotient(&[5e-324], 2), 0.0);
        assert_eq!(quotient(&[5e-324, 5e-324, 5e-324], 2), 1e-323);
        assert_eq!(quotient(&[-1.0], u64::MAX), -1.0 / 18_446_744_073_709_551_616.0);
    }

    #[test]
    fn integers_are_added_whole() {
        for value in
            [0, 1, -1, (1 << 53) + 1, i128::from(u64::MAX), -(1 << 100) - 1, i128::MAX, i128::MIN]
        {
            let mut exact = Exact::default();
            exact.add_integer(value);
            assert_eq!(exact.clone().sum(), value as f64, "{value}");
            exact.add(0.5);
            exact.add_integer(value.checked_neg().unwrap_or(0));
            assert_eq!(exact.sum(), if value == i128::MIN { value as f64 } else { 0.5 });
        }
    }

    fn float() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
            -1e3..1e3_f64,
            prop::sample::select(vec![
                f64::MAX,
                -f64::MAX,
                5e-324,
                f64::MIN_POSITIVE,
                1e16,
                -1e16,
                0.1
            ]),
        ]
    }

    proptest! {
        #[test]
        fn one_and_two_are_as_the_hardware_adds_them(left in float(), right in float(), count in 1_u64..1 << 53) {
            prop_assert_eq!(sum(&[left]), left);
            prop_assert_eq!(sum(&[left, right]), left + right);
            let mut exact = Exact::default();
            exact.add(left);
            prop_assert_eq!(exact.quotient(count), left / count as f64);
        }

        #[test]
        fn what_is_taken_back_leaves_nothing(values in prop::collection::vec(float(), 0..40), rest in float()) {
            let mut all = values.clone();
            all.push(rest);
            all.extend(values.iter().map(|value| -value));
            prop_assert_eq!(sum(&all), rest);
            all.reverse();
            prop_assert_eq!(sum(&all), rest);
        }
    }
}
