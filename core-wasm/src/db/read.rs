//! Reading values and listing names, now or as of a time.

use std::ops::Bound;

use crate::codec::names;
use crate::error::{Error, Kind, Result};
use crate::log::record::{Record, ValueKind};

use super::Database;
use super::keyspace::Chain;

/// A value as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// JSON or bytes.
    pub kind: ValueKind,
    /// The value as sent.
    pub value: &'a [u8],
}

/// Which keys to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Only keys after this one.
    pub start_after: Option<&'a str>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Database {
    /// The record that holds a key's value as of `at`.
    fn visible(&self, namespace: &str, key: &str, at: u64) -> Option<&Record> {
        let chain = self.keyspace.chain(namespace, key, &self.versions)?;
        self.versions.record(chain.value_at(self.horizon(at), &self.versions)?)
    }

    /// A key's value as of `at`. Constant time, for the past logarithmic in the key's versions.
    ///
    /// # Errors
    /// `NotFound` with near keys.
    pub fn get(&self, namespace: &str, key: &str, at: u64) -> Result<Value<'_>> {
        self.find(namespace, key, at).ok_or_else(|| self.missing(namespace, key, at))
    }

    /// [`Database::get`] without looking for near keys.
    #[must_use]
    pub fn find(&self, namespace: &str, key: &str, at: u64) -> Option<Value<'_>> {
        let record = self.visible(namespace, key, at)?;
        Some(Value { kind: record.kind(), value: record.value() })
    }

    /// The error for a key without a value: it names near keys.
    pub(super) fn missing(&self, namespace: &str, key: &str, at: u64) -> Error {
        let suggestions = self.near_keys(namespace, key, at);
        let next = if suggestions.is_empty() {
            self.near_namespace_hint(namespace, at)
        } else {
            format!("did you mean {}? Or give get a default", suggestions.join(", "))
        };
        Error::new(Kind::NotFound, format!("no key {key:?} in namespace {namespace:?}"), next)
            .with("suggestions", suggestions)
    }

    /// The records that hold the values of several keys; those without one are left out.
    #[must_use]
    pub fn get_many(&self, namespace: &str, keys: &[String], at: u64) -> Vec<&Record> {
        keys.iter().filter_map(|key| self.visible(namespace, key, at)).collect()
    }

    /// The records that hold the values of every key of a namespace, in order of keys.
    #[must_use]
    pub fn get_all(&self, namespace: &str, at: u64) -> Vec<&Record> {
        let horizon = self.horizon(at);
        self.keyspace
            .chains(namespace)
            .filter_map(|chain| chain.value_at(horizon, &self.versions))
            .filter_map(|place| self.versions.record(place))
            .collect()
    }

    /// Keys that hold a value as of `at`, sorted by bytes. Linear in the keys passed over.
    #[must_use]
    pub fn list_keys(&self, namespace: &str, listing: Listing<'_>, at: u64) -> Vec<&str> {
        self.keys(namespace, listing, at).collect()
    }

    /// [`Database::list_keys`], one after the other.
    pub fn keys<'a, 'l>(
        &'a self,
        namespace: &str,
        listing: Listing<'l>,
        at: u64,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'l> {
        let horizon = self.horizon(at);
        let from = match listing.start_after {
            Some(after) if after >= listing.prefix => Bound::Excluded(after),
            _ => Bound::Included(listing.prefix),
        };
        self.keyspace
            .keys_between(namespace, from, Bound::Unbounded)
            .take_while(move |(key, _)| key.starts_with(listing.prefix))
            .filter(move |(_, chain)| chain.value_at(horizon, &self.versions).is_some())
            .map(|(key, _)| key)
            .take(listing.limit.unwrap_or(usize::MAX))
    }

    /// Namespaces in which a key holds a value as of `at`, sorted by bytes.
    #[must_use]
    pub fn list_namespaces(&self, at: u64) -> Vec<&str> {
        let horizon = self.horizon(at);
        let holds = |chain: &Chain| chain.value_at(horizon, &self.versions).is_some();
        let held = |name: &&str| *name != names::SYSTEM && self.keyspace.chains(name).any(holds);
        self.keyspace.namespaces().filter(held).collect()
    }
}
