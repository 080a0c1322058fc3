//! Values as bytes whose order is the order of the values.
//!
//! Comparing two encodings byte by byte gives what comparing the values in the total order of
//! [`crate::query::literal`] gives, and equal values have equal encodings, however they were spelled. So sorting
//! and looking up need no tree and no case distinctions. The first byte is the type:
//!
//! | value | encoding |
//! |---|---|
//! | missing, an array without elements to sort by | [`MISSING`]; [`EMPTY`] |
//! | null, false, true | [`NULL`]; [`FALSE`]; [`TRUE`] |
//! | a number | [`NUMBER`], the float at or below it, what is left |
//! | a string | [`TEXT`], each byte plus one, 0 |
//! | an array | [`ARRAY`], its elements one after the other, 0 |
//! | an object | [`OBJECT`], for each member by name: 1, the name as of a string, the value; 0 |
//!
//! **Numbers.** Rounding down to a float keeps order, and what is left is exact: two numbers with one
//! float compare by how far they lie above it. Below 2^53 nothing is ever left and nothing is written;
//! from there on it is two bytes, because the floats around 2^64 lie 2048 apart. A float's bits order
//! as the floats do, once the sign bit is flipped, or for negative ones all bits.
//!
//! **Strings** are in UTF-8, whose byte order is that of code points and in which 0xFF does not
//! occur. So there is room to move every byte up by one, and 0 ends a string before any longer one.
//!
//! No encoding begins another one, so encodings can follow each other, and a whole one can be
//! complemented for the opposite order.

use crate::limits::MAX_JSON_DEPTH;
use crate::query::cursor::{Cursor, Scalar};
use crate::query::literal::Literal;
use crate::query::number::Number;

pub(crate) const MISSING: u8 = 1;
pub(crate) const EMPTY: u8 = 2;
pub(crate) const NULL: u8 = 3;
const FALSE: u8 = 4;
const TRUE: u8 = 5;
pub(crate) const NUMBER: u8 = 6;
pub(crate) const TEXT: u8 = 7;
pub(crate) const ARRAY: u8 = 8;
const OBJECT: u8 = 9;
const END: u8 = 0;
const MEMBER: u8 = 1;

/// The encoding of most values fits.
pub(super) const SHORT_BYTES: usize = 40;

/// Appends the encoding of the value at the cursor, and passes it.
pub(super) fn value(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) {
    value_at(cursor, out, 0);
}

/// [`value`], but of a string only so many bytes, and no end: what is compared by its beginning takes
/// no memory for the rest.
pub(super) fn value_within(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, longest: usize) {
    if cursor.peek() != b'"' {
        return value(cursor, out);
    }
    let text = cursor.string();
    out.push(TEXT);
    match text.get(..longest) {
        Some(start) => out.extend(start.iter().map(|byte| byte.saturating_add(1))),
        None => self::text(&text, out),
    }
}

fn value_at(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) {
    match cursor.peek() {
        b'[' if depth <= MAX_JSON_DEPTH => {
            out.push(ARRAY);
            let mut more = cursor.enter();
            while more {
                value_at(cursor, out, depth + 1);
                more = cursor.next();
            }
            out.push(END);
        }
        // Members have to be sorted, so this becomes a tree; text nested deeper than JSON is none.
        b'[' | b'{' => literal(&Literal::read(cursor), out),
        _ => scalar(&cursor.scalar(), out),
    }
}

fn scalar(value: &Scalar<'_>, out: &mut Vec<u8>) {
    match value {
        Scalar::Null => out.push(NULL),
        Scalar::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Scalar::Number(value) => number(*value, out),
        Scalar::Text(value) => {
            out.push(TEXT);
            text(value, out);
        }
    }
}

/// Appends the encoding of a tree.
pub(super) fn literal(value: &Literal, out: &mut Vec<u8>) {
    match value {
        Literal::Null => out.push(NULL),
        Literal::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Literal::Number(value) => number(*value, out),
        Literal::Text(value) => {
            out.push(TEXT);
            text(value, out);
        }
        Literal::Array(elements) => {
            out.push(ARRAY);
            for element in elements {
                literal(element, out);
            }
            out.push(END);
        }
        Literal::Object(members) => {
            out.push(OBJECT);
            for (name, value) in members {
                out.push(MEMBER);
                text(name, out);
                literal(value, out);
            }
            out.push(END);
        }
    }
}

/// Appends a string without its type.
pub(super) fn text(value: &[u8], out: &mut Vec<u8>) {
    out.extend(value.iter().map(|byte| byte.saturating_add(1)));
    out.push(END);
}

fn number(value: Number, out: &mut Vec<u8>) {
    const SIGN: u64 = 1 << 63;
    const TWO_POW_53: f64 = 9_007_199_254_740_992.0;
    let (float, above) = value.floor();
    let bits = float.to_bits();
    let ordered = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    out.push(NUMBER);
    out.extend_from_slice(&ordered.to_be_bytes());
    if float.abs() >= TWO_POW_53 {
        out.extend_from_slice(&above.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        value(&mut Cursor::new(text.as_bytes()), &mut out);
        out
    }

    #[test]
    fn layouts_are_as_written() {
        assert_eq!(encoded("1.0"), [NUMBER, 0xBF, 0xF0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encoded("-1"), [NUMBER, 0x40, 0x0F, 255, 255, 255, 255, 255, 255]);
        assert_eq!(encoded("9007199254740993"), [NUMBER, 0xC3, 0x40, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(encoded("-9007199254740993").last(), Some(&1));
        assert_eq!(encoded(r#""a\u0000""#), [TEXT, b'b', 1, END]);
        assert_eq!(encoded("[null,[]]"), [ARRAY, NULL, ARRAY, END, END]);
        assert_eq!(
            encoded(r#"{"b":true,"":false,"b":null}"#),
            [OBJECT, MEMBER, END, FALSE, MEMBER, b'c', END, NULL, END]
        );
    }
}
