//! Erased rows: tombstones, and the sweep that removes them.
//!
//! A tombstone keeps its links and nothing else, and walks pass through it, so erasing breaks no
//! path. A sweep takes the tombstones that there are when it starts and looks at every other row
//! once; one that links to any tombstone chooses its links anew, from its neighbours with those of
//! the tombstones. Nothing links to the sweep's tombstones after that, since links are only ever
//! made to rows that are in the graph, and their numbers can be inserted again.

use std::collections::TryReserveError;

use super::super::{Rows, bitmap};
use super::links::level_of;
use super::{Graph, Hnsw};

/// A sweep starts once there is one tombstone to this many rows.
const SWEEP_SHARE: usize = 256;
/// Looking at a row costs about as much as a similarity does for this many of them.
const LOOKS_PER_EVALUATION: usize = 4;

impl Hnsw {
    /// The row was, or is about to be, [erased](Rows::erase): no search finds it from now on. To be
    /// called **before its number is given out again**; an [`extend`](Self::extend) that comes
    /// first sees to it by itself.
    ///
    /// Usually O(1); O(n / 64) at worst.
    pub fn erase(&mut self, row: u32) {
        let graph = &mut self.graph;
        if !bitmap::contains(&graph.linked, row) {
            return;
        }
        bitmap::set(&mut graph.linked, row, false);
        bitmap::set(&mut graph.gone, row, true);
        graph.linked_count -= 1;
        graph.gone_count += 1;
        if graph.linked_count == 0 {
            *self = Self::default();
        } else if let Some((entry, top)) = graph.entry
            && entry == row
        {
            let near = (0..=top).rev().find_map(|level| {
                let near = self.work.local.neighbours(&self.graph, row, level).ok()?;
                near.iter().copied().max_by_key(|&row| (level_of(row), row))
            });
            let entry = near.or_else(|| first_of(&self.graph.linked));
            self.graph.entry = entry.map(|row| (row, level_of(row)));
        }
    }

    /// Erases what is no longer live.
    pub(super) fn erase_missing(&mut self, rows: &Rows) {
        let mut missing = Vec::new();
        for (index, &linked) in self.graph.linked.iter().enumerate() {
            let live = rows.live().get(index).copied().unwrap_or_default();
            if linked & !live != 0 {
                bitmap::rows_of_word(index, linked & !live, &mut missing);
            }
        }
        missing.into_iter().for_each(|row| self.erase(row));
    }

    /// Goes on with a sweep, or starts one if it is due; true when none is left to do.
    pub(super) fn sweep(&mut self, rows: &Rows, budget: usize) -> Result<bool, TryReserveError> {
        let Self { graph, work, sweeping, sweep_at } = self;
        if sweep_at.is_none() {
            if graph.gone_count * SWEEP_SHARE <= graph.linked_count {
                return Ok(true);
            }
            sweeping.iter_mut().zip(&graph.gone).for_each(|(into, gone)| *into = *gone);
            *sweep_at = Some(0);
        }
        let end = bits_of(&graph.linked);
        let mut looks = 0;
        while let Some(row) = *sweep_at
            && row < end
        {
            if work.spent() + looks / LOOKS_PER_EVALUATION >= budget {
                work.walk.evaluations += looks / LOOKS_PER_EVALUATION;
                return Ok(false);
            }
            looks += 1;
            let is_in = bitmap::contains(&graph.linked, row) || bitmap::contains(&graph.gone, row);
            if is_in && !bitmap::contains(sweeping, row) {
                for level in 0..=level_of(row) {
                    if graph.links.of(row, level).any(|link| bitmap::contains(&graph.gone, link)) {
                        work.relink(graph, rows, (row, level), None)?;
                    }
                }
            }
            *sweep_at = Some(row + 1);
        }
        work.walk.evaluations += looks / LOOKS_PER_EVALUATION;
        bury(graph, sweeping);
        *sweep_at = None;
        Ok(true)
    }
}

/// Frees the numbers of the tombstones that a sweep is done with.
fn bury(graph: &mut Graph, sweeping: &mut [u64]) {
    let mut rows = Vec::new();
    for (index, word) in sweeping.iter_mut().enumerate() {
        rows.clear();
        bitmap::rows_of_word(index, core::mem::take(word), &mut rows);
        for &row in &rows {
            (0..=level_of(row)).for_each(|level| graph.links.set(row, level, &[]));
            bitmap::set(&mut graph.gone, row, false);
            graph.gone_count -= 1;
        }
    }
}

fn first_of(bits: &[u64]) -> Option<u32> {
    let index = bits.iter().position(|&word| word != 0)?;
    let word = bits.get(index)?;
    u32::try_from(index * 64).ok().map(|base| base + word.trailing_zeros())
}

fn bits_of(bits: &[u64]) -> u32 {
    u32::try_from(bits.len() * 64).unwrap_or(u32::MAX)
}
