//! Near names for the error of a missing one, by Jaro-Winkler similarity.

use std::ops::Bound;

use crate::limits::{MAX_SUGGESTION_CANDIDATES, MAX_SUGGESTIONS};
use crate::sort::sort_by;

use super::Database;

const NEAR: f64 = 0.8;

impl Database {
    /// Keys that hold a value and are spelled nearly like `key`, nearest first. Compares with the
    /// keys next to where it would stand, at most [`MAX_SUGGESTION_CANDIDATES`] of them.
    pub(super) fn near_keys(&self, namespace: &str, key: &str, at: u64) -> Vec<String> {
        let horizon = self.horizon(at);
        let half = MAX_SUGGESTION_CANDIDATES / 2;
        let other = Bound::Excluded(key);
        let before = self.keyspace.keys_between(namespace, Bound::Unbounded, other);
        let after = self.keyspace.keys_between(namespace, other, Bound::Unbounded);
        let candidates = before.rev().take(half).chain(after.take(half));
        nearest(
            key,
            candidates
                .filter(|(_, chain)| chain.value_at(horizon, &self.versions).is_some())
                .map(|(name, _)| name),
        )
    }

    /// What to do about a key that has no near ones.
    pub(super) fn near_namespace_hint(&self, namespace: &str, at: u64) -> String {
        let names = self.list_namespaces(at);
        if names.contains(&namespace) {
            return "give get a default, or ask list_keys what is there".to_owned();
        }
        match nearest(namespace, names.into_iter()).first() {
            Some(near) => format!("the namespace is empty; did you mean namespace {near:?}?"),
            None => "the namespace is empty: put something there first".to_owned(),
        }
    }
}

pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    // Long names are compared by their beginnings: the measure takes quadratic time.
    let start = |text: &'a str| {
        text.char_indices().nth(64).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
    };
    let name: String = name.chars().take(64).collect();
    let mut scored: Vec<(f64, &str)> = candidates
        .map(|candidate| (strsim::jaro_winkler(&name, start(candidate)), candidate))
        .filter(|(score, _)| *score >= NEAR)
        .collect();
    sort_by(&mut scored, |one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    scored.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}
