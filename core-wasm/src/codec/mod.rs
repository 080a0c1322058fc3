//! Leaves without state: little-endian integers, JSON validation, names.

pub mod bytes;
pub mod hex;
pub mod json;
pub mod names;
