//! The values that paths lead to in a document, without a tree of it.
//!
//! What a path means is told in [`crate::query`]. It leads to no value, to one, or through the
//! elements of arrays to several. To follow many paths through the same documents, [`Fields`] looks
//! at the members of a document once, and each path goes on from there.

use crate::limits::MAX_INDEX_COMPOUND_BYTES;
use crate::query::cursor::{Cursor, Scalar};
use crate::query::encode;
use crate::query::path::{Part, parts};

/// One path, followed by itself.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    parts: Vec<Part>,
}

impl Field {
    pub(crate) fn new(path: &str) -> Self {
        Self { parts: parts(path.as_bytes()) }
    }

    /// The number that the path leads to, if it leads to one; the last of several.
    pub(crate) fn number(&self, document: &[u8]) -> Option<f64> {
        let mut found = None;
        self.visit(document, &mut |mut cursor| {
            if matches!(cursor.peek(), b'-' | b'0'..=b'9')
                && let Scalar::Number(number) = cursor.scalar()
            {
                found = Some(number.as_f64());
            }
        });
        found
    }

    /// Gives `visit` each value that the path leads to, in the document's order. Returns whether the
    /// path went through the elements of an array, so that there may be several, or none of many.
    pub(super) fn visit<'a>(&self, document: &'a [u8], visit: &mut impl FnMut(Cursor<'a>)) -> bool {
        let cursor = Cursor::new(document);
        cursor.peek() == b'{' && descend(cursor, &self.parts, visit)
    }
}

impl Field {
    /// Appends the encoding of each value that `$eq` sees, one after the other, and tells `written`
    /// where each begins: of what the path leads to, of the elements of arrays there, and of
    /// [`encode::MISSING`] if it leads nowhere. `written` may shorten the last one. Returns whether
    /// there was an array.
    pub(crate) fn encode_each(
        &self,
        document: &[u8],
        (out, longest): (&mut Vec<u8>, usize),
        written: &mut dyn FnMut(&mut Vec<u8>, Option<usize>),
    ) -> bool {
        let mut array = false;
        let mut any = false;
        let mut write = |mut cursor: Cursor<'_>| {
            if matches!(cursor.peek(), b'[' | b'{') && cursor.raw().len() > MAX_INDEX_COMPOUND_BYTES
            {
                written(out, None);
                return;
            }
            let start = out.len();
            encode::value_within(&mut cursor, out, longest);
            written(out, Some(start));
        };
        self.visit(document, &mut |cursor| {
            any = true;
            write(cursor);
            if cursor.peek() == b'[' {
                array = true;
                elements(cursor, &mut write);
            }
        });
        if !any {
            let start = out.len();
            out.push(encode::MISSING);
            written(out, Some(start));
        }
        array
    }
}

/// Follows the parts from the value at the cursor. Recursion is as deep as there are parts.
fn descend<'a>(cursor: Cursor<'a>, parts: &[Part], visit: &mut impl FnMut(Cursor<'a>)) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        visit(cursor);
        return false;
    };
    match (cursor.peek(), part.index) {
        (b'{', _) => cursor.member(&part.name).is_some_and(|member| descend(member, rest, visit)),
        (b'[', Some(index)) => {
            cursor.element(index).is_some_and(|element| descend(element, rest, visit))
        }
        (b'[', None) => {
            elements(cursor, &mut |element| {
                if element.peek() == b'{'
                    && let Some(member) = element.member(&part.name)
                {
                    descend(member, rest, visit);
                }
            });
            true
        }
        _ => false,
    }
}

/// Gives `visit` each element of the array at the cursor; whether there was any.
pub(super) fn elements<'a>(mut cursor: Cursor<'a>, visit: &mut impl FnMut(Cursor<'a>)) -> bool {
    let mut more = cursor.enter();
    let any = more;
    while more {
        visit(cursor);
        cursor.skip();
        more = cursor.next();
    }
    any
}

/// How many members of a document are remembered; paths from others look for them again.
const SLOTS: usize = 8;

/// Several paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    fields: Vec<Field>,
    /// The first parts of the paths, each once.
    heads: Vec<Box<[u8]>>,
    /// For each path, the position of its first part in `heads`.
    head_of: Vec<usize>,
}

/// Where the members of one document are that paths begin with.
#[derive(Clone, Copy)]
pub(super) struct Slots<'a> {
    document: &'a [u8],
    members: [Option<Cursor<'a>>; SLOTS],
}

impl Fields {
    /// Adds a path, and returns its number; that of the same path if it was added before.
    pub(super) fn add(&mut self, path: &str) -> usize {
        let field = Field::new(path);
        if let Some(number) = self.fields.iter().position(|other| other.parts == field.parts) {
            return number;
        }
        let head = field.parts.first().map(|part| part.name.clone()).unwrap_or_default();
        let known = self.heads.iter().position(|other| *other == head);
        self.head_of.push(known.unwrap_or(self.heads.len()));
        if known.is_none() {
            self.heads.push(head);
        }
        self.fields.push(field);
        self.fields.len() - 1
    }

    /// Looks at the members of a document.
    pub(super) fn locate<'a>(&self, document: &'a [u8]) -> Slots<'a> {
        let mut slots = Slots { document, members: [None; SLOTS] };
        let mut cursor = Cursor::new(document);
        if cursor.peek() != b'{' || self.heads.is_empty() {
            return slots;
        }
        let mut more = cursor.enter();
        while more {
            let name = cursor.name();
            let mut heads = self.heads.iter().take(SLOTS).zip(&mut slots.members);
            if let Some((_, slot)) = heads.find(|(head, _)| ***head == *name) {
                *slot = Some(cursor);
            }
            cursor.skip();
            more = cursor.next();
        }
        slots
    }

    /// As [`Field::visit`], for the path of this number in the document that was located.
    pub(super) fn visit<'a>(
        &self,
        number: usize,
        slots: &Slots<'a>,
        visit: &mut impl FnMut(Cursor<'a>),
    ) -> bool {
        let (Some(field), Some(&head)) = (self.fields.get(number), self.head_of.get(number)) else {
            return false;
        };
        match slots.members.get(head) {
            Some(Some(member)) => descend(*member, field.parts.get(1..).unwrap_or_default(), visit),
            Some(None) => false,
            None => field.visit(slots.document, visit),
        }
    }
}
