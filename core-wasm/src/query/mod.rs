//! Filters: which JSON values match a dict of operators, as users of MongoDB and Chroma know them.
//!
//! # A filter
//!
//! A filter is an object of fields: `{"city": "Berlin", "age": {"$gte": 18}}`. All of its members
//! have to match; `{}` matches everything. A field is compared with a literal, or by an object of
//! operators, which is one that has a member whose name begins with `$`. An object without such
//! members is a literal: `{"at": {"x": 1}}` asks for equality with that object. A field's name
//! cannot begin with `$`; an object that has such a member is compared by `{"$eq": {"$ref": 1}}`.
//!
//! | operator | operand | matches a field that |
//! |---|---|---|
//! | `$eq`, `$ne` | any JSON | is equal; is not equal, or missing |
//! | `$gt` `$gte` `$lt` `$lte` | a number or a string | is of that type, and so ordered |
//! | `$in`, `$nin` | an array of any JSON | is equal to one of them; to none, or missing |
//! | `$exists` | a boolean | is there, null included; is missing |
//! | `$contains` | any JSON | is a string with that string in it, or an array with an element equal to it |
//! | `$regex` | a string | is a string in which the pattern is found |
//! | `$not` | an object of operators | does not match all of them, or is missing |
//!
//! Around fields there are `{"$and": [filter, ...]}`, `{"$or": [filter, ...]}` with at least one
//! filter, and `{"$not": filter}`. `{"$in": []}` matches nothing, `{"$nin": []}` everything.
//!
//! # Which value a field is
//!
//! `a.b.c` names members inside members; a member whose own name has a dot in it cannot be named.
//! In an array a part of digits (`items.0.price`) is an element's index, counted from 0. Any other
//! part goes into every element that is an object: `items.price` is the prices of all items. It does
//! not go into arrays inside arrays. In an object a part of digits is an ordinary name. A member that
//! comes twice in one object is the last of them. Values that are no objects have no fields: all are
//! missing.
//!
//! So a field may be several values, and **an operator matches if any of them does**. If a value is
//! an array, `$eq`, `$in`, `$gt` and its kin, and `$regex` look at its elements too: `{"tags": "new"}`
//! matches `["new", "red"]`, and `{"tags": ["new", "red"]}` matches it as a whole. Each operator
//! looks on its own: `{"scores": {"$gt": 1, "$lt": 2}}` matches `[0, 3]`. `$ne`, `$nin` and `$not` are
//! the negations: `{"tags": {"$ne": "new"}}` matches if no element is `"new"`.
//!
//! # Equality and order
//!
//! - Numbers are equal by value and compared exactly: `1` is `1.0`, `-0.0` is `0`, and
//!   `9007199254740993` is not `9007199254740992.0`. Booleans are no numbers.
//! - Strings are compared by code points, without normalisation or locale.
//! - Objects are equal whatever the order of their members; arrays element by element.
//! - `null` is a value: `{"a": null}` matches a null that is there. `{"a": {"$exists": false}}`
//!   matches a missing one.
//! - Values of different types are never equal or ordered: `{"age": {"$gt": 5}}` does not match `"7"`.
//!
//! # Patterns
//!
//! `$regex` is searched for anywhere in the string; `^` and `$` anchor it to the ends. Flags go in
//! the pattern, as in `(?i)cat`. The syntax is that of the crate `regex-lite`, which searches in time
//! linear in the text: no look-around and no back-references. `\w`, `\d`, `\s`, `\b` and `(?i)` are
//! about ASCII, while `.`, literals and classes are about code points.

mod accumulate;
mod aggregate;
mod control;
pub(crate) mod cursor;
pub(crate) mod encode;
mod equality;
mod evaluate;
mod exact;
mod fields;
mod filter;
mod groups;
mod literal;
mod number;
mod order;
mod path;
mod plan;
mod projection;
mod sorter;
#[cfg(test)]
mod tests;

use crate::error::Result;

pub use aggregate::Aggregation;
pub(crate) use control::check_path;
pub use equality::equality;
pub(crate) use fields::Field;
pub use groups::Groups;
pub use order::{Order, SortKey};
pub use plan::{Indexes, Lookup, Plan};
pub use projection::Projection;
pub use sorter::Sorter;

/// A filter, ready to match values.
///
/// ```
/// use koru_delta_core::query::Filter;
///
/// let filter = Filter::parse(br#"{"age": {"$gte": 18}, "tags": "vip"}"#).unwrap();
/// assert!(filter.matches(br#"{"age": 30, "tags": ["new", "vip"]}"#));
/// assert!(!filter.matches(br#"{"age": 17.5, "tags": ["vip"]}"#));
///
/// let error = Filter::parse(br#"{"age": {"$gte": [18]}}"#).unwrap_err();
/// assert_eq!(error.message, "where.age.$gte: expected a number or a string, found an array");
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    tree: path::Node,
    /// The path of each condition, by its position.
    fields: Vec<Box<str>>,
    expression: evaluate::Expression,
}

impl Filter {
    /// Reads a filter from its JSON.
    ///
    /// # Errors
    /// `Invalid`, with the place in the message as in `where.$or[1].age.$gte`, if it is not JSON, not
    /// an object, has an unknown or misplaced operator, an operand of a wrong type, an empty `$and`
    /// or `$or`, a pattern that cannot be compiled, or exceeds a limit:
    /// [`crate::limits::MAX_FILTER_BYTES`], [`crate::limits::MAX_FILTER_DEPTH`],
    /// [`crate::limits::MAX_FILTER_CONDITIONS`], [`crate::limits::MAX_REGEX_BYTES`],
    /// [`crate::limits::MAX_REGEX_PROGRAM_BYTES`].
    pub fn parse(json: &[u8]) -> Result<Self> {
        filter::parse(json)
    }

    /// Whether `value`, the bytes of a validated JSON value, matches.
    ///
    /// One pass over the bytes that builds nothing, but where a condition compares with an array or
    /// object. Time is linear in the value's length, times the conditions that look at the same part
    /// of it; a `$regex` costs the string's length times the size of its program at worst.
    pub fn matches(&self, value: &[u8]) -> bool {
        evaluate::matches(&self.tree, &self.expression, value)
    }
}
