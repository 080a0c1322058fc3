//! Ranking what has words and what is near: see the theory of operation in [`recall`](super).

use core::cmp::Ordering;
use core::ops::Range;
use std::collections::BinaryHeap;

use super::super::derived::Columns;
use super::super::lift::Lift;
use super::super::query::is_selected;
use super::super::vectors::{Near, Vectors};
use super::super::versions::{Place, Versions};
use super::best::{Best, Ranked};
use super::{Recall, SLACK};
use crate::float::{larger, smaller};
use crate::query::Filter;
use crate::text::Judge;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) recall: &'a Recall<'a>,
    pub(super) filter: Option<&'a Filter>,
    /// Only versions of these places.
    pub(super) places: &'a Range<Place>,
}

/// A memory that is near by its vector.
struct NearMemory {
    place: Place,
    importance: f64,
    cosine: f64,
}

/// A memory that has words and is not among the near ones. Ordered by what it can reach.
struct Waiting {
    most: f64,
    by_text: f64,
    place: Place,
    importance: f64,
    lift: f64,
}

/// The best so far, and what may join them.
pub(super) struct Ranking<'a> {
    asked: Asked<'a>,
    versions: &'a Versions,
    vectors: &'a Vectors,
    near: Option<&'a Near>,
    lift: Lift,
    share: f64,
    /// What the vector of a memory that is not among the near ones adds to its score at most: this,
    beyond: f64,
    /// or its lift times this, whichever is more.
    far: f64,
    best: Best<'a>,
    columns: Columns<'a>,
    /// The near ones whose words are still to be told, by descending row of their text.
    close: Vec<NearMemory>,
    waiting: BinaryHeap<Waiting>,
}

impl<'a> Ranking<'a> {
    pub(super) fn new(
        asked: Asked<'a>,
        near: Option<&'a Near>,
        columns: Columns<'a>,
        (versions, vectors): (&'a Versions, &'a Vectors),
    ) -> Self {
        let recall = asked.recall;
        let share = recall.share();
        Self {
            asked,
            versions,
            vectors,
            near,
            lift: recall.lift(),
            share,
            beyond: share * f64::from(near.and_then(|near| near.beyond).unwrap_or(0.0)) * SLACK,
            far: near.map_or(0.0, |_| share * larger(recall.least_cosine(), 0.0) * SLACK),
            best: Best::new(recall.search.top_k, versions),
            columns,
            close: Vec::new(),
            waiting: BinaryHeap::new(),
        }
    }

    /// The rows of the near ones in an index of text, ascending: those whose words [`Judge::named`]
    /// is to tell.
    pub(super) fn near_rows(&mut self) -> Vec<u32> {
        let mut rows: Vec<(u32, NearMemory)> = Vec::new();
        let near = self.near; // copied: what is offered changes this
        for &(place, cosine) in near.iter().flat_map(|near| &near.hits) {
            let row = self.columns.row(place);
            let known = row.and_then(|row| self.columns.known(row)).map(|known| known.1);
            let read = || self.versions.record(place).map(super::importance);
            let Some(importance) = known.or_else(read) else { continue };
            let memory = NearMemory { place, importance, cosine: f64::from(cosine) };
            match row {
                Some(row) => rows.push((row, memory)),
                None => self.near_one(&memory, 0.0),
            }
        }
        rows.sort_unstable_by_key(|(row, _)| core::cmp::Reverse(*row));
        let named = rows.iter().rev().map(|(row, _)| *row).collect();
        self.close = rows.into_iter().map(|(_, memory)| memory).collect();
        named
    }

    /// Takes a memory that is not among the near ones.
    fn take(&mut self, by_text: f64, place: Place, importance: f64) {
        // First what costs least: most cannot be among the best at any age.
        if self.most(by_text, self.lift.at_any_age(importance)) < self.best.floor() {
            return;
        }
        let Some(version) = self.versions.get(place) else { return };
        let (lift, _) = self.lift.of(version.timestamp, importance);
        let most = self.most(by_text, lift);
        if most < self.best.floor() || !self.asked.places.contains(&place) {
            return;
        }
        let Some((held, near)) = version.vector().zip(self.near) else {
            self.look_at(&Waiting { most, by_text, place, importance, lift });
            return;
        };
        let likely = f64::from(self.vectors.cosine_hardly_over(held, near));
        let most = smaller(most, self.relevance(by_text, likely) * lift * SLACK);
        if most >= self.best.floor() {
            self.waiting.push(Waiting { most, by_text, place, importance, lift });
        }
    }

    /// What one that is not among the near ones can reach.
    #[inline(always)]
    fn most(&self, by_text: f64, lift: f64) -> f64 {
        (1.0 - self.share) * by_text * lift + larger(self.beyond, self.far * lift)
    }

    /// Finds out the score of a memory that is not among the near ones.
    fn look_at(&mut self, waiting: &Waiting) {
        let Some(version) = self.versions.get(waiting.place) else { return };
        let held = version.vector().zip(self.near);
        let bound = held.and_then(|(held, near)| self.vectors.cosine_at_most(held, near));
        let most = self.relevance(waiting.by_text, bound.map_or(0.0, f64::from)) * waiting.lift;
        if most * SLACK < self.best.floor() {
            return;
        }
        let accepts = |record| is_selected(self.asked.filter, record);
        let is_accepted = match self.asked.filter {
            Some(_) => self.versions.record(waiting.place).is_some_and(accepts),
            None => !version.is_erased(),
        };
        if !is_accepted {
            return;
        }
        let cosine = held.and_then(|(held, near)| self.vectors.cosine(held, near)).unwrap_or(0.0);
        let Waiting { by_text, place, importance, .. } = *waiting;
        let ranked = self.ranked(place, importance, by_text, f64::from(cosine));
        self.best.offer(ranked);
    }

    fn near_one(&mut self, memory: &NearMemory, by_text: f64) {
        let ranked = self.ranked(memory.place, memory.importance, by_text, memory.cosine);
        self.best.offer(ranked);
    }

    fn relevance(&self, by_text: f64, cosine: f64) -> f64 {
        (1.0 - self.share) * by_text + self.share * cosine.clamp(0.0, 1.0)
    }

    fn ranked(&self, place: Place, importance: f64, by_text: f64, cosine: f64) -> Option<Ranked> {
        let relevance = self.relevance(by_text, cosine);
        if relevance <= 0.0 || relevance < self.asked.recall.min_relevance {
            return None;
        }
        let (lift, recency) = self.lift.of(self.versions.get(place)?.timestamp, importance);
        Some(Ranked { place, score: relevance * lift, relevance, recency, importance })
    }

    /// The best, best first.
    pub(super) fn finish(mut self) -> Vec<Ranked> {
        while let Some(waiting) = self.waiting.pop() {
            if waiting.most < self.best.floor() {
                break;
            }
            self.look_at(&waiting);
        }
        self.best.finish()
    }
}

impl Judge for Ranking<'_> {
    fn named(&mut self, share: f64) {
        if let Some(memory) = self.close.pop() {
            self.near_one(&memory, share);
        }
    }

    fn least(&self) -> f64 {
        let wanting = self.best.floor() - larger(self.beyond, self.far);
        if wanting <= 0.0 { 0.0 } else { wanting / (1.0 - self.share) / SLACK }
    }

    #[inline]
    fn found(&mut self, row: u32, share: f64) {
        if let Some((place, importance)) = self.columns.known(row) {
            self.take(share, place, importance);
        }
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.most.total_cmp(&other.most)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}
