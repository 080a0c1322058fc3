//! Selecting values by filter and order: by a scan of the namespace's keys, or by an index.
//!
//! An index gives a superset of what matches, so each candidate is looked at again: whether it is
//! visible, and whether the whole filter matches. Results are the same on every path.

mod source;

use std::borrow::Cow;

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::index::{FieldIndex, Places};
use crate::log::record::{Record, ValueKind};
use crate::query::{Filter, Lookup, Order, SortKey, Sorter};

pub(super) use self::source::Narrowed;
use self::source::{Source, by_key};
use super::commit::{has_piece, out_of_memory};
use super::derived::{View, indexed};
use super::keyspace::Chain;
use super::versions::Place;
use super::{Database, ViewSource};

/// If more than this is to be made of a value, its length decides how much room there has to be.
const LONG_VALUE_BYTES: usize = 4096;
/// The text without escapes and a key, each while it grows and the one before is still there.
const KEY_COPIES: usize = 6;
/// What a member or element takes more than its text: of a tree that grows, and of a key.
const PART_BYTES: usize = 160;

/// What to select.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// Namespace to look in.
    pub namespace: &'a str,
    /// JSON of a filter.
    pub filter: Option<&'a [u8]>,
    /// JSON of an order; equal values go by key.
    pub order: &'a [u8],
    /// Leave out so many.
    pub offset: usize,
    /// At most so many.
    pub limit: Option<usize>,
    /// As of this time.
    pub at: u64,
}

/// How a selection was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation<'a> {
    /// `scan`, `index` or `index order`.
    pub path: &'static str,
    /// Field of the index.
    pub index: Option<Cow<'a, str>>,
    /// Values looked at.
    pub examined: usize,
    /// Values that matched, as far as they were looked at.
    pub matched: usize,
    /// Values selected after offset and limit.
    pub returned: usize,
}

/// Records in order, and how they were found.
pub type Selected<'a> = (Vec<&'a Record>, Explanation<'a>);

impl Database {
    /// The records of a namespace's values that match, in order. Linear in the namespace's keys, or
    /// in what an index leaves of them.
    ///
    /// # Errors
    /// `Invalid` for a bad filter or order.
    pub fn select(&self, select: &Select<'_>) -> Result<Selected<'_>> {
        if let Some((field, places)) = self.one_value(select) {
            let mut run = Run::new(self, select, None);
            let records = run.of_value((field, places), false);
            run.explanation.returned = records.len();
            return Ok((records, run.explanation));
        }
        let filter = select.filter.map(Filter::parse).transpose()?;
        let order = Order::parse(select.order)?;
        let mut run = Run::new(self, select, filter.as_ref());
        let (source, is_exact) = self.source(select, filter.as_ref(), &order);
        run.filter = run.filter.filter(|_| !is_exact);
        let horizon = run.horizon;
        let records = match source {
            Source::Scan => {
                let chains = self.keyspace.chains(select.namespace);
                let places =
                    chains.filter_map(|chain: &Chain| chain.value_at(horizon, &self.versions));
                if order.parts().next().is_none() {
                    run.in_order(places)
                } else {
                    run.sorted(places, &order)?
                }
            }
            Source::Value { field, places, equal } => {
                match by_key(&order, equal.then_some(field)) {
                    Some(descending) => run.of_value((field, places), descending),
                    None => {
                        run.by_index(field.into());
                        run.sorted(run.visible(places), &order)?
                    }
                }
            }
            Source::Index(field, places) => {
                run.by_index(field.into());
                let places = places.into_iter();
                let places = places.filter(|place| self.versions.is_visible_value(*place, horizon));
                run.sorted(places, &order)?
            }
            Source::Ordered(field, index, descending, range) => {
                run.explanation.path = "index order";
                run.explanation.index = Some(field.into());
                let equal = by_key(&order, Some(field));
                run.by_index_order((index, range.as_ref()), descending, (&order, equal))?
            }
        };
        let mut explanation = run.explanation;
        explanation.returned = records.len();
        Ok((records, explanation))
    }

    /// How many values of a namespace match. Linear in those that an index finds, if it tells by
    /// itself, else as linear as [`Database::select`].
    ///
    /// # Errors
    /// `Invalid` for a bad filter.
    pub fn count(&self, namespace: &str, filter: Option<&[u8]>, at: u64) -> Result<usize> {
        let select = Select { namespace, filter, order: b"[]", offset: 0, limit: Some(0), at };
        let horizon = self.horizon(at);
        if let Some((_, places)) = self.one_value(&select) {
            let visible = |place: &Place| self.versions.is_visible_value(*place, horizon);
            return Ok(places.iter().filter(visible).count());
        }
        let filter = select.filter.map(Filter::parse).transpose()?;
        if let Some(count) = self.counted(&select, filter.as_ref(), horizon) {
            return Ok(count);
        }
        let count = |places: &mut dyn Iterator<Item = Place>| {
            let Some(filter) = &filter else { return places.count() };
            let records = places.filter_map(|place| self.versions.record(place));
            records.filter(|record| is_selected(Some(filter), record)).count()
        };
        if let Some(narrowed) = self.narrowed(&select, filter.as_ref()) {
            let visible = |place: &Place| self.versions.is_visible_value(*place, horizon);
            return Ok(count(&mut narrowed.places.into_iter().filter(visible)));
        }
        let chains = self.keyspace.chains(namespace);
        Ok(count(&mut chains.filter_map(|chain| chain.value_at(horizon, &self.versions))))
    }

    /// What a view shows. Linear in what is passed over and returned; as of the past, as linear as
    /// [`Database::select`].
    ///
    /// # Errors
    /// `NotFound` with near names if there is no such view.
    pub fn view(
        &self,
        name: &str,
        offset: usize,
        limit: Option<usize>,
        at: u64,
    ) -> Result<Vec<&Record>> {
        let Some((namespace, view)) = self.find_view(name) else {
            return Err(self.missing_view(name));
        };
        let Some(entries) = view.entries().filter(|_| at >= self.visible_timestamp) else {
            let ViewSource { filter, order, .. } = view.source(namespace);
            let select = Select { namespace, filter, order, offset, limit, at };
            return Ok(self.select(&select)?.0);
        };
        let horizon = self.horizon(at);
        let visible = entries.filter(|(_, place)| self.versions.is_visible_value(*place, horizon));
        let mut visible =
            visible.filter_map(|(key, place)| Some((key, self.versions.record(place)?))).peekable();
        let wanted = offset.saturating_add(limit.unwrap_or(usize::MAX));
        let order = Order::parse(&view.order)?;
        let mut records = Vec::new();
        while let Some((key, record)) = visible.next() {
            if records.len() >= wanted {
                break;
            }
            let mut run = vec![record];
            while let Some((_, record)) = visible.next_if(|(other, _)| *other == key) {
                run.push(record);
            }
            if run.len() > 1 {
                run = self.sorted(run, &order)?;
            }
            records.extend(run);
        }
        records.truncate(wanted);
        Ok(records.into_iter().skip(offset).collect())
    }

    /// Records in their whole order.
    fn sorted<'a>(&self, records: Vec<&'a Record>, order: &Order) -> Result<Vec<&'a Record>> {
        let mut sorter = Sorter::new(0, None);
        for record in records {
            self.check_room_for_keys(record, 1)?;
            sorter.offer(&sort_key(order, record), record)?;
        }
        Ok(sorter.finish())
    }

    /// Refuses to make so many keys of a value if memory has no room for them.
    #[inline(always)]
    pub(crate) fn check_room_for_keys(&self, record: &Record, count: usize) -> Result<()> {
        if record.as_bytes().len().saturating_mul(count) <= LONG_VALUE_BYTES {
            return self.check_room_to_work(0);
        }
        self.check_room_for_long_keys(record.value(), count)
    }

    fn check_room_for_long_keys(&self, value: &[u8], count: usize) -> Result<()> {
        let parts = value.iter().filter(|byte| **byte == b',').count();
        let text = KEY_COPIES * value.len();
        self.check_room_to_work((text + PART_BYTES * parts).saturating_mul(count))?;
        if has_piece(text) { Ok(()) } else { Err(out_of_memory()) }
    }

    fn missing_view(&self, name: &str) -> Error {
        let names: Vec<&str> = self.list_views().into_iter().map(|(name, _)| name).collect();
        let suggestions = super::suggest::nearest(name, names.iter().copied());
        let next = match suggestions.first() {
            Some(near) => format!("did you mean {near:?}?"),
            None if names.is_empty() => "make one with create_view".to_owned(),
            None => format!("there are: {}", names.join(", ")),
        };
        Error::new(Kind::NotFound, format!("no view {name:?}"), next)
            .with("suggestions", suggestions)
    }
}

/// A selection that is under way.
struct Run<'a, 's> {
    database: &'a Database,
    filter: Option<&'s Filter>,
    offset: usize,
    limit: Option<usize>,
    horizon: u64,
    explanation: Explanation<'a>,
}

impl<'a, 's> Run<'a, 's> {
    fn new(database: &'a Database, select: &Select<'_>, filter: Option<&'s Filter>) -> Self {
        Self {
            database,
            filter,
            offset: select.offset,
            limit: select.limit,
            horizon: database.horizon(select.at),
            explanation: Explanation {
                path: "scan",
                index: None,
                examined: 0,
                matched: 0,
                returned: 0,
            },
        }
    }

    /// The record of a place, if it matches.
    fn matching(&mut self, place: Place) -> Option<&'a Record> {
        let record = self.database.versions.record(place)?;
        self.explanation.examined += 1;
        if !is_selected(self.filter, record) {
            return None;
        }
        self.explanation.matched += 1;
        Some(record)
    }

    /// Selects from places that are in order already.
    fn in_order(&mut self, places: impl Iterator<Item = Place>) -> Vec<&'a Record> {
        let mut records = Vec::new();
        let mut skipped = 0;
        let versions = &self.database.versions;
        let wanted = self.offset.saturating_add(self.limit.unwrap_or(usize::MAX));
        let mut fetched = 0;
        for place in places {
            if self.limit.is_some_and(|limit| records.len() >= limit) {
                break;
            }
            if !versions.is_here(place) {
                // They may be all that is wanted: what is behind is looked at once they are here.
                let at_once = self.database.fetched_at_a_time();
                if fetched >= wanted && versions.wanted().bytes() >= at_once {
                    break;
                }
                fetched += 1;
            }
            if let Some(record) = self.matching(place) {
                if skipped < self.offset {
                    skipped += 1;
                } else {
                    records.push(record);
                }
            }
        }
        records
    }

    /// Selects from places in any order.
    fn sorted(
        &mut self,
        places: impl Iterator<Item = Place>,
        order: &Order,
    ) -> Result<Vec<&'a Record>> {
        let mut sorter = Sorter::new(self.offset, self.limit);
        let mut key = SortKey::new();
        for place in places {
            if let Some(record) = self.matching(place) {
                let fields = record.fields();
                self.database.check_room_for_keys(record, 1)?;
                key.clear();
                order.write_key(indexed(record), fields.key, fields.timestamp, &mut key);
                sorter.offer(&key, record)?;
            }
        }
        Ok(sorter.finish())
    }

    /// Notes that candidates are those of an index.
    fn by_index(&mut self, fields: Cow<'a, str>) {
        self.explanation.path = "index";
        self.explanation.index = Some(fields);
    }

    /// Selects from the places of one value of an index, in the order of their keys.
    fn of_value(
        &mut self,
        (field, places): (&'a str, &Places),
        descending: bool,
    ) -> Vec<&'a Record> {
        self.by_index(field.into());
        let mut records = Vec::new();
        self.by_key(places, descending, &mut records);
        records.drain(..self.offset.min(records.len()));
        records
    }

    /// How many are to be found, with those to leave out.
    fn wanted(&self) -> usize {
        self.offset.saturating_add(self.limit.unwrap_or(usize::MAX))
    }

    /// Those of an index's places that hold the values of their keys.
    fn visible<'p>(&self, places: &'p Places) -> impl Iterator<Item = Place> + use<'a, 'p> {
        let (database, horizon) = (self.database, self.horizon);
        places.iter().filter(move |place| database.versions.is_visible_value(*place, horizon))
    }

    /// Adds what matches of documents that their keys order, until enough is found.
    fn by_key(&mut self, places: &Places, descending: bool, found: &mut Vec<&'a Record>) {
        let wanted = self.wanted();
        let (mut upwards, mut downwards) = (places.iter(), places.iter().rev());
        while found.len() < wanted {
            let next = if descending { downwards.next() } else { upwards.next() };
            let Some(place) = next else { return };
            if self.database.versions.is_visible_value(place, self.horizon) {
                found.extend(self.matching(place));
            }
        }
    }

    /// Selects from an index in its order. Documents that are equal in it are ordered by their keys
    /// if `equal` says which way, else sorted among themselves.
    fn by_index_order(
        &mut self,
        (index, range): (&FieldIndex, Option<&Lookup>),
        descending: bool,
        (order, equal): (&Order, Option<bool>),
    ) -> Result<Vec<&'a Record>> {
        let wanted = self.wanted();
        let mut found: Vec<&Record> = Vec::new();
        for run in index.runs(range, descending).into_iter().flatten() {
            if found.len() >= wanted {
                break;
            }
            if let Some(keys_descending) = equal.filter(|_| run.is_whole) {
                self.by_key(run.places, keys_descending, &mut found);
            } else {
                let visible = self.visible(run.places);
                let matching = visible.filter_map(|place| self.matching(place)).collect();
                found.extend(self.database.sorted(matching, order)?);
            }
        }
        found.truncate(wanted);
        Ok(found.into_iter().skip(self.offset).collect())
    }
}

/// Whether a record's value is selected by a filter. Values that are bytes have no fields.
pub(super) fn is_selected(filter: Option<&Filter>, record: &Record) -> bool {
    filter.is_none_or(|filter| {
        filter.matches(match record.kind() {
            ValueKind::Json => record.value(),
            ValueKind::Bytes | ValueKind::Deleted => b"null",
        })
    })
}

/// A record's place in an order: comparing bytes compares records, and no two keys are equal.
pub(super) fn sort_key(order: &Order, record: &Record) -> SortKey {
    let fields = record.fields();
    order.key(indexed(record), fields.key, fields.timestamp)
}

impl View {
    /// What it was defined by.
    pub(super) fn source<'a>(&'a self, namespace: &'a str) -> ViewSource<'a> {
        ViewSource { namespace, filter: self.filter.as_deref(), order: &self.order }
    }
}
