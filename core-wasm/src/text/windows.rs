//! The best rows by the sum of their parts, without scoring all.
//!
//! # Theory of operation
//!
//! Rows are looked at a window at a time. In each, the clauses are sorted by the most that they can
//! add there. Those at the low end that together stay below the worst of the hits in hand cannot make
//! a hit by themselves: they are left out at first, and only asked about rows which the others find,
//! as long as these can still become hits. A window in which all clauses together stay below is passed
//! over unread. (MaxScore: Turtle and Flood, 1995; bounds by block: Ding and Suel, 2011.)
//!
//! Results are those of scoring everything: what is left out is below the worst hit, not equal to it,
//! and parts are rounded so that their sum does not depend on the order of adding
//! ([`Measure`](super::search::Measure)).

use super::TopK;
use super::bitmap;
use super::cursor::Cursor;
use super::window::Window;

/// What a score may lose by becoming `f32`, and more.
const SLACK: f64 = 1e-6;

/// Collects what is best.
pub(super) trait Collect {
    /// What no row that matters scores less than. It only rises.
    fn least(&self) -> f64;

    /// Takes a row and its score. Rows ascend.
    fn take(&mut self, row: u32, score: f64);
}

/// Collects the best rows by their scores, of those that are accepted.
pub(super) struct Hits<'a, 'b> {
    pub(super) best: &'a mut TopK<'b>,
    pub(super) accept: &'a dyn Fn(u32) -> bool,
}

impl Collect for Hits<'_, '_> {
    fn least(&self) -> f64 {
        f64::from(self.best.floor()) * (1.0 - SLACK)
    }

    fn take(&mut self, row: u32, score: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "rounded, as hits have it")]
        let score = score as f32;
        if score >= self.best.floor() && (self.accept)(row) {
            self.best.offer(row, score);
        }
    }
}

/// Offers the best rows, of those below `rows` that are allowed.
pub(super) struct Pruning<'a, 'b> {
    pub(super) cursors: &'a mut [Cursor<'b>],
    /// One past the last row.
    pub(super) rows: u32,
    /// Whether rows may be left out; else every clause is added in the query's order.
    pub(super) prune: bool,
    pub(super) allowed: &'a [u64],
}

impl Pruning<'_, '_> {
    pub(super) fn run(mut self, best: &mut dyn Collect) {
        let mut window = Window::new();
        let mut order: Vec<(usize, f64)> = (0..self.cursors.len()).map(|at| (at, 0.0)).collect();
        let mut start = 0;
        while let Some(row) = self.next_row(start, self.limit(best)) {
            window.start = row & !63; // where a word of bitmaps begins
            let end = window.end();
            let total = self.bounds(&mut order, (row, end));
            if total >= self.limit(best) {
                self.window(&mut window, &order, best);
            }
            start = end;
        }
    }

    /// What no row that matters scores less than.
    fn limit(&self, best: &dyn Collect) -> f64 {
        if self.prune { best.least() } else { f64::NEG_INFINITY }
    }

    /// The first row from `start` on that may matter.
    fn next_row(&self, start: u32, limit: f64) -> Option<u32> {
        // Some clause must match whose bound is at least the limit's share of one clause.
        let least = limit / self.cursors.len().max(1) as f64;
        let may = self.cursors.iter().filter(|cursor| cursor.bound >= least);
        may.map(|cursor| cursor.next_row(start)).min().filter(|&row| row < self.rows)
    }

    /// What clauses can add within a window, least first, and the sum of that.
    fn bounds(&mut self, order: &mut [(usize, f64)], (start, end): (u32, u32)) -> f64 {
        let mut total = 0.0;
        for (at, bound) in &mut *order {
            *bound = self.cursors.get_mut(*at).map_or(0.0, |one| one.bound_within(start, end));
            total += *bound;
        }
        if self.prune {
            insertion_sort(order);
        }
        total
    }

    fn window(&mut self, window: &mut Window, order: &[(usize, f64)], best: &mut dyn Collect) {
        let mut limit = self.limit(best);
        let (mut left_out, mut rest) = (0, 0.0);
        for (_, bound) in order {
            if rest + bound >= limit {
                break;
            }
            rest += bound;
            left_out += 1;
        }
        let (left_out, added) = order.split_at_checked(left_out).unwrap_or((order, &[]));
        for (at, _) in added {
            if let Some(cursor) = self.cursors.get_mut(*at) {
                cursor.add(window);
            }
        }
        window.drain(self.allowed, &mut |row, sum| {
            if sum + rest < limit {
                return;
            }
            let (mut score, mut rest) = (sum, rest);
            for (at, bound) in left_out.iter().rev() {
                if score + rest < limit {
                    return;
                }
                rest -= bound;
                score += self.cursors.get_mut(*at).map_or(0.0, |one| one.part_of(row));
            }
            if score >= limit {
                best.take(row, score);
                limit = self.limit(best);
            }
        });
    }
}

/// The scores of some rows, ascending; 0 for what is not found or not allowed. The cursors are where
/// they were at first.
pub(super) fn scores(cursors: &mut [Cursor<'_>], allowed: &[u64], rows: &[u32]) -> Vec<f64> {
    let score = |&row: &u32| {
        let found = if bitmap::contains(allowed, row) { &mut *cursors } else { &mut [] };
        found.iter_mut().fold(0.0, |score, cursor| score + cursor.part_of(row))
    };
    let scores = rows.iter().map(score).collect();
    cursors.iter_mut().for_each(Cursor::restart);
    scores
}

/// Sorts by the bound. From window to window the order hardly changes.
fn insertion_sort(order: &mut [(usize, f64)]) {
    for end in 1..order.len() {
        for at in (1..=end).rev() {
            let in_order = |pair: &[(usize, f64)]| matches!(pair, [one, other] if one.1 <= other.1);
            if order.get(at - 1..=at).is_none_or(in_order) {
                break;
            }
            order.swap(at - 1, at);
        }
    }
}
