//! Which rows match a filter, remembered.
//!
//! The version of a row never changes, so whether it matches does not either: a filter that was
//! asked before costs only the rows that came since. Of versions that were set aside it is found out
//! when a search sees their rows.

use crate::error::Result;
use crate::limits::MAX_REMEMBERED_FILTERS;
use crate::query::Filter;
use crate::vector::{Rows, bitmap};

use super::super::commit::out_of_memory;
use super::super::query::is_selected;
use super::super::versions::{Place, Versions};

/// Filters of one set, the latest asked last.
#[derive(Default)]
pub(super) struct Filters(Vec<Remembered>);

struct Remembered {
    json: Box<[u8]>,
    filter: Filter,
    matching: Vec<u64>,
    /// Rows before this one are in `matching` if they match,
    evaluated: u32,
    /// but for these, of which that is not known.
    unknown: Vec<u32>,
}

impl Filters {
    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }

    /// A row's number was given to another version: whether it matches has to be found out anew.
    pub(super) fn revisit(&mut self, row: u32) {
        for remembered in &mut self.0 {
            remembered.evaluated = remembered.evaluated.min(row);
            remembered.unknown.retain(|unknown| *unknown < row);
        }
    }

    /// The rows of those `seen` whose values match, perhaps with others; without `seen`, of the current
    /// ones. Linear in the rows that came since it was last asked.
    pub(super) fn matching(
        &mut self,
        json: &[u8],
        (rows, places): (&Rows, &[Place]),
        seen: Option<&[u64]>,
        versions: &Versions,
    ) -> Result<&[u64]> {
        let index = self.0.iter().position(|remembered| *remembered.json == *json);
        let mut remembered = match index {
            Some(index) => self.0.remove(index),
            None => Remembered {
                json: json.into(),
                filter: Filter::parse(json)?,
                matching: Vec::new(),
                evaluated: 0,
                unknown: Vec::new(),
            },
        };
        let end = rows.end();
        let length = usize::try_from(end).unwrap_or(usize::MAX);
        bitmap::resize(&mut remembered.matching, length).map_err(|_| out_of_memory())?;
        let fresh = usize::try_from(remembered.evaluated).unwrap_or(usize::MAX);
        let Remembered { filter, matching, evaluated, unknown, .. } = &mut remembered;
        let seen = seen.unwrap_or(rows.current());
        unknown.retain(|&row| {
            let place = usize::try_from(row).ok().and_then(|row| places.get(row));
            let record =
                place.filter(|_| bitmap::contains(seen, row)).and_then(|at| versions.record(*at));
            let Some(record) = record else { return true };
            bitmap::set(matching, row, is_selected(Some(filter), record));
            false
        });
        for (row, place) in (0..end).zip(places).skip(fresh) {
            if !versions.is_here(*place) {
                unknown.try_reserve(1).map_err(|_| out_of_memory())?;
                unknown.push(row);
                if !bitmap::contains(seen, row) {
                    continue;
                }
            }
            let record = versions.record(*place);
            let matches = record.is_some_and(|record| is_selected(Some(filter), record));
            bitmap::set(matching, row, matches);
        }
        *evaluated = end;
        if self.0.len() == MAX_REMEMBERED_FILTERS {
            self.0.remove(0);
        }
        self.0.push(remembered);
        Ok(self.0.last().map(|remembered| remembered.matching.as_slice()).unwrap_or_default())
    }
}
