//! Names: namespaces and keys, sorted by bytes, each key with the places of its versions.
//!
//! A key is found by a hash of its names: the record of its latest version, which never leaves memory
//! and which whoever asks for a key reads next, says whether it is the one. The order of keys is kept
//! beside that, for what goes through them. Hashes are seeded with a random number of the host's:
//! whoever chooses keys cannot choose them to be equal.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::error::Result;

use super::slab::Slab;
use super::sorted::{NOTHING, Sorted};
use super::table::{Table, Tag};
use super::versions::{Place, Versions};

/// A key's versions, oldest first.
#[derive(Debug)]
pub(super) struct Chain(Places);

/// Most keys have one version: it takes no allocation of its own.
#[derive(Debug)]
enum Places {
    One([Place; 1]),
    Many(Vec<Place>),
}

impl Chain {
    pub(super) fn places(&self) -> &[Place] {
        match &self.0 {
            Places::One(place) => place,
            Places::Many(places) => places,
        }
    }

    #[inline(always)]
    pub(super) fn latest(&self) -> Option<Place> {
        self.places().last().copied()
    }

    fn push(&mut self, place: Place) {
        match &mut self.0 {
            Places::One([first]) => {
                // No allocation is smaller than three places.
                let mut places = Vec::with_capacity(3);
                places.extend([*first, place]);
                self.0 = Places::Many(places);
            }
            Places::Many(places) => places.push(place),
        }
    }

    /// The versions written up to `horizon`. Constant time when that is all of them, else
    /// logarithmic.
    pub(super) fn until(&self, horizon: u64, versions: &Versions) -> &[Place] {
        let within = |place: &Place| {
            versions.get(*place).is_some_and(|version| version.timestamp <= horizon)
        };
        let places = self.places();
        if places.last().is_none_or(within) {
            return places;
        }
        places.get(..places.partition_point(within)).unwrap_or_default()
    }

    /// The version that holds the key's value at `horizon`, if it has one.
    pub(super) fn value_at(&self, horizon: u64, versions: &Versions) -> Option<Place> {
        let place = self.until(horizon, versions).last().copied()?;
        versions.holds_value(place).then_some(place)
    }
}

/// Bytes of a namespace and of a key, which are UTF-8.
pub(super) type Names<'a> = (&'a [u8], &'a [u8]);

/// Number of a key's chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainNumber(u32);

/// That there is no key of some names: what adding it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absent(Tag);

/// All namespaces. Those without a key left are removed.
#[derive(Debug)]
pub(super) struct Keyspace {
    seed: u64,
    chains: Slab<Chain>,
    by_names: Table,
    /// The numbers of namespaces.
    numbers: BTreeMap<Box<str>, u32>,
    spaces: Slab<Space>,
    /// The namespace that was added to last: most often the next key is of the same.
    recent: u32,
}

/// A namespace that has keys.
#[derive(Debug)]
struct Space {
    name: Box<str>,
    /// Its keys, with the numbers of their chains.
    keys: Sorted,
}

impl Keyspace {
    /// No keys. `seed` is random.
    pub(super) fn new(seed: u64) -> Self {
        let (chains, by_names, numbers, spaces, recent) = Default::default();
        Self { seed, chains, by_names, numbers, spaces, recent }
    }

    fn tag(&self, (namespace, key): Names<'_>) -> Tag {
        Tag::new(self.seed, &[namespace, key])
    }

    /// The number of a key's chain. Constant time.
    #[inline(never)]
    pub(super) fn find(
        &self,
        names: Names<'_>,
        versions: &Versions,
    ) -> core::result::Result<ChainNumber, Absent> {
        let is_it = |number: u32| {
            let latest = self.latest(ChainNumber(number));
            let record = latest.and_then(|place| versions.record(place));
            record.is_some_and(|record| record.names() == names)
        };
        let tag = self.tag(names);
        self.by_names.find(tag, is_it).map(ChainNumber).ok_or(Absent(tag))
    }

    /// A key's versions. Constant time.
    pub(super) fn chain(&self, namespace: &str, key: &str, versions: &Versions) -> Option<&Chain> {
        let names = (namespace.as_bytes(), key.as_bytes());
        self.chains.get(self.find(names, versions).ok()?.0)
    }

    /// The latest version of a chain.
    #[inline(always)]
    pub(super) fn latest(&self, chain: ChainNumber) -> Option<Place> {
        self.chains.get(chain.0)?.latest()
    }

    /// The keys of a namespace, with the numbers of their chains.
    fn sorted(&self, namespace: &str) -> &Sorted {
        let space = self.numbers.get(namespace).and_then(|at| self.spaces.get(*at));
        space.map_or(&NOTHING, |space| &space.keys)
    }

    /// Whether a namespace has a key.
    pub(super) fn has(&self, namespace: &str) -> bool {
        self.numbers.contains_key(namespace)
    }

    /// How many keys a namespace has.
    pub(super) fn len(&self, namespace: &str) -> usize {
        self.sorted(namespace).len()
    }

    /// The versions of each key of a namespace, in order.
    pub(super) fn chains(&self, namespace: &str) -> impl Iterator<Item = &Chain> {
        self.sorted(namespace).numbers().filter_map(|number| self.chains.get(number))
    }

    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.numbers.keys().map(|name| &**name)
    }

    /// Makes room to find `count` more keys, so that adding them cannot run out of memory.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        self.by_names.reserve(count)
    }

    /// Adds a version to a chain that there is.
    pub(super) fn push(&mut self, chain: ChainNumber, place: Place) {
        if let Some(chain) = self.chains.get_mut(chain.0) {
            chain.push(place);
        }
    }

    /// Adds a key that was not found, with its first version. Logarithmic; constant time for the last in
    /// order.
    pub(super) fn insert(&mut self, names: Names<'_>, absent: Absent, place: Place) {
        let number = self.chains.add(Chain(Places::One([place])));
        self.by_names.insert(absent.0, number);
        let is_recent = |space: &Space| space.name.as_bytes() == names.0;
        if !self.spaces.get(self.recent).is_some_and(is_recent) {
            let namespace = text(names.0);
            self.recent = match self.numbers.get(namespace) {
                Some(&at) => at,
                None => self.add_space(namespace),
            };
        }
        if let Some(space) = self.spaces.get_mut(self.recent) {
            space.keys.insert(names.1, number);
        }
    }

    fn add_space(&mut self, namespace: &str) -> u32 {
        let at = self.spaces.add(Space { name: namespace.into(), keys: Sorted::default() });
        self.numbers.insert(namespace.into(), at);
        at
    }

    /// Removes a key and returns the places of its versions. Logarithmic.
    pub(super) fn remove(&mut self, namespace: &str, key: &str) -> Vec<Place> {
        let Some(&at) = self.numbers.get(namespace) else { return Vec::new() };
        let Some(space) = self.spaces.get_mut(at) else { return Vec::new() };
        let Some(number) = space.keys.remove(key.as_bytes()) else { return Vec::new() };
        if space.keys.is_empty() {
            self.numbers.remove(namespace);
            self.spaces.remove(at, Space { name: "".into(), keys: Sorted::default() });
        }
        self.by_names.remove(self.tag((namespace.as_bytes(), key.as_bytes())), number);
        let nothing = Chain(Places::Many(Vec::new()));
        self.chains.remove(number, nothing).map_or(Vec::new(), |chain| chain.places().to_vec())
    }

    /// Keys of a namespace between two, in order.
    pub(super) fn keys_between<'a>(
        &'a self,
        namespace: &str,
        from: Bound<&str>,
        to: Bound<&str>,
    ) -> impl DoubleEndedIterator<Item = (&'a str, &'a Chain)> + use<'a> {
        let range = self.sorted(namespace).range(from.map(str::as_bytes), to.map(str::as_bytes));
        range.filter_map(|(key, number)| Some((text(key), self.chains.get(number)?)))
    }
}

fn text(name: &[u8]) -> &str {
    str::from_utf8(name).unwrap_or_default()
}
