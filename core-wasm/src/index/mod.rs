//! Indexes of fields: which documents have which values.
//!
//! An index is a sorted map from encoded values (see `query/encode.rs`) to places, the numbers by
//! which its owner knows documents. It is a cache: made of the documents and never stored.
//!
//! # What is found
//!
//! A document stands at each value that `$eq` on the field sees: what the path leads to and, of a
//! value that is an array, its elements beside the array as a whole. A document without the field
//! stands at a value of its own, below all others. So an index of a field knows every document.
//!
//! Of a long encoding only the first [`crate::limits::MAX_INDEX_KEY_BYTES`] are kept. What is looked up
//! is cut the same way, and a range that excludes a value that was cut includes it. Cutting keeps
//! order but makes equal what was not: a lookup finds every document that it should, and perhaps
//! some more. Whoever looks up runs the filter on what was found.
//!
//! A document with more than [`crate::limits::MAX_INDEX_VALUES`] values in the field, or with a long
//! array or object there, stands at none of them: every lookup finds it.
//!
//! # Order
//!
//! While no document has several values or an array in the field ([`FieldIndex::is_single_valued`]),
//! the places in the order of the map are in the order of the field, missing ones first
//! ([`FieldIndex::runs`]). Those at one value are in the order of the documents' names ([`Names`]).

mod field_index;
mod key;
mod places;
#[cfg(test)]
mod tests;

pub use field_index::{FieldIndex, Run};
pub use places::{Names, Places};
