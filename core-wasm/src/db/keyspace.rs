//! Names: namespaces and keys, sorted by bytes, each key with the places of its versions.
//!
//! A key is found by a hash of its names: the record of its latest version, which never leaves memory
//! and which whoever asks for a key reads next, says whether it is the one. The order of keys is kept
//! beside that, for what goes through them; it asks records for the names as well, so that none is kept
//! twice. Hashes are seeded with a random number of the host's: whoever chooses keys cannot choose them
//! to be equal.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::index::{self, Places};
use crate::log::record::Record;

use super::slab::Slab;
use super::table::{Table, Tag};
use super::versions::{Place, Versions};

/// A key's versions, oldest first.
#[derive(Debug)]
pub(super) struct Chain(Held);

/// Most keys have one version: it takes no allocation of its own.
#[derive(Debug)]
enum Held {
    One([Place; 1]),
    Many(Vec<Place>),
}

impl Chain {
    pub(super) fn places(&self) -> &[Place] {
        match &self.0 {
            Held::One(place) => place,
            Held::Many(places) => places,
        }
    }

    #[inline(always)]
    pub(super) fn latest(&self) -> Option<Place> {
        self.places().last().copied()
    }

    fn push(&mut self, place: Place) {
        match &mut self.0 {
            Held::One([first]) => {
                // No allocation is smaller than three places.
                let mut places = Vec::with_capacity(3);
                places.extend([*first, place]);
                self.0 = Held::Many(places);
            }
            Held::Many(places) => places.push(place),
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
    /// The numbers of the chains of its keys.
    keys: Places,
}

/// The keys of chains.
struct Keys<'a> {
    chains: &'a Slab<Chain>,
    versions: &'a Versions,
}

impl index::Names for Keys<'_> {
    fn name(&self, number: u32) -> &[u8] {
        let latest = self.chains.get(number).and_then(Chain::latest);
        latest.and_then(|place| self.versions.record(place)).map_or(b"", Record::key)
    }
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
    pub(super) fn find(&self, names: Names<'_>, versions: &Versions) -> Option<ChainNumber> {
        let is_it = |number: u32| {
            let latest = self.latest(ChainNumber(number));
            let record = latest.and_then(|place| versions.record(place));
            record.is_some_and(|record| record.names() == names)
        };
        self.by_names.find(self.tag(names), is_it).map(ChainNumber)
    }

    /// A key's versions. Constant time.
    pub(super) fn chain(&self, namespace: &str, key: &str, versions: &Versions) -> Option<&Chain> {
        let names = (namespace.as_bytes(), key.as_bytes());
        self.chains.get(self.find(names, versions)?.0)
    }

    /// The latest version of a chain.
    #[inline(always)]
    pub(super) fn latest(&self, chain: ChainNumber) -> Option<Place> {
        self.chains.get(chain.0)?.latest()
    }

    /// The numbers of the chains of a namespace's keys, in order.
    fn sorted(&self, namespace: &str) -> Option<&Places> {
        Some(&self.spaces.get(*self.numbers.get(namespace)?)?.keys)
    }

    /// Whether a namespace has a key.
    pub(super) fn has(&self, namespace: &str) -> bool {
        self.numbers.contains_key(namespace)
    }

    /// How many keys a namespace has.
    pub(super) fn len(&self, namespace: &str) -> usize {
        self.sorted(namespace).map_or(0, Places::len)
    }

    /// The versions of each key of a namespace, in order.
    pub(super) fn chains(&self, namespace: &str) -> impl Iterator<Item = &Chain> {
        let numbers = self.sorted(namespace).into_iter().flat_map(Places::iter);
        numbers.filter_map(|number| self.chains.get(number))
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

    /// Adds a key with the place of its first version, whose record is there. Logarithmic; constant time
    /// for the last in order.
    pub(super) fn insert(&mut self, names: Names<'_>, place: Place, versions: &Versions) {
        let number = self.chains.add(Chain(Held::One([place])));
        self.by_names.insert(self.tag(names), number);
        let keys = Keys { chains: &self.chains, versions };
        let is_recent = |space: &Space| space.name.as_bytes() == names.0;
        let namespace = || str::from_utf8(names.0).unwrap_or_default();
        if !self.spaces.get(self.recent).is_some_and(is_recent) {
            self.recent = self.numbers.get(namespace()).copied().unwrap_or(u32::MAX);
        }
        if let Some(space) = self.spaces.get_mut(self.recent) {
            space.keys.insert(number, &keys);
        } else {
            let space = Space { name: namespace().into(), keys: Places::one(number) };
            self.recent = self.spaces.add(space);
            self.numbers.insert(namespace().into(), self.recent);
        }
    }

    /// Removes a key, whose records are still there, and returns the places of its versions. Linear in
    /// them, logarithmic in the keys.
    pub(super) fn remove(&mut self, namespace: &str, key: &str, versions: &Versions) -> Vec<Place> {
        let names = (namespace.as_bytes(), key.as_bytes());
        let Some(ChainNumber(number)) = self.find(names, versions) else { return Vec::new() };
        let keys = Keys { chains: &self.chains, versions };
        if let Some(&at) = self.numbers.get(namespace)
            && let Some(space) = self.spaces.get_mut(at)
            && let (_, true) = space.keys.remove(number, &keys)
        {
            self.numbers.remove(namespace);
            self.spaces.remove(at, Space { name: "".into(), keys: Places::one(number) });
        }
        self.by_names.remove(self.tag(names), number);
        let nothing = Chain(Held::Many(Vec::new()));
        self.chains.remove(number, nothing).map_or(Vec::new(), |chain| chain.places().to_vec())
    }

    /// Keys of a namespace from one on, in order.
    pub(super) fn keys_from<'a>(
        &'a self,
        (namespace, key): (&str, &str),
        versions: &'a Versions,
    ) -> impl Iterator<Item = (&'a str, &'a Chain)> + use<'a> {
        let before = |numbers: &Places| numbers.count_before(key.as_bytes(), &self.keys(versions));
        let numbers = self.sorted(namespace).map(|numbers| (numbers, before(numbers)));
        self.named(numbers.map(|(numbers, before)| numbers.iter().skip(before)), versions)
    }

    /// Up to `count` keys on each side of where another stands in order, or would.
    pub(super) fn keys_around<'a>(
        &'a self,
        (namespace, key): (&str, &str),
        count: usize,
        versions: &'a Versions,
    ) -> impl Iterator<Item = (&'a str, &'a Chain)> + use<'a> {
        let before = |numbers: &Places| numbers.count_before(key.as_bytes(), &self.keys(versions));
        let numbers = self.sorted(namespace).map(|numbers| (numbers, before(numbers)));
        let near = |(numbers, before): (&'a Places, usize)| {
            numbers.iter().skip(before.saturating_sub(count)).take(before.min(count) + 1 + count)
        };
        self.named(numbers.map(near), versions)
    }

    fn keys<'a>(&'a self, versions: &'a Versions) -> Keys<'a> {
        Keys { chains: &self.chains, versions }
    }

    fn named<'a>(
        &'a self,
        numbers: Option<impl Iterator<Item = u32>>,
        versions: &'a Versions,
    ) -> impl Iterator<Item = (&'a str, &'a Chain)> {
        numbers.into_iter().flatten().filter_map(|number| {
            let chain = self.chains.get(number)?;
            let key = versions.record(chain.latest()?)?.key();
            Some((core::str::from_utf8(key).unwrap_or_default(), chain))
        })
    }
}
