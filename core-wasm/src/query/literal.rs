//! JSON values as trees with one total order: what a filter compares with.

use core::cmp::Ordering;
use std::borrow::Cow;

use crate::query::cursor::{Cursor, Scalar};
use crate::query::number::Number;
use crate::sort::sort_by;

/// A JSON value. Equality is by meaning: numbers by value, members in any order. The order puts null
/// before booleans, numbers, strings, arrays and objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<[u8]>),
    Array(Vec<Literal>),
    /// Sorted by name, each name once.
    Object(Vec<(Box<[u8]>, Literal)>),
}

impl Literal {
    /// Reads the value at the cursor, of valid JSON. Its depth is that of the text, which
    /// [`crate::limits::MAX_JSON_DEPTH`] bounds; deeper parts of text that is not valid read as null.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Self {
        Self::read_at(cursor, 0)
    }

    fn read_at(cursor: &mut Cursor<'_>, depth: usize) -> Self {
        match cursor.peek() {
            b'[' | b'{' if depth > crate::limits::MAX_JSON_DEPTH => {
                cursor.skip();
                Self::Null
            }
            b'[' => {
                let mut elements = Vec::new();
                let mut more = cursor.enter();
                while more {
                    elements.push(Self::read_at(cursor, depth + 1));
                    more = cursor.next();
                }
                Self::Array(elements)
            }
            b'{' => {
                let mut members = Vec::new();
                let mut more = cursor.enter();
                while more {
                    let name = cursor.name().into();
                    members.push((name, Self::read_at(cursor, depth + 1)));
                    more = cursor.next();
                }
                Self::Object(normalised(members))
            }
            _ => match cursor.scalar() {
                Scalar::Null => Self::Null,
                Scalar::Bool(value) => Self::Bool(value),
                Scalar::Number(number) => Self::Number(number),
                Scalar::Text(text) => Self::Text(text.into()),
            },
        }
    }

    /// What the value is, in words for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Whether it is an array or an object.
    pub(super) fn is_compound(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Object(_))
    }
}

/// Sorts members by name and keeps the last of each name.
fn normalised(mut members: Vec<(Box<[u8]>, Literal)>) -> Vec<(Box<[u8]>, Literal)> {
    members.reverse();
    sort_by(&mut members, |left, right| left.0.cmp(&right.0)); // stable: the last of a name leads
    members.dedup_by(|later, first| later.0 == first.0);
    members
}

/// A value of a document as tests see it: a scalar read in place, or an array or object as a tree.
pub(super) enum Atom<'a> {
    Scalar(Scalar<'a>),
    Compound(&'a Literal),
}

impl<'a> Atom<'a> {
    /// Its text, if it is a string.
    pub(super) fn text(&self) -> Option<&[u8]> {
        if let Self::Scalar(Scalar::Text(text)) = self { Some(text) } else { None }
    }

    /// Its place in the order of literals.
    pub(super) fn order(&self, literal: &Literal) -> Ordering {
        match (self, literal) {
            (Self::Compound(value), _) => (*value).cmp(literal),
            (Self::Scalar(Scalar::Null), Literal::Null) => Ordering::Equal,
            (Self::Scalar(Scalar::Bool(left)), Literal::Bool(right)) => left.cmp(right),
            (Self::Scalar(Scalar::Number(left)), Literal::Number(right)) => left.cmp(right),
            (Self::Scalar(Scalar::Text(left)), Literal::Text(right)) => (**left).cmp(&**right),
            (Self::Scalar(scalar), _) => rank(scalar).cmp(&literal_rank(literal)),
        }
    }
}

impl<'a> From<&'a Literal> for Atom<'a> {
    fn from(literal: &'a Literal) -> Self {
        Self::Scalar(match literal {
            Literal::Null => Scalar::Null,
            Literal::Bool(value) => Scalar::Bool(*value),
            Literal::Number(number) => Scalar::Number(*number),
            Literal::Text(text) => Scalar::Text(Cow::Borrowed(text)),
            Literal::Array(_) | Literal::Object(_) => return Self::Compound(literal),
        })
    }
}

fn rank(scalar: &Scalar<'_>) -> u8 {
    match scalar {
        Scalar::Null => 0,
        Scalar::Bool(_) => 1,
        Scalar::Number(_) => 2,
        Scalar::Text(_) => 3,
    }
}

fn literal_rank(literal: &Literal) -> u8 {
    match literal {
        Literal::Null => 0,
        Literal::Bool(_) => 1,
        Literal::Number(_) => 2,
        Literal::Text(_) => 3,
        Literal::Array(_) => 4,
        Literal::Object(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Literal {
        Literal::read(&mut Cursor::new(text.as_bytes()))
    }

    #[test]
    fn equality_is_by_meaning() {
        assert_eq!(read(r#"{"a":1,"b":[2.0]}"#), read(r#" { "b" : [ 2 ] , "\u0061" : 1e0 } "#));
        assert_eq!(read(r#"{"a":1,"b":0,"a":2}"#), read(r#"{"a":2,"b":0}"#));
        assert_ne!(read("[1,2]"), read("[2,1]"));
        assert_ne!(read("true"), read("1"));
    }

    #[test]
    fn atoms_order_as_literals_do() {
        let texts = [
            "null",
            "false",
            "true",
            "-1.5",
            "0",
            "1",
            r#""""#,
            r#""a""#,
            r#""b""#,
            "[]",
            "[0]",
            "[1]",
            "[[]]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
        ];
        for (left_place, left) in texts.iter().enumerate() {
            for (right_place, right) in texts.iter().enumerate() {
                let (left_literal, right_literal) = (read(left), read(right));
                let expected = left_place.cmp(&right_place);
                assert_eq!(left_literal.cmp(&right_literal), expected, "{left} {right}");
                assert_eq!(Atom::from(&left_literal).order(&right_literal), expected);
            }
        }
    }
}
