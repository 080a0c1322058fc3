//! The log: what a database file holds, byte by byte.
//!
//! A file is a [`header`] and then [`frame`]s. A write is one or more frames that carry
//! [`record`]s (or an erasure) and one commit frame that closes the group; a group counts whole
//! or not at all. A compacted file begins with a [`snapshot`]. [`recovery`] reads a file back and tells a torn tail from damage; [`chain`]
//! links commits by hash. [`salvage`] takes what is intact out of a damaged file.

pub mod chain;
mod crc;
pub mod frame;
pub mod header;
pub mod record;
pub mod recovery;
pub mod salvage;
pub mod snapshot;
