//! What is derived from versions and kept up to date by writes: indexes of fields, views, and the
//! text indexes of each namespace.
//!
//! All of it is about the present, and never the only copy of anything. A write adds the entries of
//! its version at once, and takes those of the version before away once it is acknowledged. A read
//! in between finds both, and asks [`Versions::is_visible`] which one counts.

mod text;
mod view;

use std::collections::{BTreeMap, VecDeque};

use crate::codec::names;
use crate::index::FieldIndex;
use crate::limits::{MAX_INDEX_VALUES, MAX_VIEW_KEY_BYTES};
use crate::log::record::{Record, ValueKind};

use super::IndexStats;
use super::versions::{Place, Versions};

pub use text::Strings;
pub(super) use text::{Columns, Text, Texts};
pub(super) use view::View;

/// What is derived from the values of one namespace.
#[derive(Default)]
pub(super) struct Space {
    /// Indexes by their fields. One that memory had no room for is `None`: nothing uses it until
    /// the database is opened with more.
    pub(super) fields: BTreeMap<Box<str>, Option<Box<FieldIndex>>>,
    /// Views by their names.
    pub(super) views: BTreeMap<Box<str>, Box<View>>,
    /// The text indexes.
    pub(super) texts: Texts,
}

/// What is derived, by namespace. Namespaces of which nothing is derived are not in it. Boxes, here and
/// above: maps of one layout share their code.
#[derive(Default)]
pub(super) struct Derived {
    spaces: BTreeMap<Box<str>, Box<Space>>,
    /// Overwritten versions whose entries go when the commit of that time is acknowledged.
    retiring: VecDeque<(u64, Place)>,
    /// Whether some of those may have times that are earlier than those of others before them.
    is_out_of_order: bool,
    /// Whether what is defined is here: not while a log is replayed.
    is_restored: bool,
}

impl core::fmt::Debug for Derived {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Derived({} namespaces)", self.spaces.len())
    }
}

impl Derived {
    pub(super) fn space(&self, namespace: &str) -> Option<&Space> {
        self.spaces.get(namespace).map(|space| &**space)
    }

    pub(super) fn space_mut(&mut self, namespace: &str) -> &mut Space {
        self.spaces.entry(namespace.into()).or_default()
    }

    pub(super) fn spaces(&self) -> impl Iterator<Item = (&str, &Space)> {
        self.spaces.iter().map(|(namespace, space)| (&**namespace, &**space))
    }

    /// About what a version of a namespace takes in its indexes and views.
    pub(super) fn entry_bytes(&self, namespace: &[u8], value: &[u8]) -> usize {
        if self.spaces.is_empty() {
            return 0;
        }
        let namespace = core::str::from_utf8(namespace).unwrap_or_default();
        let space = self.spaces.get(namespace);
        let entry = 32 + MAX_VIEW_KEY_BYTES.min(value.len() / 2);
        // Each element of an array may be an entry of its own.
        let several = value.len() > MAX_VIEW_KEY_BYTES && value.contains(&b'[');
        let entry = entry + if several { 48 * MAX_INDEX_VALUES } else { 0 };
        space.map_or(0, |space| entry * (space.fields.len() + space.views.len()))
    }

    /// A version was written, in place of `before`. `unacknowledged` is the time of a commit that is
    /// not acknowledged yet.
    pub(super) fn wrote(
        &mut self,
        place: Place,
        before: Option<Place>,
        unacknowledged: Option<u64>,
        versions: &Versions,
    ) {
        if self.spaces.is_empty() {
            return;
        }
        let Some(record) = versions.record(place) else { return };
        let Some(space) = self.spaces.get_mut(record.fields().namespace) else { return };
        space.add(place, record, versions);
        space.texts.keep(|text| {
            if let Some(timestamp) = unacknowledged {
                text.note(timestamp);
            }
            if let Some(before) = before {
                text.retire(before);
            }
            !text.is_worn()
        });
        let Some(before) = before else { return };
        match unacknowledged {
            Some(timestamp) => self.retiring.push_back((timestamp, before)),
            None => self.remove(before, versions),
        }
    }

    /// Whether what is defined has been made of what is stored.
    pub(super) fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// What is defined has been made of what is stored.
    pub(super) fn set_restored(&mut self) {
        self.is_restored = true;
    }

    /// A version was read from the log. Until definitions were restored nothing is derived of it, and
    /// one that is read after that has them all restored again.
    pub(super) fn replayed(&mut self, place: Place, before: Option<Place>, versions: &Versions) {
        if !self.is_restored {
            return;
        }
        let record = versions.record(place);
        if record.is_some_and(|record| record.fields().namespace == names::SYSTEM) {
            *self = Self::default();
        } else {
            self.wrote(place, before, None, versions);
        }
    }

    /// What there is of indexes, by namespace: of fields by their paths, then of text.
    pub(super) fn stats(&self) -> Vec<IndexStats> {
        self.spaces().flat_map(|(namespace, space)| space.stats(namespace)).collect()
    }

    /// The namespaces that have an index of these strings.
    pub(super) fn texts(&self, strings: Strings) -> impl Iterator<Item = &str> {
        let has_one = move |space: &Space| space.texts.get(strings).is_some();
        self.spaces().filter(move |(_, space)| has_one(space)).map(|(namespace, _)| namespace)
    }

    /// The index of these strings of a namespace, if there is one.
    pub(super) fn text(&self, namespace: &str, strings: Strings) -> Option<&Text> {
        self.space(namespace)?.texts.get(strings)
    }

    /// The same, to be changed.
    pub(super) fn text_mut(&mut self, namespace: &str, strings: Strings) -> Option<&mut Text> {
        self.spaces.get_mut(namespace)?.texts.slot(strings).as_mut()
    }

    /// A version that is the key's value as of some moment that is not acknowledged any more.
    pub(super) fn retire_later(&mut self, timestamp: u64, place: Place) {
        self.is_out_of_order = true;
        self.retiring.push_back((timestamp, place));
    }

    /// Commits up to a time are acknowledged.
    pub(super) fn acknowledge(&mut self, timestamp: u64, versions: &Versions) {
        while let Some(&(committed, place)) = self.retiring.front() {
            if committed > timestamp {
                break;
            }
            self.retiring.pop_front();
            self.remove(place, versions);
        }
        self.is_out_of_order &= !self.retiring.is_empty();
    }

    /// A version of a namespace is about to go for good.
    pub(super) fn forget(&mut self, namespace: &str, place: Place, versions: &Versions) {
        if self.spaces.is_empty() {
            return;
        }
        if versions.frame(place).is_none() {
            self.remove(place, versions);
        } // One that was set aside has no entries.
        self.retiring.retain(|(_, retiring)| *retiring != place);
        if let Some(space) = self.spaces.get_mut(namespace) {
            space.texts.keep(|text| {
                text.erase(place);
                true
            });
        }
    }

    /// Whether entries are still to be taken away of a version that is overwritten as of what is
    /// acknowledged.
    pub(super) fn is_retiring(&self, place: Place) -> bool {
        self.is_out_of_order && self.retiring.iter().any(|(_, retiring)| *retiring == place)
    }

    /// Takes the words of erased versions out of memory.
    pub(super) fn compact_texts(&mut self) {
        for space in self.spaces.values_mut() {
            space.texts.keep(|text| text.compact().is_ok());
        }
    }

    /// Lets go of every text index; whether there was one.
    pub(super) fn drop_texts(&mut self) -> bool {
        let slots = self.spaces.values_mut().flat_map(|space| space.texts.slots());
        slots.filter_map(Option::take).count() > 0
    }

    /// Takes a version's entries out of indexes and views.
    fn remove(&mut self, place: Place, versions: &Versions) {
        let Some(record) = versions.record(place) else { return };
        if let Some(space) = self.spaces.get_mut(record.fields().namespace) {
            space.remove(place, record, versions);
        }
    }
}

impl Space {
    /// The index of a field and the name that it is kept under, if it may be used.
    pub(super) fn index(&self, field: &str) -> Option<(&str, &FieldIndex)> {
        let (field, index) = self.fields.get_key_value(field)?;
        Some((field, index.as_ref()?))
    }

    fn stats(&self, namespace: &str) -> impl Iterator<Item = IndexStats> {
        let fields = self.fields.iter().map(move |(field, index)| IndexStats {
            namespace: namespace.to_owned(),
            kind: "field",
            field: Some(field.to_string()),
            documents: index.as_deref().map(FieldIndex::documents),
            bytes: index.as_deref().map_or(0, FieldIndex::bytes),
        });
        let texts = Strings::EACH.into_iter().filter_map(move |strings| {
            let index = &self.texts.get(strings)?.index;
            Some(IndexStats {
                namespace: namespace.to_owned(),
                kind: "text",
                field: strings.field().map(str::to_owned),
                documents: Some(index.documents()),
                bytes: index.bytes(),
            })
        });
        fields.chain(texts)
    }

    fn add(&mut self, place: Place, record: &Record, versions: &Versions) {
        if record.kind() == ValueKind::Deleted {
            return;
        }
        for index in self.fields.values_mut().flatten() {
            index.insert(place, indexed(record), versions);
        }
        for view in self.views.values_mut() {
            view.add(place, record);
        }
        self.texts.keep(|text| text.add(place, record).is_ok());
    }

    fn remove(&mut self, place: Place, record: &Record, versions: &Versions) {
        if record.kind() == ValueKind::Deleted {
            return;
        }
        for index in self.fields.values_mut().flatten() {
            index.remove(place, indexed(record), versions);
        }
        for view in self.views.values_mut() {
            view.remove(place, record);
        }
    }
}

/// What an index sees of a value: bytes have no fields.
pub(super) fn indexed(record: &Record) -> &[u8] {
    if record.kind() == ValueKind::Json { record.value() } else { b"null" }
}
