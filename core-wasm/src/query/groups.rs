//! The groups of an aggregation under way.
//!
//! A group is found by the encodings of its values, one after the other, so that equal values find
//! one group and groups lie in order. What a group keeps of documents are parts of their bytes, which
//! stay where they are; only encodings and arrays put together from several values are copied. Groups
//! and bytes are counted against limits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_GROUP_BYTES, MAX_GROUPS};
use crate::query::accumulate::State;
use crate::query::aggregate::{Aggregation, Source};
use crate::query::cursor::Cursor;
use crate::query::encode;
use crate::query::fields::Slots;

/// JSON, of a document or put together from parts of it.
pub(super) type Json<'a> = Cow<'a, [u8]>;

/// An aggregation under way; see [`Aggregation`].
#[derive(Clone, Debug)]
pub struct Groups<'a, 's> {
    aggregation: &'s Aggregation,
    groups: BTreeMap<Box<[u8]>, Group<'a>>,
    /// The encoded values of the group that was looked for last.
    wanted: Vec<u8>,
    /// Room for the encoding of another value.
    scratch: Vec<u8>,
    /// What all groups keep, in bytes.
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Group<'a> {
    /// The values at the paths that group, nothing for one that is missing.
    values: Box<[Option<Json<'a>>]>,
    states: Box<[State<'a>]>,
}

/// A document as aggregates read it.
pub(super) struct Document<'a, 'k> {
    slots: Slots<'a>,
    key: &'k str,
    timestamp: u64,
}

impl<'a> Document<'a, '_> {
    /// Gives `visit` each value of the source.
    pub(super) fn each(
        &self,
        aggregation: &Aggregation,
        source: Source,
        visit: &mut dyn FnMut(Json<'a>),
    ) {
        match self.pseudo(source) {
            Some(value) => visit(value),
            None => {
                self.visit(aggregation, source, &mut |cursor| visit(Cow::Borrowed(cursor.raw())));
            }
        }
    }

    /// The value of the source; of one that goes through the elements of an array, the array of all
    /// that it finds there.
    pub(super) fn whole(&self, aggregation: &Aggregation, source: Source) -> Option<Json<'a>> {
        if let Some(value) = self.pseudo(source) {
            return Some(value);
        }
        let mut first = None;
        let mut array = Vec::new();
        let fanned = self.visit(aggregation, source, &mut |cursor| {
            let value = cursor.raw();
            match first {
                None => first = Some(value),
                Some(first) => {
                    if array.is_empty() {
                        array.extend_from_slice(first);
                    }
                    array.push(b',');
                    array.extend_from_slice(value);
                }
            }
        });
        if !fanned {
            return first.map(Cow::Borrowed);
        }
        if array.is_empty() {
            array.extend_from_slice(first.unwrap_or_default());
        }
        array.insert(0, b'[');
        array.push(b']');
        Some(Cow::Owned(array))
    }

    fn visit(
        &self,
        aggregation: &Aggregation,
        source: Source,
        visit: &mut impl FnMut(Cursor<'a>),
    ) -> bool {
        let Source::Field(number) = source else { return false };
        aggregation.fields.visit(number, &self.slots, visit)
    }

    /// The value of a source that is no field.
    fn pseudo(&self, source: Source) -> Option<Json<'a>> {
        match source {
            Source::Key => Some(Cow::Owned(quoted(self.key))),
            Source::Timestamp => Some(Cow::Owned(self.timestamp.to_string().into_bytes())),
            Source::Document => Some(Cow::Borrowed(b"true")),
            Source::Field(_) => None,
        }
    }
}

impl<'a, 's> Groups<'a, 's> {
    pub(super) fn new(aggregation: &'s Aggregation) -> Self {
        let mut groups = BTreeMap::new();
        if !aggregation.grouped {
            let group = Group { values: Box::default(), states: states(aggregation) };
            groups.insert(Box::default(), group);
        }
        Self { aggregation, groups, wanted: Vec::new(), scratch: Vec::new(), bytes: 0 }
    }

    /// Adds a document: the bytes of its value, which is validated JSON, its key, and its time. One
    /// pass over its members, and one over what each path leads to.
    ///
    /// # Errors
    /// `Limit` beyond [`MAX_GROUPS`] or [`MAX_GROUP_BYTES`].
    pub fn add(&mut self, value: &'a [u8], key: &str, timestamp: u64) -> Result<()> {
        let aggregation = self.aggregation;
        let document = Document { slots: aggregation.fields.locate(value), key, timestamp };
        self.wanted.clear();
        for column in &aggregation.group_by {
            encode_group(&document, aggregation, column.source, &mut self.wanted);
        }
        if !self.groups.contains_key(self.wanted.as_slice()) {
            self.open(&document)?;
        }
        let Some(group) = self.groups.get_mut(self.wanted.as_slice()) else { return Ok(()) };
        for (aggregate, state) in aggregation.aggregates.iter().zip(&mut group.states) {
            let before = state.bytes();
            state.add(aggregation, aggregate.column.source, &document, &mut self.scratch);
            self.bytes = self.bytes + state.bytes() - before;
        }
        self.check_bytes()
    }

    /// Opens the group of a document.
    fn open(&mut self, document: &Document<'a, '_>) -> Result<()> {
        if self.groups.len() >= MAX_GROUPS {
            return Err(Error::new(
                Kind::Limit,
                format!("group_by: more than {MAX_GROUPS} groups"),
                "group by a field with fewer values, or narrow the documents with where",
            ));
        }
        let sources = self.aggregation.group_by.iter().map(|column| column.source);
        let values: Box<[_]> =
            sources.map(|source| document.whole(self.aggregation, source)).collect();
        let states = states(self.aggregation);
        let owned: usize = values.iter().flatten().map(owned_bytes).sum();
        self.bytes += self.wanted.len() + owned + size_of::<Group<'_>>();
        self.bytes += size_of_val::<[_]>(&values) + size_of_val::<[_]>(&states);
        self.groups.insert(self.wanted.as_slice().into(), Group { values, states });
        self.check_bytes()
    }

    fn check_bytes(&self) -> Result<()> {
        if self.bytes <= MAX_GROUP_BYTES {
            return Ok(());
        }
        Err(Error::new(
            Kind::Limit,
            format!("aggregate: the groups take more than {MAX_GROUP_BYTES} bytes"),
            "group by shorter or fewer values, or narrow the documents with where",
        ))
    }

    /// Most bytes of the outcome.
    #[must_use]
    pub fn written_bytes(&self) -> usize {
        let (columns, aggregates) = self.names();
        // Of each member also a comma and a colon, of each group two braces and a comma.
        let names = columns.iter().chain(&aggregates).map(|name| name.len() + 2).sum::<usize>() + 3;
        let length = |value: &Option<Json<'_>>| value.as_ref().map_or(4, |value| value.len());
        let group = |group: &Group<'_>| {
            group.values.iter().map(length).sum::<usize>()
                + group.states.iter().map(State::written_bytes).sum::<usize>()
        };
        2 + self.groups.len() * names + self.groups.values().map(group).sum::<usize>()
    }

    /// The names of columns and of aggregates, as JSON.
    fn names(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let columns = self.aggregation.group_by.iter().map(|column| quoted(&column.name));
        let aggregates = self.aggregation.aggregates.iter().map(|one| quoted(&one.column.name));
        (columns.collect(), aggregates.collect())
    }

    /// The outcome: the JSON of a list with an object for each group.
    ///
    /// # Errors
    /// `Invalid` if the sum of floats is beyond all floats, which JSON cannot say. `Limit` if memory
    /// has no room for the outcome.
    pub fn finish(self) -> Result<Vec<u8>> {
        let bytes = self.written_bytes();
        let (column_names, names) = self.names();
        let aggregates = &self.aggregation.aggregates;
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).map_err(|_| no_room(bytes))?;
        out.push(b'[');
        for group in self.groups.into_values() {
            if out.len() > 1 {
                out.push(b',');
            }
            let mut open = b'{';
            let mut member = |name: &[u8], value: &[u8]| {
                out.push(open);
                open = b',';
                out.extend_from_slice(name);
                out.push(b':');
                out.extend_from_slice(value);
            };
            for (name, value) in column_names.iter().zip(&group.values) {
                member(name, value.as_deref().unwrap_or(b"null"));
            }
            let states = group.states.into_vec();
            for ((name, aggregate), state) in names.iter().zip(aggregates).zip(states) {
                member(name, &state.finish(aggregate)?);
            }
            out.push(b'}');
        }
        out.push(b']');
        Ok(out)
    }
}

fn no_room(bytes: usize) -> Error {
    Error::new(
        Kind::Limit,
        format!("aggregate: the groups take up to {bytes} bytes, more than the memory has left"),
        "raise Config.max_memory_mb, or group by a field with fewer values",
    )
}

/// Appends the encoding of a value that groups. Missing is null.
fn encode_group(
    document: &Document<'_, '_>,
    aggregation: &Aggregation,
    source: Source,
    out: &mut Vec<u8>,
) {
    match document.whole(aggregation, source) {
        Some(value) => encode::value(&mut Cursor::new(&value), out),
        None => out.push(encode::NULL),
    }
}

fn states<'a>(aggregation: &Aggregation) -> Box<[State<'a>]> {
    aggregation.aggregates.iter().map(|aggregate| State::new(aggregate.operator)).collect()
}

/// The bytes that a value takes beside those of its document.
pub(super) fn owned_bytes(value: &Json<'_>) -> usize {
    if let Cow::Owned(bytes) = value { bytes.capacity() } else { 0 }
}

/// A string as JSON.
fn quoted(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}
