//! The best of the memories that are looked at.

use core::cmp::Ordering;

use super::super::versions::{Place, Versions};
use crate::float::larger;
use crate::sort::sort_by;

/// A memory with its score and the parts of it.
#[derive(Clone, Copy)]
pub(super) struct Ranked {
    pub(super) place: Place,
    pub(super) score: f64,
    pub(super) relevance: f64,
    pub(super) recency: f64,
    pub(super) importance: f64,
}

/// Collects the best so many: higher score first, equal scores by key.
///
/// As [`TopK`](crate::vector::TopK), of scores in `f64`: a buffer of twice as many is cut back
/// whenever it is full.
pub(super) struct Best<'a> {
    wanted: usize,
    floor: f64,
    found: Vec<Ranked>,
    versions: &'a Versions,
}

impl<'a> Best<'a> {
    pub(super) fn new(wanted: usize, versions: &'a Versions) -> Self {
        Self { wanted: wanted.max(1), floor: 0.0, found: Vec::new(), versions }
    }

    /// What a memory must reach to be among the best. It only rises.
    #[inline]
    pub(super) fn floor(&self) -> f64 {
        self.floor
    }

    /// Takes a memory if it may be one of the best.
    pub(super) fn offer(&mut self, ranked: Option<Ranked>) {
        let Some(ranked) = ranked.filter(|ranked| ranked.score >= self.floor) else { return };
        self.found.push(ranked);
        if self.found.len() >= (2 * self.wanted).max(16) {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.found.len() < self.wanted {
            return;
        }
        let versions = self.versions;
        let compare = |one: &Ranked, other: &Ranked| order(versions, one, other);
        let (_, worst, _) = self.found.select_nth_unstable_by(self.wanted - 1, compare);
        self.floor = larger(self.floor, worst.score);
        self.found.truncate(self.wanted);
    }

    /// The best, best first.
    pub(super) fn finish(mut self) -> Vec<Ranked> {
        self.settle();
        let versions = self.versions;
        sort_by(&mut self.found, |one, other| order(versions, one, other));
        self.found
    }
}

fn order(versions: &Versions, one: &Ranked, other: &Ranked) -> Ordering {
    let key = |ranked: &Ranked| versions.record(ranked.place).map(|record| record.fields().key);
    other.score.total_cmp(&one.score).then_with(|| key(one).cmp(&key(other)))
}
