//! Validation of JSON text, without building anything.
//!
//! Values are kept as the bytes the host sent, so they are checked once, here, in one pass and
//! constant memory: RFC 8259 syntax, UTF-8, escaped surrogates in pairs, integers in the 64-bit
//! range (`-2^63 ..= 2^64-1`), floats that are finite, nesting of at most
//! [`MAX_JSON_DEPTH`]. A general parser would accept wider integers by rounding them to floats,
//! which is a silent change of a value.

use crate::error::{Error, Kind, Result};
use crate::limits::MAX_JSON_DEPTH;

/// Checks that `text` is one JSON value as the database keeps them. Linear time.
///
/// # Errors
/// `Serialization` that names the byte offset.
pub fn validate(text: &[u8]) -> Result<()> {
    let mut scanner = Scanner { text, position: 0, is_ascii: true };
    scanner.document().map_err(|problem| {
        Error::new(
            Kind::Serialization,
            format!("the value is not valid JSON: {problem}"),
            "send JSON with 64-bit integers, finite numbers and at most 128 levels",
        )
        .with("offset", scanner.position)
    })
}

type Step = core::result::Result<(), &'static str>;

struct Scanner<'a> {
    text: &'a [u8],
    position: usize,
    /// Whether no byte of a string so far was above ASCII; nothing else may have one.
    is_ascii: bool,
}

impl Scanner<'_> {
    #[inline(always)]
    fn peek(&self) -> u8 {
        self.text.get(self.position).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.position += 1;
        }
    }

    fn document(&mut self) -> Step {
        self.space();
        self.value()?;
        self.space();
        if self.position != self.text.len() {
            Err("more text after the value")
        } else if self.is_ascii || core::str::from_utf8(self.text).is_ok() {
            Ok(())
        } else {
            Err("not valid UTF-8")
        }
    }

    /// Scans one value. Containers are held on an explicit stack of one bit a level (set for an
    /// object), so that hostile nesting cannot exhaust the call stack.
    fn value(&mut self) -> Step {
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            // At the start of a value.
            match self.peek() {
                open @ (b'[' | b'{') => {
                    if depth == MAX_JSON_DEPTH {
                        return Err("nested more than 128 levels deep");
                    }
                    self.position += 1;
                    self.space();
                    let close = open + 2; // ']' follows '[' by two, '}' follows '{' by two
                    if self.peek() == close {
                        self.position += 1;
                    } else {
                        depth += 1;
                        objects = objects << 1 | u128::from(open == b'{');
                        self.name_if(objects & 1 == 1)?;
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            // After a value: close containers until one goes on.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                self.space();
                let close = if objects & 1 == 1 { b'}' } else { b']' };
                let next = self.peek();
                if next == b',' {
                    self.position += 1;
                    self.space();
                    self.name_if(objects & 1 == 1)?;
                    break;
                }
                if next != close {
                    return Err("expected a comma or the end of the array or object");
                }
                self.position += 1;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// Scans a member's name and colon, if in an object.
    #[inline(always)]
    fn name_if(&mut self, object: bool) -> Step {
        if !object {
            return Ok(());
        }
        if self.peek() != b'"' {
            return Err("expected a member name in quotes");
        }
        self.string()?;
        self.space();
        if self.peek() != b':' {
            return Err("expected a colon");
        }
        self.position += 1;
        self.space();
        Ok(())
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Step {
        let rest = self.text.get(self.position..).unwrap_or_default();
        if rest.starts_with(word) {
            self.position += word.len();
            Ok(())
        } else {
            Err("expected a value")
        }
    }

    #[inline(always)]
    fn string(&mut self) -> Step {
        self.position += 1;
        loop {
            while let Some(word) = self.text.get(self.position..).and_then(<[u8]>::first_chunk) {
                let word = u64::from_le_bytes(*word);
                self.is_ascii &= word & EACH_TOP == 0;
                let plain = plain_bytes(word);
                if plain < 8 {
                    self.position += plain;
                    break;
                }
                // By itself, so that the next word does not wait for what this one came to.
                self.position += 8;
            }
            match self.text.get(self.position) {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..32) => return Err("a control character in a string"),
                Some(byte) => {
                    self.is_ascii &= byte.is_ascii();
                    self.position += 1;
                }
                None => return Err("a string without its end"),
            }
        }
    }

    fn escape(&mut self) -> Step {
        self.position += 1;
        let kind = self.peek();
        self.position += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.unit()? {
                0xD800..=0xDBFF => {
                    self.word(b"\\u").map_err(|_| "half of a surrogate pair")?;
                    let low = self.unit()?;
                    if (0xDC00..=0xDFFF).contains(&low) {
                        Ok(())
                    } else {
                        Err("half of a surrogate pair")
                    }
                }
                0xDC00..=0xDFFF => Err("half of a surrogate pair"),
                _ => Ok(()),
            },
            _ => Err("an unknown escape"),
        }
    }

    fn unit(&mut self) -> core::result::Result<u32, &'static str> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek()).to_digit(16).ok_or("expected four hex digits")?;
            unit = unit << 4 | digit;
            self.position += 1;
        }
        Ok(unit)
    }

    #[inline(always)]
    fn digits(&mut self) -> usize {
        let start = self.position;
        while self.peek().is_ascii_digit() {
            self.position += 1;
        }
        self.position - start
    }

    fn number(&mut self) -> Step {
        let start = self.position;
        let negative = self.peek() == b'-';
        self.position += usize::from(negative);
        let leading_zero = self.peek() == b'0';
        match self.digits() {
            0 => return Err("expected a value"),
            1 => {}
            _ if leading_zero => return Err("a number with a leading zero"),
            _ => {}
        }
        let mut float = false;
        if self.peek() == b'.' {
            float = true;
            self.position += 1;
            if self.digits() == 0 {
                return Err("expected digits after the point");
            }
        }
        if matches!(self.peek(), b'e' | b'E') {
            float = true;
            self.position += 1;
            self.position += usize::from(matches!(self.peek(), b'+' | b'-'));
            if self.digits() == 0 {
                return Err("expected digits in the exponent");
            }
        }
        let digits = self.text.get(start..self.position).unwrap_or_default();
        if digits.len() <= 18 && !float {
            return Ok(());
        }
        let text = core::str::from_utf8(digits).map_err(|_| "not valid UTF-8")?;
        let in_range = if float {
            text.parse::<f64>().is_ok_and(f64::is_finite)
        } else if negative {
            text.parse::<i64>().is_ok()
        } else {
            text.parse::<u64>().is_ok()
        };
        if in_range { Ok(()) } else { Err("a number outside the 64-bit range") }
    }
}

/// A one in each of eight bytes, and the top bit of each.
const EACH: u64 = u64::from_le_bytes([1; 8]);
const EACH_TOP: u64 = 128 * EACH;

/// How many of eight bytes, the lowest first, stand for themselves in a string: neither a quote, nor a
/// backslash, nor a control character.
///
/// `(x - n) & !x` has the top bit of the lowest byte less than `n` set, for `n` up to 128, and of no
/// byte below that one; a byte that is looked for is less than 1 once it was taken from itself. From
/// "Bit Twiddling Hacks", section "Determine if a word has a byte less than n".
#[inline(always)]
fn plain_bytes(word: u64) -> usize {
    let less = |word: u64, n: u64| word.wrapping_sub(n * EACH) & !word;
    let equal = |byte: u8| less(word ^ (u64::from(byte) * EACH), 1);
    let special = (equal(b'"') | equal(b'\\') | less(word, 32)) & EACH_TOP;
    special.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }

    #[test]
    fn good_text_passes() {
        let deepest = nested(MAX_JSON_DEPTH);
        for good in [
            "null",
            " true ",
            "-0.0",
            "0",
            "18446744073709551615",
            "-9223372036854775808",
            "9007199254740993",
            "1e308",
            "5e-324",
            "\"\\u0000\\ud83d\\ude00\"",
            "{}",
            "[]",
            "[1, {\"a\": [], \"b\": {\"c\": null}}]",
            deepest.as_str(),
        ] {
            assert_eq!(validate(good.as_bytes()), Ok(()), "{good}");
        }
    }

    #[test]
    fn bad_text_is_refused() {
        let too_deep = nested(MAX_JSON_DEPTH + 1);
        for bad in [
            "",
            " ",
            "NaN",
            "Infinity",
            "1e999",
            "18446744073709551616",
            "-9223372036854775809",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ude00\"",
            "\"\n\"",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\"}",
            "[1 2]",
            "[",
            "]",
            "1 2",
            "tru",
            "{\"a\":}",
            "[}",
            "\0",
            too_deep.as_str(),
            nested(100_000).as_str(),
        ] {
            let error = validate(bad.as_bytes()).map_err(|error| error.kind);
            assert_eq!(error, Err(Kind::Serialization), "{bad:.40}");
        }
        assert!(validate(b"\"\xff\"").is_err());
    }

    proptest! {
        #[test]
        fn plain_bytes_are_those_before_the_first_special_one(bytes in any::<[u8; 8]>()) {
            let special = |byte: &u8| matches!(byte, 0..32 | b'"' | b'\\');
            let expected = bytes.iter().position(special).unwrap_or(8);
            prop_assert_eq!(plain_bytes(u64::from_le_bytes(bytes)), expected);
        }

        #[test]
        fn strings_are_those_of_serde_json(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xc3), Just(0xa9)], 0..20)
        ) {
            let text = [b"[\"", bytes.as_slice(), b"\"]"].concat();
            let oracle: core::result::Result<serde_json::Value, _> = serde_json::from_slice(&text);
            prop_assert_eq!(validate(&text).is_ok(), oracle.is_ok(), "{:?}", text);
        }

        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}",:0-9eE.+\-a-z\\ ]{0,24}"#) {
            let oracle: core::result::Result<serde_json::Value, _> = serde_json::from_str(&text);
            // serde_json rounds wide integers to floats; 24 characters can spell those.
            let wide = text.bytes().filter(u8::is_ascii_digit).count() > 18;
            if !wide {
                prop_assert_eq!(validate(text.as_bytes()).is_ok(), oracle.is_ok(), "{}", text);
            }
        }
    }
}
