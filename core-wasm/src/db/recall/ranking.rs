//! Ranking what has words and what is near: see the theory of operation in [`recall`](super).

use core::cmp::Ordering;
use core::ops::Range;
use std::collections::BinaryHeap;

use super::super::derived::Text;
use super::super::query::is_selected;
use super::super::vectors::{Near, Vectors};
use super::super::versions::{Place, Versions};
use super::best::{Best, Ranked};
use super::lift::Lift;
use super::{Recall, SLACK};
use crate::query::Filter;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) recall: &'a Recall<'a>,
    pub(super) filter: Option<&'a Filter>,
    /// Only versions of these places.
    pub(super) places: &'a Range<Place>,
}

/// A memory that is near by its vector. `row` is that of its text.
struct NearMemory {
    row: Option<u32>,
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
    /// The near ones that are still to come, by descending row.
    close: Vec<NearMemory>,
    waiting: BinaryHeap<Waiting>,
}

impl<'a> Ranking<'a> {
    pub(super) fn new(
        asked: Asked<'a>,
        near: Option<&'a Near>,
        text: &Text,
        (versions, vectors): (&'a Versions, &'a Vectors),
    ) -> Self {
        let recall = asked.recall;
        let share = recall.share();
        let mut ranking = Self {
            asked,
            versions,
            vectors,
            near,
            lift: Lift::new(recall),
            share,
            beyond: share * f64::from(near.and_then(|near| near.beyond).unwrap_or(0.0)) * SLACK,
            far: near.map_or(0.0, |_| share * recall.least_cosine().max(0.0) * SLACK),
            best: Best::new(recall.search.top_k, versions),
            close: Vec::new(),
            waiting: BinaryHeap::new(),
        };
        for &(place, cosine) in near.iter().flat_map(|near| &near.hits) {
            let row = text.row(place);
            let known = row.and_then(|row| text.importance(row));
            let read = || versions.record(place).map(super::importance);
            let Some(importance) = known.or_else(read) else { continue };
            ranking.close.push(NearMemory { row, place, importance, cosine: f64::from(cosine) });
        }
        ranking.close.sort_unstable_by_key(|memory| core::cmp::Reverse(memory.row));
        // Words are still to come, and only add to scores.
        let scores = ranking.close.iter().filter_map(|memory| ranking.near_one(memory, 0.0));
        let scores = scores.map(|ranked| ranked.score).collect();
        ranking.best.expect(scores);
        ranking
    }

    /// Takes a memory with words of the question. To be called by ascending rows.
    #[inline]
    pub(super) fn has_words(&mut self, row: u32, by_text: f64, place: Place, importance: f64) {
        if self.close.last().is_some_and(|memory| memory.row <= Some(row)) {
            self.pass_near(row);
            if let Some(memory) = self.close.pop_if(|memory| memory.row == Some(row)) {
                let ranked = self.near_one(&memory, by_text);
                self.best.offer(ranked);
                return;
            }
        }
        let by_words = (1.0 - self.share) * by_text;
        if by_words + self.beyond.max(self.far) >= self.best.floor() {
            self.take(by_text, place, importance);
        }
    }

    /// Takes a memory that is not among the near ones.
    fn take(&mut self, by_text: f64, place: Place, importance: f64) {
        let Some(version) = self.versions.get(place) else { return };
        let (lift, _) = self.lift.of(version.timestamp, importance);
        let by_words = (1.0 - self.share) * by_text * lift;
        let most = by_words + self.beyond.max(self.far * lift);
        if most < self.best.floor() || !self.asked.places.contains(&place) {
            return;
        }
        let waiting = Waiting { most, by_text, place, importance };
        if self.near.is_some() && version.vector().is_some() {
            self.waiting.push(waiting);
        } else {
            self.look_at(&waiting);
        }
    }

    /// Finds out the score of a memory that is not among the near ones.
    fn look_at(&mut self, waiting: &Waiting) {
        let Some(version) = self.versions.get(waiting.place) else { return };
        let accepts = |record| is_selected(self.asked.filter, record);
        let is_accepted = match self.asked.filter {
            Some(_) => self.versions.record(waiting.place).is_some_and(accepts),
            None => !version.is_erased(),
        };
        if !is_accepted {
            return;
        }
        let held = version.vector().zip(self.near);
        let cosine = held.and_then(|(held, near)| self.vectors.cosine(held, near)).unwrap_or(0.0);
        let Waiting { by_text, place, importance, .. } = *waiting;
        let ranked = self.ranked(place, importance, by_text, f64::from(cosine));
        self.best.offer(ranked);
    }

    /// Takes the near ones of the rows before one: they have no words of the question.
    fn pass_near(&mut self, row: u32) {
        while let Some(memory) = self.close.pop_if(|memory| memory.row < Some(row)) {
            let ranked = self.near_one(&memory, 0.0);
            self.best.offer(ranked);
        }
    }

    fn near_one(&self, memory: &NearMemory, by_text: f64) -> Option<Ranked> {
        self.ranked(memory.place, memory.importance, by_text, memory.cosine)
    }

    fn ranked(&self, place: Place, importance: f64, by_text: f64, cosine: f64) -> Option<Ranked> {
        let relevance = (1.0 - self.share) * by_text + self.share * cosine.clamp(0.0, 1.0);
        if relevance <= 0.0 || relevance < self.asked.recall.min_relevance {
            return None;
        }
        let (lift, recency) = self.lift.of(self.versions.get(place)?.timestamp, importance);
        Some(Ranked { place, score: relevance * lift, relevance, recency, importance })
    }

    /// The best, best first.
    pub(super) fn finish(mut self) -> Vec<Ranked> {
        while let Some(memory) = self.close.pop() {
            let ranked = self.near_one(&memory, 0.0);
            self.best.offer(ranked);
        }
        while let Some(waiting) = self.waiting.pop() {
            if waiting.most < self.best.floor() {
                break;
            }
            self.look_at(&waiting);
        }
        self.best.finish()
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
