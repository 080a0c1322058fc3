//! Views: the result of a query, kept in its order.

use std::collections::BTreeSet;

use crate::log::record::Record;
use crate::query::{Filter, Order, SortKey};

use super::super::query::{is_selected, sort_key};
use super::super::versions::Place;

/// A view: what it selects, and the versions that it does.
pub(in crate::db) struct View {
    /// JSON of its filter.
    pub(in crate::db) filter: Option<Box<[u8]>>,
    /// JSON of its order.
    pub(in crate::db) order: Box<[u8]>,
    selects: Option<Filter>,
    sorts: Order,
    /// By place in the order, then place of the version. `None` if memory had no room for them: the
    /// view is evaluated each time, until the database is opened with more.
    entries: Option<BTreeSet<(SortKey, Place)>>,
}

impl View {
    /// A view without entries. The JSON is that of the filter and order.
    pub(in crate::db) fn new(
        (filter_json, selects): (Option<&[u8]>, Option<Filter>),
        (order_json, sorts): (&[u8], Order),
    ) -> Self {
        Self {
            filter: filter_json.map(Into::into),
            order: order_json.into(),
            selects,
            sorts,
            entries: Some(BTreeSet::new()),
        }
    }

    /// Takes a version in, if it is selected.
    pub(in crate::db) fn add(&mut self, place: Place, record: &Record) {
        let Self { selects, sorts, entries, .. } = self;
        if let Some(entries) = entries
            && is_selected(selects.as_ref(), record)
        {
            entries.insert((sort_key(sorts, record), place));
        }
    }

    pub(super) fn remove(&mut self, place: Place, record: &Record) {
        let Self { selects, sorts, entries, .. } = self;
        if let Some(entries) = entries
            && is_selected(selects.as_ref(), record)
        {
            entries.remove(&(sort_key(sorts, record), place));
        }
    }

    /// Keeps no result any more.
    pub(in crate::db) fn give_up(&mut self) {
        self.entries = None;
    }

    /// The versions in order with their keys, if they are kept. Some may not be visible: not yet, or
    /// not any more. Those with equal keys are in no order.
    pub(in crate::db) fn entries(&self) -> Option<impl Iterator<Item = (&SortKey, Place)>> {
        Some(self.entries.as_ref()?.iter().map(|(key, place)| (key, *place)))
    }
}
