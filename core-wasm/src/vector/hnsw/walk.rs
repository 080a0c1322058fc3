//! Walks over a graph: greedy down the levels, best-first over one level.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, TryReserveError};

use super::super::{Rows, bitmap};
use super::Graph;
use super::probe::{Probe, key, row_of, similarity_of};

/// How many rows stand in for tombstones, at least, when a row's links are chosen anew. A limit
/// keeps that cheap where most rows are tombstones.
const MOST_NEIGHBOURS: usize = 128;

/// What a walk over one level looks for.
pub(super) struct Goal<'a> {
    pub(super) level: u32,
    /// How many rows to find: the `ef` of the paper.
    pub(super) width: usize,
    /// Only rows of both bitmaps are found; the others lead on all the same.
    pub(super) keep: Option<(&'a [u64], &'a [u64])>,
    /// Give up past this many evaluations.
    pub(super) limit: usize,
}

/// The buffers of walks, kept from one to the next.
#[derive(Default)]
pub(in crate::vector) struct Walk {
    visited: Vec<u64>,
    frontier: BinaryHeap<u64>,
    found: BinaryHeap<Reverse<u64>>,
    batch: Vec<u32>,
    /// Rows whose links are gathered: the one asked for, and tombstones among its neighbours.
    through: Vec<u32>,
    /// How many similarities were computed since the count was last taken.
    pub(super) evaluations: usize,
}

impl Walk {
    /// Forgets what was visited.
    pub(super) fn begin(&mut self, graph: &Graph) -> Result<(), TryReserveError> {
        self.visited.clear();
        bitmap::resize(&mut self.visited, graph.linked.len() * 64)
    }

    /// Whether the row is visited for the first time.
    #[inline(always)]
    fn visit(&mut self, row: u32) -> bool {
        let Some(word) = self.visited.get_mut(row as usize / 64) else { return false };
        let bit = 1 << (row % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    /// Puts the unvisited neighbours of a row in the batch; the neighbours of a tombstone stand in
    /// for it, until there are `enough`.
    fn gather(
        &mut self,
        graph: &Graph,
        (row, level): (u32, u32),
        enough: usize,
    ) -> Result<(), TryReserveError> {
        self.batch.clear();
        self.through.clear();
        self.through.try_reserve(1)?;
        self.through.push(row);
        let mut next = 0;
        while let Some(&at) = self.through.get(next)
            && self.batch.len() < enough
        {
            next += 1;
            self.batch.try_reserve(super::links::GROUND_LINKS)?;
            self.through.try_reserve(super::links::GROUND_LINKS)?;
            for link in graph.links.of(at, level) {
                if self.visit(link) {
                    if graph.gone_count == 0 || bitmap::contains(&graph.linked, link) {
                        self.batch.push(link);
                    } else if bitmap::contains(&graph.gone, link) {
                        self.through.push(link);
                    }
                }
            }
        }
        Ok(())
    }

    /// The neighbours of a row, tombstones replaced by theirs. Needs and leaves nothing visited.
    pub(super) fn neighbours(
        &mut self,
        graph: &Graph,
        row: u32,
        level: u32,
    ) -> Result<&[u32], TryReserveError> {
        bitmap::resize(&mut self.visited, graph.linked.len() * 64)?;
        self.visit(row);
        let gathered = self.gather(graph, (row, level), MOST_NEIGHBOURS);
        // Rows passed over were linked to by none but tombstones; their bits matter as well.
        for index in 0..self.through.len() {
            if let Some(&at) = self.through.get(index) {
                bitmap::set(&mut self.visited, at, false);
                for link in graph.links.of(at, level) {
                    bitmap::set(&mut self.visited, link, false);
                }
            }
        }
        gathered?;
        Ok(&self.batch)
    }

    /// From `entry` greedily down the levels `from` to `to`, both included.
    pub(super) fn descend(
        &mut self,
        (graph, rows): (&Graph, &Rows),
        probe: &impl Probe,
        entry: u32,
        (from, to): (u32, u32),
    ) -> Result<u32, TryReserveError> {
        self.begin(graph)?;
        self.visit(entry);
        let mut best = key(probe.pair(rows, [entry; 2])[0], entry);
        self.evaluations += 1;
        for level in (to..=from).rev() {
            loop {
                self.gather(graph, (row_of(best), level), usize::MAX)?;
                let before = best;
                self.evaluate(rows, probe, |_, key| best = best.max(key));
                if best == before {
                    break;
                }
            }
        }
        Ok(row_of(best))
    }

    /// Hands every row of the batch, as a key, to `each`.
    #[inline(always)]
    fn evaluate(&mut self, rows: &Rows, probe: &impl Probe, mut each: impl FnMut(&mut Self, u64)) {
        let batch = core::mem::take(&mut self.batch);
        self.evaluations += batch.len();
        let (pairs, last) = batch.as_chunks::<2>();
        for &[a, b] in pairs {
            let [near_a, near_b] = probe.pair(rows, [a, b]);
            each(self, key(near_a, a));
            each(self, key(near_b, b));
        }
        for &row in last {
            let [near, _] = probe.pair(rows, [row; 2]);
            each(self, key(near, row));
        }
        self.batch = batch;
    }

    /// Walks one level from `entries`, best first, until no row ahead can be among the best.
    ///
    /// Returns false when it gave up. What was found is then no use.
    pub(super) fn level(
        &mut self,
        (graph, rows): (&Graph, &Rows),
        probe: &impl Probe,
        entries: &[u32],
        goal: &Goal<'_>,
    ) -> Result<bool, TryReserveError> {
        self.begin(graph)?;
        self.frontier.clear();
        self.found.clear();
        self.found.try_reserve(goal.width + 1)?;
        self.batch.clear();
        self.batch.try_reserve(entries.len())?;
        for &entry in entries {
            if self.visit(entry) {
                self.batch.push(entry);
            }
        }
        let mut floor = 0;
        loop {
            if floor > 0 {
                probe.sift(rows, similarity_of(floor), &mut self.batch);
            }
            self.frontier.try_reserve(self.batch.len())?;
            self.evaluate(rows, probe, |walk, key| {
                if key > floor {
                    floor = walk.consider(key, goal);
                }
            });
            if self.evaluations > goal.limit {
                return Ok(false);
            }
            match self.frontier.pop() {
                Some(best) if best >= floor => {
                    self.gather(graph, (row_of(best), goal.level), usize::MAX)?;
                }
                _ => return Ok(true),
            }
        }
    }

    /// Takes a row that is nearer than the floor, and returns the new floor: the worst row found
    /// once there are enough.
    #[inline(always)]
    fn consider(&mut self, key: u64, goal: &Goal<'_>) -> u64 {
        self.frontier.push(key);
        let row = row_of(key);
        let kept =
            goal.keep.is_none_or(|(a, b)| bitmap::contains(a, row) && bitmap::contains(b, row));
        if kept {
            self.found.push(Reverse(key));
            if self.found.len() > goal.width {
                self.found.pop();
            }
        }
        match self.found.peek() {
            Some(&Reverse(worst)) if self.found.len() >= goal.width => worst,
            _ => 0,
        }
    }

    /// Moves what the last walk found to `into`, nearest first.
    pub(super) fn take_found(&mut self, into: &mut Vec<u64>) -> Result<(), TryReserveError> {
        into.clear();
        into.try_reserve(self.found.len())?;
        into.extend(self.found.drain().map(|Reverse(key)| key));
        crate::sort::descending(into);
        Ok(())
    }

    /// Bytes of linear memory in use.
    pub(super) fn bytes(&self) -> usize {
        (self.visited.capacity() + self.frontier.capacity() + self.found.capacity()) * 8
            + (self.batch.capacity() + self.through.capacity()) * 4
    }
}
