//! Whether a filter selects a value, if memory has room for finding that out.
//!
//! A filter reads values in place, but for two things that it makes of a part of one: a string without
//! its escapes, and a tree of what is compared with an array or object. Neither can fail, so for a
//! value of which they may be long, there has to be room beforehand.

use crate::error::{Error, Kind};
use crate::log::record::Record;
use crate::query::Filter;
use crate::query::cursor::longest_escaped;

use super::Options;
use super::commit::{SMALL_ROOM_BYTES, has_piece};
use super::derived::indexed;
use super::query::PART_BYTES;

/// Longest record of which strings are made without asking, and longest of which trees are: there is
/// always so much.
pub(super) const SHORT_TEXT_BYTES: usize = 16 * 1024;
const SHORT_TREE_BYTES: usize = 1024;

/// Memory has less left than this many bytes, which a filter may take for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom(usize);

impl From<NoRoom> for Error {
    #[cold]
    fn from(NoRoom(bytes): NoRoom) -> Self {
        Self::new(
            Kind::Limit,
            format!("the filter may take {bytes} bytes for a value, more than the memory has left"),
            "raise Config.max_memory_mb, or delete or erase what is not needed",
        )
    }
}

/// Whether a record's value is selected by a filter. Values that are bytes have no fields.
#[inline(always)]
pub(super) fn is_selected(
    filter: Option<&Filter>,
    record: &Record,
    options: &Options,
) -> Result<bool, NoRoom> {
    let Some(filter) = filter else { return Ok(true) };
    let short = if filter.makes_trees() { SHORT_TREE_BYTES } else { SHORT_TEXT_BYTES };
    if record.as_bytes().len() > short {
        check_room(filter, indexed(record), options)?;
    }
    Ok(matches(filter, record))
}

/// Whether a record's value matches, where there is room to find out. The only place that asks a filter,
/// so that all of the walk becomes one function.
#[inline(never)]
pub(super) fn matches(filter: &Filter, record: &Record) -> bool {
    filter.matches(indexed(record))
}

#[cold]
fn check_room(filter: &Filter, value: &[u8], options: &Options) -> Result<(), NoRoom> {
    let tree = if filter.makes_trees() {
        value.len() + PART_BYTES * value.iter().filter(|byte| **byte == b',').count()
    } else {
        0
    };
    let fits = |text| options.has_room(text + tree + SMALL_ROOM_BYTES) && has_piece(text);
    if fits(value.len()) {
        return Ok(());
    }
    // Strings without escapes are compared where they lie, and of the others one at a time is made.
    let text = longest_escaped(value);
    if fits(text) { Ok(()) } else { Err(NoRoom(text + tree)) }
}
