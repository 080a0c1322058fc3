//! Selections: the part of a document that some paths lead to, with its structure.
//!
//! # Meaning
//!
//! The outcome is an object with what the paths lead to, copied byte by byte, inside the objects and
//! arrays that they go through. A path that leads nowhere leaves no trace, so a path finds in the
//! selection just what it finds in the document (paths with indexes aside, see below). Of `a` and
//! `a.b`, the shorter one selects all that the other does. A value that is no object becomes `{}`.
//! Members keep the document's order; of a member that comes twice the last one is taken.
//!
//! In an array:
//!
//! - a part that is no index goes into each element that is an object. These elements all stay, as
//!   `{}` where the paths find nothing, so that `items.name` and `items.price` stay side by side;
//!   other elements are left out. If no element has anything, the array is left out;
//! - a part that is an index keeps that element. If there are only indexes, the array has the
//!   elements that were found, in ascending order and without gaps: `items.3.name` gives
//!   `{"items": [{"name": ...}]}`.

use crate::error::Result;
use crate::limits::MAX_SELECT_PATHS;
use crate::query::control;
use crate::query::cursor::Cursor;
use crate::query::evaluate::Test;
use crate::query::literal::Literal;
use crate::query::path::{Condition, Node, split};
use crate::sort::sort_by;

/// A selection of paths.
///
/// ```
/// use koru_delta_core::query::Projection;
///
/// let projection = Projection::parse(br#"["name", "items.price"]"#).unwrap();
/// let mut out = Vec::new();
/// projection.project(br#"{"items": [{"price": 1.50, "n": 2}, {}], "name": "Ann"}"#, &mut out);
/// assert_eq!(out, br#"{"items":[{"price":1.50},{}],"name":"Ann"}"#);
/// ```
#[derive(Clone, Debug)]
pub struct Projection {
    tree: Node,
}

/// A place in the tree of paths; with `true` one reached as an element of an array, where parts that
/// are indexes lead nowhere.
type Place<'a> = (&'a Node, bool);

impl Projection {
    /// Reads a selection: a list of paths.
    ///
    /// # Errors
    /// `Invalid`, with the place in the message as in `select[0]`, if it is anything else, is empty,
    /// or exceeds [`MAX_SELECT_PATHS`].
    pub fn parse(json: &[u8]) -> Result<Self> {
        let literal = Literal::read(&mut control::open("select", json)?);
        let list = control::list("select", literal, "a list of paths", MAX_SELECT_PATHS)?;
        if list.is_empty() {
            let suggestion = "name at least one field, or leave select out";
            return Err(control::invalid("select", "an empty list", suggestion));
        }
        let mut conditions = Vec::with_capacity(list.len());
        for (number, entry) in list.iter().enumerate() {
            let path = control::path(&format!("select[{number}]"), entry)?;
            // Whatever exists at the path is selected, so that is the test there.
            let split = split(path.as_bytes());
            conditions.push(Condition {
                number,
                name: path.into(),
                path: split,
                test: Test::Exists,
            });
        }
        Ok(Self { tree: Node::tree(conditions).0 })
    }

    /// Appends the selected part of `value`, the bytes of a validated JSON value. Linear in its
    /// length, times the paths that lead to the same part of it.
    pub fn project(&self, value: &[u8], out: &mut Vec<u8>) {
        let cursor = Cursor::new(value);
        if cursor.peek() != b'{' || !object(cursor, &[(&self.tree, false)], out) {
            out.extend_from_slice(b"{}");
        }
    }
}

/// Appends what is selected of the value at the cursor, which is at these places; whether anything is.
fn value(cursor: Cursor<'_>, places: &[Place<'_>], out: &mut Vec<u8>) -> bool {
    match cursor.peek() {
        _ if places.iter().any(|(node, _)| !node.tests.is_empty()) => {
            out.extend_from_slice(cursor.raw());
            true
        }
        b'{' => object(cursor, places, out),
        b'[' => array(cursor, places, out),
        _ => false,
    }
}

/// A member that some path goes on with.
struct Member<'a> {
    name: std::borrow::Cow<'a, [u8]>,
    /// From the name on.
    start: Cursor<'a>,
    value: Cursor<'a>,
}

/// Appends an object, or nothing if it would be empty.
fn object(mut cursor: Cursor<'_>, places: &[Place<'_>], out: &mut Vec<u8>) -> bool {
    let mut members = Vec::new();
    let mut more = cursor.enter();
    while more {
        let start = cursor;
        let name = cursor.name();
        if places.iter().any(|(node, fanned)| node.member(&name, *fanned).is_some()) {
            members.push(Member { name, start, value: cursor });
        }
        cursor.skip();
        more = cursor.next();
    }
    last_of_each_name(&mut members);
    let start = out.len();
    for Member { name, start: from, value: at } in members {
        let below: Vec<Place<'_>> = places
            .iter()
            .filter_map(|(node, fanned)| node.member(&name, *fanned).map(|node| (node, false)))
            .collect();
        let before = out.len();
        out.push(if before == start { b'{' } else { b',' });
        let mut end = from;
        end.skip();
        out.extend_from_slice(from.until(&end));
        out.push(b':');
        if !value(at, &below, out) {
            out.truncate(before);
        }
    }
    let any = out.len() > start;
    if any {
        out.push(b'}');
    }
    any
}

/// Keeps the last member of each name, in the order of the document.
fn last_of_each_name(members: &mut Vec<Member<'_>>) {
    if members.len() > 1 {
        members.reverse();
        sort_by(members, |left, right| left.name.cmp(&right.name)); // stable: the last leads
        members.dedup_by(|later, first| later.name == first.name);
        sort_by(members, |left, right| left.value.position().cmp(&right.value.position()));
    }
}

/// Appends an array, or nothing if no path finds anything in it.
fn array(mut cursor: Cursor<'_>, places: &[Place<'_>], out: &mut Vec<u8>) -> bool {
    // Those that go into every element that is an object, and those that go into one by its index.
    let all: Vec<Place<'_>> =
        places.iter().filter(|(node, _)| node.fans_out()).map(|(node, _)| (*node, true)).collect();
    let mut indexed: Vec<(u64, &Node)> =
        places.iter().flat_map(|(node, _)| node.elements()).collect();
    sort_by(&mut indexed, |left, right| left.0.cmp(&right.0));
    let mut indexed = indexed.into_iter().peekable();
    let start = out.len();
    let mut found = false;
    let mut more = cursor.enter();
    let mut index = 0;
    let mut here = Vec::with_capacity(all.len());
    while more {
        let is_object = cursor.peek() == b'{';
        here.clear();
        if is_object {
            here.extend_from_slice(&all);
        }
        while let Some((_, node)) = indexed.next_if(|(wanted, _)| *wanted == index) {
            here.push((node, false));
        }
        let before = out.len();
        if !here.is_empty() {
            out.push(if before == start { b'[' } else { b',' });
            if value(cursor, &here, out) {
                found = true;
            } else if is_object && !all.is_empty() {
                out.extend_from_slice(b"{}");
            } else {
                out.truncate(before);
            }
        }
        cursor.skip();
        more = cursor.next();
        index += 1;
    }
    if found {
        out.push(b']');
    } else {
        out.truncate(start);
    }
    found
}
