//! The index of one field.

use core::ops::Bound;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::index::key::Key;
use crate::index::places::{Names, Places};
use crate::limits::{MAX_INDEX_KEY_BYTES, MAX_INDEX_VALUES};
use crate::query::{Field, Lookup, check_path};

/// About what an entry of the map takes: a key and a set, in nodes that are two thirds full.
const ENTRY_BYTES: usize = (size_of::<Key>() + size_of::<Places>()) * 3 / 2;
/// About what a place takes in a set of several, whose vector has room to grow.
const PLACE_BYTES: usize = size_of::<u32>() * 3 / 2;

/// An index of one field; see [`crate::index`].
///
/// ```
/// use koru_delta_core::index::{FieldIndex, Names};
/// use koru_delta_core::query::{Filter, Indexes, Lookup};
///
/// struct Keys;
/// impl Names for Keys {
///     fn name(&self, place: u32) -> &[u8] {
///         [b"ann", b"bob"][place as usize]
///     }
/// }
///
/// struct One(FieldIndex);
/// impl Indexes for One {
///     fn count(&self, field: &str, lookup: &Lookup, at_most: usize) -> Option<usize> {
///         (field == self.0.field()).then(|| self.0.count(lookup, at_most))
///     }
///     fn is_single_valued(&self, _: &str) -> bool {
///         self.0.is_single_valued()
///     }
///     fn is_exact(&self, _: &str, lookup: &Lookup) -> bool {
///         self.0.is_exact(lookup)
///     }
/// }
///
/// let mut index = FieldIndex::new("age").unwrap();
/// index.insert(0, br#"{"age": 41}"#, &Keys);
/// index.insert(1, br#"{"age": 17}"#, &Keys);
/// let indexes = One(index);
/// let filter = Filter::parse(br#"{"age": {"$gte": 18}, "name": "Ann"}"#).unwrap();
/// let plan = filter.plan(&indexes, usize::MAX).unwrap();
/// assert_eq!((plan.documents, plan.is_exact), (1, false));
/// assert!(indexes.0.places(&plan.parts[0].1).eq([0]));
/// ```
#[derive(Clone, Debug)]
pub struct FieldIndex {
    name: String,
    field: Field,
    map: BTreeMap<Key, Places>,
    /// Documents with several values, or with an array.
    several: usize,
    documents: usize,
    /// Bytes of keys beside the map.
    key_bytes: usize,
    /// Places in sets.
    places: usize,
    /// The keys of the document at hand, one after the other, and where each begins.
    keys: Keys,
    /// Documents with more values than are kept: every lookup finds them.
    wide: BTreeSet<u32>,
}

/// The keys of one document.
#[derive(Clone, Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    /// Sorted by their keys, each key once.
    ranges: Vec<(usize, usize)>,
    /// Whether the field has several values, or an array.
    several: bool,
    /// Whether there are more values, or longer ones, than an index takes; then there are no keys.
    wide: bool,
}

impl Keys {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().map(|&(start, end)| self.bytes.get(start..end).unwrap_or_default())
    }

    /// Reads the keys of a document.
    fn read(&mut self, field: &Field, value: &[u8]) {
        self.bytes.clear();
        self.ranges.clear();
        let bytes = &mut self.bytes;
        let ranges = &mut self.ranges;
        let room = (&mut *bytes, MAX_INDEX_KEY_BYTES);
        let mut wide = false;
        let arrays = field.encode_each(value, room, &mut |bytes, start| match start {
            Some(start) if ranges.len() < MAX_INDEX_VALUES => {
                bytes.truncate(bytes.len().min(start + MAX_INDEX_KEY_BYTES));
                ranges.push((start, bytes.len()));
            }
            _ => {
                bytes.clear();
                wide = true;
            }
        });
        self.wide = wide;
        if wide {
            bytes.clear();
            ranges.clear();
        }
        if ranges.len() > 1 {
            let key = |&(start, end): &(usize, usize)| bytes.get(start..end).unwrap_or_default();
            ranges.sort_unstable_by(|left, right| key(left).cmp(key(right)));
            ranges.dedup_by(|left, right| key(left) == key(right));
        }
        self.several = wide || arrays || ranges.len() > 1;
    }
}

/// The documents that stand at one value.
#[derive(Clone, Copy, Debug)]
pub struct Run<'i> {
    /// Their places, by name.
    pub places: &'i Places,
    /// Whether the value is whole: then they are equal in the field, if it is single-valued. Of a
    /// long value the beginning only is known.
    pub is_whole: bool,
}

impl<'i> Run<'i> {
    fn of((key, places): (&'i Key, &'i Places)) -> Self {
        Self { places, is_whole: key.len() < MAX_INDEX_KEY_BYTES }
    }
}

impl FieldIndex {
    /// An index without documents.
    ///
    /// # Errors
    /// `Invalid` if `field` is no path: begins with `$`, or has more parts than values nest.
    pub fn new(field: &str) -> Result<Self> {
        check_path("field", field)?;
        Ok(Self {
            name: field.to_owned(),
            field: Field::new(field),
            map: BTreeMap::new(),
            several: 0,
            documents: 0,
            key_bytes: 0,
            places: 0,
            keys: Keys::default(),
            wide: BTreeSet::new(),
        })
    }

    /// The path of the field.
    pub fn field(&self) -> &str {
        &self.name
    }

    /// Takes a document in, which must not be in it: its place and the bytes of its value, which is
    /// validated JSON. For a value that is no JSON, give `null`: it has no fields either.
    ///
    /// Time is linear in the value's length, and logarithmic in the size of the index.
    pub fn insert(&mut self, place: u32, value: &[u8], names: &dyn Names) {
        self.keys.read(&self.field, value);
        self.documents += 1;
        self.several += usize::from(self.keys.several);
        if self.keys.wide {
            self.wide.insert(place);
        }
        for key in self.keys.iter() {
            match self.map.entry(Key::from(key)) {
                Entry::Occupied(mut entry) => {
                    self.places += usize::from(entry.get_mut().insert(place, names));
                }
                Entry::Vacant(entry) => {
                    self.key_bytes += entry.key().bytes();
                    self.places += 1;
                    entry.insert(Places::one(place));
                }
            }
        }
    }

    /// Takes a document out that was taken in with the same value.
    pub fn remove(&mut self, place: u32, value: &[u8], names: &dyn Names) {
        self.keys.read(&self.field, value);
        let mut removed_any = self.keys.wide && self.wide.remove(&place);
        for key in self.keys.iter() {
            let Entry::Occupied(mut entry) = self.map.entry(Key::from(key)) else { continue };
            let (removed, was_last) = entry.get_mut().remove(place, names);
            self.places -= usize::from(removed);
            removed_any |= removed;
            if was_last {
                self.key_bytes -= entry.remove_entry().0.bytes();
            }
        }
        if removed_any {
            self.documents -= 1;
            self.several -= usize::from(self.keys.several);
        }
    }

    /// How many documents are in it.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// Whether no document has several values, or an array, in the field. Then conditions on it
    /// combine into one range, and [`Self::runs`] is the order of the field.
    pub fn is_single_valued(&self) -> bool {
        self.several == 0
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.map.len() * ENTRY_BYTES + self.key_bytes + (self.places - self.map.len()) * PLACE_BYTES
    }

    /// How many places [`Self::places`] gives, counted until `at_most` is reached. About 5 ns for
    /// each different value.
    pub fn count(&self, lookup: &Lookup, at_most: usize) -> usize {
        let mut count = self.wide.len();
        for places in self.found(lookup) {
            count += places.len();
            if count >= at_most {
                return at_most;
            }
        }
        count
    }

    /// The places of all documents that a lookup should find, and perhaps of some more. A document
    /// with several values may come several times.
    pub fn places<'i>(&'i self, lookup: &'i Lookup) -> impl Iterator<Item = u32> + 'i {
        self.found(lookup).flat_map(Places::iter).chain(self.wide.iter().copied())
    }

    /// The documents of a range in the order of the field, a run for each value; if it is
    /// `descending`, in the opposite order. `None` is the range of all documents, with those that
    /// miss the field at its lower end. Nothing if the order of the map is not that of the field, or
    /// if the lookup is no range.
    pub fn runs<'i>(
        &'i self,
        lookup: Option<&Lookup>,
        descending: bool,
    ) -> Option<Box<dyn Iterator<Item = Run<'i>> + 'i>> {
        let (low, high) = match lookup {
            None => (Bound::Unbounded, Bound::Unbounded),
            Some(Lookup::Range(low, high)) => (cut(low), cut(high)),
            Some(Lookup::Points(_)) => return None,
        };
        if !self.is_single_valued() {
            return None;
        }
        let range = self.range(low, high).into_iter().flatten().map(Run::of);
        Some(if descending { Box::new(range.rev()) } else { Box::new(range) })
    }

    /// Whether a lookup finds no documents but those that have a value that is looked up.
    pub fn is_exact(&self, lookup: &Lookup) -> bool {
        let is_whole = |key: &Vec<u8>| key.len() < MAX_INDEX_KEY_BYTES;
        self.wide.is_empty()
            && match lookup {
                Lookup::Points(points) => points.iter().all(is_whole),
                Lookup::Range(low, high) => [low, high].into_iter().all(|bound| match bound {
                    Bound::Included(key) | Bound::Excluded(key) => is_whole(key),
                    Bound::Unbounded => true,
                }),
            }
    }

    /// Whether [`Self::places`] of a lookup gives each document once.
    pub fn gives_each_once(&self, lookup: &Lookup) -> bool {
        self.is_single_valued() || self.run(lookup).is_some()
    }

    /// The documents that a lookup of one value finds, each once, if they are all in one set.
    pub fn run(&self, lookup: &Lookup) -> Option<Run<'_>> {
        let Lookup::Points(points) = lookup else { return None };
        let [point] = points.as_slice() else { return None };
        self.run_of(point)
    }

    /// The documents that stand at an encoded value, each once, if they are all in one set.
    pub fn run_of(&self, value: &[u8]) -> Option<Run<'_>> {
        let key = value.get(..MAX_INDEX_KEY_BYTES).unwrap_or(value);
        let entry = self.map.get_key_value(&Key::from(key)).filter(|_| self.wide.is_empty());
        entry.map(Run::of)
    }

    /// The sets of all values that a lookup is about.
    fn found<'i>(&'i self, lookup: &'i Lookup) -> impl Iterator<Item = &'i Places> + 'i {
        let (points, range) = match lookup {
            Lookup::Points(points) => (points.as_slice(), None),
            Lookup::Range(low, high) => ([].as_slice(), self.range(cut(low), cut(high))),
        };
        let mut last: Option<&[u8]> = None;
        let points = points.iter().map(|point| point.get(..MAX_INDEX_KEY_BYTES).unwrap_or(point));
        let points = points.filter(move |point| last.replace(point) != Some(point)); // cut, equal
        let range = range.into_iter().flatten().map(|(_, places)| places);
        points.filter_map(|point| self.map.get(&Key::from(point))).chain(range)
    }

    /// The keys of a range with their sets, unless nothing can lie in it.
    fn range<'i>(
        &'i self,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
    ) -> Option<impl DoubleEndedIterator<Item = (&'i Key, &'i Places)> + use<'i>> {
        let empty = match (low, high) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (
                Bound::Included(low) | Bound::Excluded(low),
                Bound::Included(high) | Bound::Excluded(high),
            ) => low >= high,
        };
        (!empty).then(|| self.map.range((low.map(Key::from), high.map(Key::from))))
    }
}

/// A bound as it applies to keys that were cut.
fn cut(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(key) | Bound::Excluded(key) if key.len() > MAX_INDEX_KEY_BYTES => {
            Bound::Included(key.get(..MAX_INDEX_KEY_BYTES).unwrap_or(key))
        }
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
    }
}
