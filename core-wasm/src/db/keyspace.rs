//! Names: namespaces and keys, sorted by bytes, each key with the places of its versions.

use std::collections::BTreeMap;
use std::ops::Bound;

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

    pub(super) fn push(&mut self, place: Place) {
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

/// Keys of one namespace.
pub(super) type Keys = BTreeMap<Box<str>, Chain>;

/// All namespaces. Those without a key left are removed.
#[derive(Debug, Default)]
pub(super) struct Keyspace(BTreeMap<Box<str>, Keys>);

impl Keyspace {
    #[inline(always)]
    pub(super) fn chain(&self, namespace: &str, key: &str) -> Option<&Chain> {
        self.0.get(namespace)?.get(key)
    }

    #[inline(always)]
    pub(super) fn keys(&self, namespace: &str) -> Option<&Keys> {
        self.0.get(namespace)
    }

    pub(super) fn namespaces(&self) -> impl Iterator<Item = (&str, &Keys)> {
        self.0.iter().map(|(name, keys)| (&**name, keys))
    }

    /// A key's versions, to be added to. Logarithmic.
    #[inline(always)]
    pub(super) fn chain_mut(&mut self, namespace: &str, key: &str) -> Option<&mut Chain> {
        self.0.get_mut(namespace)?.get_mut(key)
    }

    /// Adds a key, with its first version. Logarithmic.
    pub(super) fn insert(&mut self, namespace: &str, key: &str, place: Place) {
        let chain = Chain(Places::One([place]));
        self.0.entry(namespace.into()).or_default().insert(key.into(), chain);
    }

    /// Removes a key and returns the places of its versions.
    pub(super) fn remove(&mut self, namespace: &str, key: &str) -> Vec<Place> {
        let Some(keys) = self.0.get_mut(namespace) else { return Vec::new() };
        let places = keys.remove(key).map(|chain| chain.places().to_vec()).unwrap_or_default();
        if keys.is_empty() {
            self.0.remove(namespace);
        }
        places
    }

    /// Keys of a namespace from one of them on, in order.
    pub(super) fn keys_from<'a>(
        &'a self,
        namespace: &str,
        from: Bound<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Chain)> + use<'a> {
        let keys = self.0.get(namespace);
        let range = keys.map(|keys| keys.range::<str, _>((from, Bound::Unbounded)));
        range.into_iter().flatten().map(|(key, chain)| (&**key, chain))
    }
}
