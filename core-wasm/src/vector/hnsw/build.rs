//! Inserting rows: algorithms 1 and 4 of the paper.
//!
//! A new row's links are chosen on every level from the [`BUILD_WIDTH`] nearest rows that a walk
//! finds, nearest first, skipping a row that is nearer to one already chosen than to the new row:
//! that one leads there. Rows chosen link back; where one has no free slot, its links are chosen
//! anew in the same way.
//!
//! Copies of one vector are equally near, and links chosen blindly among them would leave most of
//! them without a link to them. So a row links to the copies next to it in number, which makes a
//! chain, and they take no more than half its slots; a row that finds nothing but copies takes
//! over links of one of them, so that many copies do not cut themselves off.
//!
//! All that can fail for want of memory comes before the first link is written.

use std::collections::TryReserveError;

use super::super::Rows;
use super::links::{UPPER_LINKS, level_of, slots};
use super::probe::{Probe, RowProbe, key, row_of, similarity_of};
use super::walk::Goal;
use super::{BUILD_WIDTH, Graph, Hnsw, Work};
use crate::vector::bitmap;

impl Hnsw {
    /// Inserts rows that are not in yet, and sweeps out tombstones, until about `budget`
    /// similarities were computed (an insertion takes some thousands and is not interrupted).
    /// Rows without codes are left for later.
    ///
    /// Returns whether the graph has caught up: another call would have nothing to do. A budget of
    /// 0 only asks.
    ///
    /// # Errors
    ///
    /// When memory is refused. The graph is usable, and a later call goes on.
    pub fn extend(&mut self, rows: &Rows, budget: usize) -> Result<bool, TryReserveError> {
        self.erase_missing(rows);
        let swept = self.sweep(rows, budget)?;
        let mut from_word = 0;
        while let Some(row) = self.next_pending(rows, &mut from_word) {
            if self.work.spent() >= budget {
                self.work.forget_spent();
                return Ok(false);
            }
            self.insert(rows, row)?;
        }
        self.work.forget_spent();
        Ok(swept)
    }

    /// The first row from a word on that can be inserted.
    fn next_pending(&self, rows: &Rows, from_word: &mut usize) -> Option<u32> {
        while let Some(&coded) = rows.coded().get(*from_word) {
            let word = |bits: &[u64]| bits.get(*from_word).copied().unwrap_or_default();
            let left = coded & !word(&self.graph.linked) & !word(&self.graph.gone);
            if left != 0 {
                #[expect(clippy::cast_possible_truncation, reason = "row numbers are u32")]
                return Some((*from_word * 64) as u32 + left.trailing_zeros());
            }
            *from_word += 1;
        }
        None
    }

    fn insert(&mut self, rows: &Rows, row: u32) -> Result<(), TryReserveError> {
        self.make_room(rows, row)?;
        let Self { graph, work, .. } = self;
        let level = level_of(row);
        work.plan_links(graph, rows, row)?;
        bitmap::set(&mut graph.linked, row, true);
        graph.linked_count += 1;
        let plan = core::mem::take(&mut work.plan);
        for links in plan.chunk_by(|(a, _), (b, _)| a == b) {
            let Some(&(level, _)) = links.first() else { continue };
            work.chosen.clear();
            work.chosen.extend(links.iter().map(|(_, link)| link));
            graph.links.set(row, level, &work.chosen);
        }
        for &(level, link) in &plan {
            if !graph.links.add(link, level, row) {
                // For want of memory a row may go without a link back: there are others.
                let _ = work.relink(graph, rows, (link, level), Some(row));
            }
        }
        work.plan = plan;
        if graph.entry.is_none_or(|(_, top)| level > top) {
            graph.entry = Some((row, level));
        }
        Ok(())
    }
}

impl Work {
    /// The similarities computed since the count was last forgotten.
    pub(super) fn spent(&self) -> usize {
        self.walk.evaluations
    }

    pub(super) fn forget_spent(&mut self) {
        self.walk.evaluations = 0;
    }

    /// Finds the links of a new row on all its levels, the highest first.
    fn plan_links(&mut self, graph: &Graph, rows: &Rows, row: u32) -> Result<(), TryReserveError> {
        self.plan.clear();
        let Some((mut entry, top)) = graph.entry else { return Ok(()) };
        let level = level_of(row);
        self.inserted.load(rows, row);
        if top > level {
            let levels = (top, level + 1);
            entry = self.walk.descend((graph, rows), &self.inserted, entry, levels)?;
        }
        for level in (0..=level.min(top)).rev() {
            let goal = Goal { level, width: BUILD_WIDTH, keep: None, limit: usize::MAX };
            self.walk.level((graph, rows), &self.inserted, &[entry], &goal)?;
            self.walk.take_found(&mut self.candidates)?;
            let [itself, _] = self.inserted.pair(rows, [row; 2]);
            self.look_past_copies(graph, rows, level, itself)?;
            self.choose(rows, (row, itself), UPPER_LINKS)?;
            self.plan.try_reserve(self.chosen.len())?;
            self.plan.extend(self.chosen.iter().map(|&link| (level, link)));
            entry = self.candidates.first().map_or(entry, |&nearest| row_of(nearest));
        }
        Ok(())
    }

    /// Adds the neighbours of a copy to the candidates, if they are copies of the new row all.
    fn look_past_copies(
        &mut self,
        graph: &Graph,
        rows: &Rows,
        level: u32,
        itself: f32,
    ) -> Result<(), TryReserveError> {
        let (Some(&first), Some(&last)) = (self.candidates.first(), self.candidates.last()) else {
            return Ok(());
        };
        if similarity_of(last) < itself {
            return Ok(());
        }
        let neighbours = self.local.neighbours(graph, row_of(first), level)?;
        self.candidates.try_reserve(neighbours.len())?;
        for &row in neighbours {
            let [near, _] = self.inserted.pair(rows, [row; 2]);
            if near < itself {
                self.candidates.push(key(near, row));
            }
        }
        crate::sort::descending(&mut self.candidates);
        Ok(())
    }

    /// Chooses up to `slots` links for a row from the candidates, which are keys, nearest first;
    /// `itself` is how similar the row is to itself.
    fn choose(
        &mut self,
        rows: &Rows,
        (row, itself): (u32, f32),
        slots: usize,
    ) -> Result<(), TryReserveError> {
        let Self { candidates, candidate, chosen, walk, .. } = self;
        chosen.clear();
        chosen.try_reserve(slots)?;
        let copies = candidates.partition_point(|&key| similarity_of(key) >= itself);
        if let Some(copies) = candidates.get_mut(..copies) {
            // They are equally near: from here on their keys have what they are ordered by instead.
            for key in copies.iter_mut() {
                *key = u64::from(row_of(*key).abs_diff(row)) << 32 | u64::from(row_of(*key));
            }
            copies.sort_unstable();
            chosen.extend(copies.iter().take(slots / 2).map(|&key| row_of(key)));
        }
        for &key in candidates.iter().skip(copies) {
            let (row, near) = (row_of(key), similarity_of(key));
            candidate.load(rows, row);
            if !is_led_to(rows, candidate, near, chosen, &mut walk.evaluations) {
                chosen.push(row);
                if chosen.len() == slots {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Chooses the links of a row anew, from those it has, those of tombstones among them, and one
    /// more.
    pub(super) fn relink(
        &mut self,
        graph: &mut Graph,
        rows: &Rows,
        (row, level): (u32, u32),
        more: Option<u32>,
    ) -> Result<(), TryReserveError> {
        let Self { local, chooser, candidates, .. } = self;
        let neighbours = local.neighbours(graph, row, level)?;
        candidates.clear();
        candidates.try_reserve(neighbours.len() + 2)?;
        chooser.load(rows, row);
        let links = || neighbours.iter().copied().chain(more);
        for (a, b) in links().step_by(2).zip(links().skip(1).step_by(2).chain([row])) {
            let [near_a, near_b] = chooser.pair(rows, [a, b]);
            candidates.extend([key(near_a, a), key(near_b, b)]);
        }
        candidates.retain(|&key| row_of(key) != row);
        crate::sort::descending(candidates);
        candidates.dedup();
        self.walk.evaluations += self.candidates.len();
        let slots = slots(level);
        // A wiped row has no place to choose by, and few candidates need no choice.
        if self.candidates.len() <= slots || !bitmap::contains(&graph.linked, row) {
            self.chosen.clear();
            self.chosen.try_reserve(slots)?;
            self.chosen.extend(self.candidates.iter().take(slots).map(|&key| row_of(key)));
        } else {
            let [itself, _] = self.chooser.pair(rows, [row; 2]);
            self.choose(rows, (row, itself), slots)?;
        }
        graph.links.set(row, level, &self.chosen);
        Ok(())
    }
}

/// Whether one of the chosen rows is nearer to the candidate than `near`.
fn is_led_to(
    rows: &Rows,
    candidate: &RowProbe,
    near: f32,
    chosen: &[u32],
    evaluations: &mut usize,
) -> bool {
    let (pairs, last) = chosen.as_chunks::<2>();
    pairs.iter().chain(last.first().map(|&row| [row; 2]).as_ref()).any(|&pair| {
        *evaluations += 2;
        let [a, b] = candidate.pair(rows, pair);
        a > near || b > near
    })
}
