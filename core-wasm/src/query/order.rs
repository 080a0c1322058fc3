//! Orders: by which fields documents are sorted, as keys that compare byte by byte.
//!
//! # Meaning
//!
//! Documents are ordered by the first field, those equal in it by the second, and so on; those equal
//! in all of them by their keys, ascending. So an order is total, and the same documents always come
//! in the same sequence. `$key` and `$timestamp` name a document's key and time.
//!
//! The order of values is: missing < an array without elements < null < false < true < numbers <
//! strings < arrays < objects. Numbers compare exactly, strings by code points, arrays element by
//! element, objects by their members sorted by name. Descending is the exact reverse, so missing
//! comes last.
//!
//! A field may be several values: those that a path finds through the elements of arrays, and of each
//! value that is an array itself, its elements. Ascending orders by the smallest of them, descending
//! by the largest, as MongoDB does. An element that is an array counts as a whole. Documents that are
//! no objects have no fields: all are missing.
//!
//! # Keys
//!
//! A [`SortKey`] has the encoding of each field's value (see `encode.rs`), complemented if it is
//! descending, and then the document's key. No encoding begins another, so comparing the keys' bytes
//! compares field by field.

use crate::error::Result;
use crate::limits::MAX_ORDER_FIELDS;
use crate::query::control;
use crate::query::cursor::Cursor;
use crate::query::encode;
use crate::query::fields::{Fields, Slots, elements};
use crate::query::literal::Literal;

/// The bytes that stand for a document in an order: those that compare less come first.
pub type SortKey = Vec<u8>;

/// An order of documents.
///
/// ```
/// use koru_delta_core::query::Order;
///
/// let order = Order::parse(br#"[["age", true], ["name", false]]"#).unwrap();
/// let ann = order.key(br#"{"name": "Ann", "age": 41}"#, "a", 0);
/// let bob = order.key(br#"{"name": "Bob", "age": 41.5}"#, "b", 0);
/// let cid = order.key(br#"{"name": "Cid"}"#, "c", 0);
/// assert!(bob < ann && ann < cid);
/// ```
#[derive(Clone, Debug)]
pub struct Order {
    parts: Vec<Part>,
    fields: Fields,
    /// Most bytes of one field in a key.
    longest: usize,
}

#[derive(Clone, Debug)]
struct Part {
    name: String,
    descending: bool,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Key,
    Timestamp,
    Field(usize),
}

impl Order {
    /// Reads an order: a list of `[path, descending]`, where the path may be `$key` or `$timestamp`.
    /// An empty list orders by key.
    ///
    /// # Errors
    /// `Invalid`, with the place in the message as in `order_by[1]`, if it is anything else, names a
    /// field twice, or exceeds [`MAX_ORDER_FIELDS`].
    pub fn parse(json: &[u8]) -> Result<Self> {
        if json == b"[]" {
            return Ok(Self { parts: Vec::new(), fields: Fields::default(), longest: usize::MAX });
        }
        let literal = Literal::read(&mut control::open("order_by", json)?);
        let list = control::list("order_by", literal, "a list of fields", MAX_ORDER_FIELDS)?;
        let mut order = Self {
            parts: Vec::with_capacity(list.len()),
            fields: Fields::default(),
            longest: usize::MAX,
        };
        for (index, entry) in list.iter().enumerate() {
            let place = format!("order_by[{index}]");
            let (name, descending) = match entry {
                Literal::Array(pair) => match pair.as_slice() {
                    [name, Literal::Bool(descending)] => (name, *descending),
                    _ => return Err(pair_expected(&place, entry)),
                },
                _ => return Err(pair_expected(&place, entry)),
            };
            let name = control::path_or_pseudo(&place, name)?;
            if order.parts.iter().any(|part| part.name == name) {
                let problem = format!("the field {:?} again", control::shown(&name));
                return Err(control::invalid(&place, &problem, "name each field once"));
            }
            let source = match name.as_bytes() {
                control::KEY => Source::Key,
                control::TIMESTAMP => Source::Timestamp,
                _ => Source::Field(order.fields.add(&name)),
            };
            order.parts.push(Part { name, descending, source });
        }
        Ok(order)
    }

    /// The same order with keys that end in the first field of more than `longest` bytes. Documents
    /// whose keys are equal then may be in any order; those with different keys are in theirs.
    #[must_use]
    pub fn with_keys_within(mut self, longest: usize) -> Self {
        self.longest = longest;
        self
    }

    /// The fields and whether they are descending, first to last.
    pub fn parts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.parts.iter().map(|part| (part.name.as_str(), part.descending))
    }

    /// The key of a document: the bytes of its value, which is validated JSON, its key, and its time.
    pub fn key(&self, value: &[u8], key: &str, timestamp: u64) -> SortKey {
        let mut out = SortKey::with_capacity(16 * self.parts.len() + key.len());
        self.write_key(value, key, timestamp, &mut out);
        out
    }

    /// Appends what [`Self::key`] returns. One pass over the document's members, and one over what
    /// each path leads to; nothing is allocated but for objects that are compared.
    pub fn write_key(&self, value: &[u8], key: &str, timestamp: u64, out: &mut SortKey) {
        let slots = self.fields.locate(value);
        let mut by_key = false;
        for part in &self.parts {
            let start = out.len();
            match part.source {
                Source::Key => {
                    by_key = true;
                    encode::text(key.as_bytes(), out);
                }
                Source::Timestamp => out.extend_from_slice(&timestamp.to_be_bytes()),
                Source::Field(number) => self.write_field(number, &slots, part.descending, out),
            }
            let is_long = out.len() - start > self.longest;
            if is_long {
                out.truncate(start + self.longest);
            }
            if part.descending {
                for byte in out.iter_mut().skip(start) {
                    *byte = !*byte;
                }
            }
            if is_long {
                return;
            }
        }
        if !by_key {
            out.extend_from_slice(key.as_bytes());
        }
    }

    /// Appends the encoding of the field's smallest value, or of its largest.
    fn write_field(&self, number: usize, slots: &Slots<'_>, largest: bool, out: &mut SortKey) {
        let start = out.len();
        out.push(encode::MISSING); // less than any value, and so replaced by the first
        let mut some = false;
        let mut offer = |write: &mut dyn FnMut(&mut SortKey)| {
            let middle = out.len();
            write(out);
            let (before, new) = out.split_at_checked(middle).unwrap_or_default();
            let best = before.get(start..).unwrap_or_default();
            if !some || (new != best && (new > best) == largest) {
                out.drain(start..middle);
            } else {
                out.truncate(middle);
            }
            some = true;
        };
        self.fields.visit(number, slots, &mut |cursor: Cursor<'_>| {
            let mut each = |mut cursor: Cursor<'_>| {
                offer(&mut |out| encode::value_within(&mut cursor, out, self.longest))
            };
            if cursor.peek() != b'[' {
                each(cursor);
            } else if !elements(cursor, &mut each) {
                offer(&mut |out| out.push(encode::EMPTY));
            }
        });
    }
}

fn pair_expected(place: &str, found: &Literal) -> crate::error::Error {
    let expected = "a pair of a field's path and whether it is descending";
    match found {
        Literal::Array(_) => {
            control::invalid(place, &format!("expected {expected}"), "give [\"age\", true]")
        }
        other => control::wrong_type(place, expected, other),
    }
}
