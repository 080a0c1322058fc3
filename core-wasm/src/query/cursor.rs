//! A reader of validated JSON text, which skips what nobody wants.
//!
//! The text was validated when it was stored, so nothing is checked again. On text that is not JSON
//! every method still ends, without a panic, within the text.

use std::borrow::Cow;

use crate::query::number::Number;

/// A place in JSON text.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    position: usize,
}

/// A scalar value.
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, [u8]>),
}

impl<'a> Cursor<'a> {
    /// The place of the first value in the text.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let mut cursor = Self { text, position: 0 };
        cursor.space();
        cursor
    }

    /// The byte here, 0 at the end.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u8 {
        self.text.get(self.position).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.position..).unwrap_or_default()
    }

    #[inline(always)]
    fn step(&mut self) {
        self.position = self.text.len().min(self.position + 1);
    }

    #[inline(always)]
    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.position += 1;
        }
    }

    /// Enters the array or object here: whether it has anything in it. If not, it is passed.
    #[inline(always)]
    pub(crate) fn enter(&mut self) -> bool {
        self.step();
        self.space();
        let empty = matches!(self.peek(), b']' | b'}' | 0);
        if empty {
            self.step();
        }
        !empty
    }

    /// After an element or member: whether another follows. If not, the container is passed.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> bool {
        self.space();
        let more = self.peek() == b',';
        self.step();
        if more {
            self.space();
        }
        more
    }

    /// Reads a member's name and stops at its value.
    #[inline(always)]
    pub(crate) fn name(&mut self) -> Cow<'a, [u8]> {
        let name = self.string();
        self.space();
        self.step();
        self.space();
        name
    }

    /// Reads the string here, its escapes resolved.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Cow<'a, [u8]> {
        let (content, escaped) = self.raw_string();
        if escaped { Cow::Owned(unescape(content)) } else { Cow::Borrowed(content) }
    }

    /// Passes the string here: what is between its quotes, and whether that has escapes.
    #[inline(always)]
    fn raw_string(&mut self) -> (&'a [u8], bool) {
        self.step();
        let rest = self.rest();
        let mut escaped = false;
        let mut length = 0;
        loop {
            length = plain_end(rest, length);
            if rest.get(length) != Some(&b'\\') {
                break;
            }
            escaped = true;
            length += 2;
        }
        let length = length.min(rest.len());
        self.position += length;
        self.step();
        (rest.get(..length).unwrap_or_default(), escaped)
    }

    /// How many bytes lie before.
    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The text from here up to a later place.
    #[inline(always)]
    pub(crate) fn until(&self, end: &Self) -> &'a [u8] {
        self.text.get(self.position..end.position).unwrap_or_default()
    }

    /// The text of the value here, which is not passed.
    pub(crate) fn raw(&self) -> &'a [u8] {
        let mut end = *self;
        end.skip();
        self.until(&end)
    }

    /// The value of the member of this name in the object here, the last one of them.
    pub(crate) fn member(mut self, wanted: &[u8]) -> Option<Self> {
        let mut found = None;
        let mut more = self.enter();
        while more {
            if *self.name() == *wanted {
                found = Some(self);
            }
            self.skip();
            more = self.next();
        }
        found
    }

    /// The element of the array here that has this index.
    pub(crate) fn element(mut self, wanted: u64) -> Option<Self> {
        let mut more = self.enter();
        let mut index = 0;
        while more {
            if index == wanted {
                return Some(self);
            }
            self.skip();
            more = self.next();
            index += 1;
        }
        None
    }

    /// Reads the scalar here.
    pub(crate) fn scalar(&mut self) -> Scalar<'a> {
        match self.peek() {
            b'"' => Scalar::Text(self.string()),
            b'n' => self.word(Scalar::Null),
            b't' => self.word(Scalar::Bool(true)),
            b'f' => self.word(Scalar::Bool(false)),
            _ => Scalar::Number(Number::parse(self.plain())),
        }
    }

    #[inline(always)]
    fn word(&mut self, scalar: Scalar<'a>) -> Scalar<'a> {
        self.plain();
        scalar
    }

    /// Passes the number or word here.
    #[inline(always)]
    fn plain(&mut self) -> &'a [u8] {
        let rest = self.rest();
        // Of the bytes up to the comma, only `+` is in a number; a brace is a bracket with one more bit.
        let ends = |&byte: &u8| (byte <= b',' && byte != b'+') || byte | 0x20 == b'}';
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Passes the value here.
    #[inline(always)]
    pub(crate) fn skip(&mut self) {
        match self.peek() {
            b'"' => {
                self.raw_string();
            }
            b'[' | b'{' => self.skip_container(),
            _ => {
                self.plain();
            }
        }
    }

    #[inline(never)]
    fn skip_container(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                b'"' => {
                    self.raw_string();
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1, // the first byte made it 1, and at 0 it ends
                0 if self.rest().is_empty() => return,
                _ => {}
            }
            self.step();
            if depth == 0 {
                return;
            }
        }
    }
}

/// Where the first quote or backslash at or after `from` is, or the end: eight bytes at a time. A
/// zero byte of `word ^ pattern` is one that equals the pattern's, and subtracting ones borrows into
/// the top bit of the lowest of them first.
#[inline(always)]
fn plain_end(text: &[u8], from: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let equals = |word: u64, byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference & (ONES << 7)
    };
    let mut rest = text.get(from..).unwrap_or_default();
    let mut position = from;
    while let Some((word, more)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let found = equals(word, b'"') | equals(word, b'\\');
        if found != 0 {
            return position + found.trailing_zeros() as usize / 8;
        }
        rest = more;
        position += 8;
    }
    let end = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
    position + end
}

/// Resolves the escapes of a string's content.
fn unescape(content: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(content.len());
    let mut rest = content.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match rest.next().copied().unwrap_or(b'\\') {
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => {
                let mut unit = hex_unit(&mut rest);
                if (0xD800..0xDC00).contains(&unit) {
                    // Validated: the other half of the pair follows.
                    rest.next();
                    rest.next();
                    unit = 0x1_0000 + ((unit - 0xD800) << 10 | hex_unit(&mut rest) & 0x3FF);
                }
                let character = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => text.push(other), // a quote, a backslash, a slash
        }
    }
    text
}

fn hex_unit(rest: &mut core::slice::Iter<'_, u8>) -> u32 {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
    rest.by_ref().take(4).map(digit).fold(0, |unit, digit| unit << 4 | digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_are_read_as_serde_json_reads_them(text in any::<String>(), ascii in any::<bool>()) {
            let mut json = serde_json::to_string(&text).unwrap();
            if ascii {
                let mut units = [0; 2];
                json = json.chars().map(|character| match character {
                    '\u{80}'.. => character.encode_utf16(&mut units).iter()
                        .map(|unit| format!("\\u{unit:04x}")).collect(),
                    _ => character.to_string(),
                }).collect();
            }
            let padded = format!(" {json} ,");
            let mut cursor = Cursor::new(padded.as_bytes());
            prop_assert_eq!(&*cursor.string(), text.as_bytes());
            prop_assert!(cursor.next());
        }
    }

    #[test]
    fn the_end_of_a_string_is_found_at_any_place() {
        for length in 0..60 {
            for end in [b'"', b'\\'] {
                for filler in [b'a', b'!', b'#', b'[', b']', 0x80, 0xA2, 0xDC, 0xFF, 0, 1] {
                    let mut text = vec![filler; length];
                    assert_eq!(plain_end(&text, 0), length);
                    text.push(end);
                    text.extend([b'"', b'\\', end]);
                    assert_eq!(plain_end(&text, 0), length, "{filler:#x}");
                    assert_eq!(plain_end(&text, length / 2), length, "{filler:#x}");
                }
            }
        }
    }

    #[test]
    fn values_are_skipped_whole() {
        for value in [
            "null",
            "-1.5e9",
            r#""""#,
            r#""a\"]\\""#,
            "[]",
            "{}",
            r#"[1,{"]":"}"},[[]]]"#,
            r#"{"a\"}":[{"b":"{"}]}"#,
        ] {
            let text = format!("[{value} , 7]");
            let mut cursor = Cursor::new(text.as_bytes());
            assert!(cursor.enter());
            cursor.skip();
            assert!(cursor.next(), "{text}");
            assert!(matches!(cursor.scalar(), Scalar::Number(seven) if seven == Number::from(7)));
            assert!(!cursor.next());
            assert!(cursor.rest().is_empty());
        }
    }
}
