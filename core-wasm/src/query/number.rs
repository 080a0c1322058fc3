//! Numbers compared exactly, whatever their spelling: `1` is `1.0`, and `2^53 + 1` is not the float
//! next to it.
//!
//! A number is kept in one canonical form: as an integer whenever its value is an integer in the
//! 64-bit range, even if it was written as a float. So equal numbers have equal forms, and an integer
//! only ever meets a float that has a fraction (and is therefore below `2^53`) or lies outside the
//! 64-bit range. Neither comparison rounds anything.

use core::cmp::Ordering;

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;

/// A JSON number by its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(Form);

/// The canonical form.
#[derive(Clone, Copy, Debug)]
enum Form {
    Small(i64),
    /// Above `i64::MAX`.
    Large(u64),
    /// With a fraction, or outside `-2^63 ..= 2^64 - 1`. Never NaN.
    Float(f64),
}

impl Number {
    /// The number that `text`, a valid JSON number, spells. Text that is none gives zero.
    pub(super) fn parse(text: &[u8]) -> Self {
        if let Some(small) = short_integer(text) {
            return Self::from(small);
        }
        let Ok(text) = core::str::from_utf8(text) else { return Self::from(0) };
        if let Ok(small) = text.parse::<i64>() {
            Self::from(small)
        } else if let Ok(large) = text.parse::<u64>() {
            Self(Form::Large(large))
        } else {
            Self::from_f64(text.parse().unwrap_or(0.0))
        }
    }

    /// The number of this value; NaN gives zero.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an integer in the range of the type is converted exactly"
    )]
    pub(super) fn from_f64(value: f64) -> Self {
        if value.is_nan() {
            Self::from(0)
        } else if value.trunc() != value || !(-TWO_POW_63..TWO_POW_64).contains(&value) {
            Self(Form::Float(value))
        } else if value < TWO_POW_63 {
            Self(Form::Small(value as i64))
        } else {
            Self(Form::Large(value as u64))
        }
    }
}

impl Number {
    /// The greatest float that is not above it, and how far it lies above: less than 2048, and 0 for
    /// whatever is a float. A zero is the positive one.
    #[expect(clippy::cast_possible_truncation, reason = "floats at most 2048 apart")]
    pub(super) fn floor(self) -> (f64, u16) {
        match self.0 {
            Form::Small(small) => {
                let nearest = small as f64;
                let float =
                    if nearest as i128 > i128::from(small) { nearest.next_down() } else { nearest };
                (float, (i128::from(small) - float as i128) as u16)
            }
            Form::Large(large) => {
                let nearest = large as f64;
                let float =
                    if nearest as u128 > u128::from(large) { nearest.next_down() } else { nearest };
                (float, (u128::from(large) - float as u128) as u16)
            }
            Form::Float(float) => (float, 0),
        }
    }

    /// The float nearest to it; the number itself if it was written as a float.
    pub(super) fn as_f64(self) -> f64 {
        match self.0 {
            Form::Small(small) => small as f64,
            Form::Large(large) => large as f64,
            Form::Float(float) => float,
        }
    }

    /// Its value if it is an integer in the 64-bit range.
    pub(super) fn as_integer(self) -> Option<i128> {
        match self.0 {
            Form::Small(small) => Some(small.into()),
            Form::Large(large) => Some(large.into()),
            Form::Float(_) => None,
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Form::Small(value))
    }
}

/// Integers of at most 18 digits: most numbers, and they cannot overflow.
fn short_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.len() > 18 || digits.is_empty() {
        return None;
    }
    let mut value = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if digits.len() < text.len() { -value } else { value })
}

/// An integer of the `i64` range against a float of the canonical form.
#[expect(clippy::cast_possible_truncation, reason = "a float with a fraction is below 2^53")]
fn small_to_float(small: i64, float: f64) -> Ordering {
    if float >= TWO_POW_63 {
        Ordering::Less
    } else if float < -TWO_POW_63 || small > float.floor() as i64 {
        Ordering::Greater
    } else {
        Ordering::Less // equal to the floor, so below the float, which has a fraction
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Form::Small(left), Form::Small(right)) => left.cmp(&right),
            (Form::Large(left), Form::Large(right)) => left.cmp(&right),
            (Form::Float(left), Form::Float(right)) => left.total_cmp(&right),
            (Form::Small(_), Form::Large(_)) => Ordering::Less,
            (Form::Large(_), Form::Small(_)) => Ordering::Greater,
            (Form::Small(left), Form::Float(right)) => small_to_float(left, right),
            (Form::Float(left), Form::Small(right)) => small_to_float(right, left).reverse(),
            (Form::Large(_), Form::Float(right)) if right >= TWO_POW_64 => Ordering::Less,
            (Form::Large(_), Form::Float(_)) => Ordering::Greater,
            (Form::Float(left), Form::Large(_)) if left >= TWO_POW_64 => Ordering::Greater,
            (Form::Float(_), Form::Large(_)) => Ordering::Less,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter() {
        for same in [
            ["1", "1.0"],
            ["0", "-0.0"],
            ["-0", "0e9"],
            ["100", "1e2"],
            ["9007199254740992", "9007199254740992.0"],
            ["9223372036854775808", "9223372036854775808.0"],
            ["-9223372036854775808", "-9223372036854775808.0"],
            ["1e300", "10e299"],
            ["1e-400", "0"],
        ] {
            let [left, right] = same.map(|text| Number::parse(text.as_bytes()));
            assert_eq!(left, right, "{same:?}");
        }
    }

    #[test]
    fn the_order_is_exact() {
        let ascending = [
            "-1e300",
            "-18446744073709551616.0",
            "-9223372036854777856.0",
            "-9223372036854775808",
            "-9223372036854775807",
            "-9007199254740993",
            "-9007199254740992.0",
            "-2",
            "-1.5",
            "-1",
            "-0.5",
            "-5e-324",
            "0",
            "5e-324",
            "0.1",
            "1",
            "1.0000000000000002",
            "2",
            "4503599627370495.5",
            "4503599627370496",
            "9007199254740991",
            "9007199254740992.0",
            "9007199254740993",
            "9223372036854774784.0",
            "9223372036854775807",
            "9223372036854775808.0",
            "9223372036854775809",
            "18446744073709549568.0",
            "18446744073709551615",
            "18446744073709551616.0",
            "1e300",
        ];
        for (left_place, left) in ascending.iter().enumerate() {
            for (right_place, right) in ascending.iter().enumerate() {
                let order = Number::parse(left.as_bytes()).cmp(&Number::parse(right.as_bytes()));
                assert_eq!(order, left_place.cmp(&right_place), "{left} {right}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_zero() {
        for text in ["", "-", "x", "1x", "--1"] {
            assert_eq!(Number::parse(text.as_bytes()), Number::from(0), "{text}");
        }
        assert_eq!(Number::parse(b"\xff"), Number::from_f64(f64::NAN));
    }
}
