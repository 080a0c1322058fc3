//! A graph over the rows of a set, for sets where a scan is too slow.
//!
//! # Theory of operation
//!
//! The hierarchical navigable small world of Malkov and Yashunin ("Efficient and robust approximate
//! nearest neighbor search using Hierarchical Navigable Small World graphs", 2016): every row links
//! to rows that are near it in different directions; one row in 16 also on level 1, one in 256 on
//! level 2, and so on. A search goes greedily down the levels and then walks level 0 best-first.
//!
//! - **Similarities** come from the int8 codes (`probe`); a search scores what it found from
//!   float32, as the other paths do. Levels are a hash of the row number (`links`), rows are
//!   inserted in the order of their numbers, equal similarities go by row: the same rows give the
//!   same graph on every host, in however many slices it was built.
//! - **Building** (`build`) is by [`Hnsw::extend`], in slices: rows that are not in yet are
//!   inserted until a budget is spent. A search scans the rows that are not in yet.
//! - **Retired rows** stay, as connectors and for searches that name them. **Erased rows** become
//!   tombstones: their memory is wiped, so no walk can steer by them, but their links still lead on
//!   (`walk`: a tombstone's neighbours stand in for it). Once they are many, `repair` sweeps
//!   over the graph in slices, replaces links to them, and lets their numbers be inserted again.
//! - **Filters** (`search`): the walk ignores the filter and collects matches only, going on until
//!   it has enough of them. If that costs more than a scan would, or too few were found, it
//!   gives up and the caller scans. So no match is lost to a filter.
//!
//! A graph belongs to one [`Rows`] and is a cache: it can be dropped and built again at any time.

mod build;
mod links;
mod probe;
mod repair;
mod search;
mod walk;

use std::collections::TryReserveError;

use super::{Rows, bitmap};
use links::Links;
use probe::RowProbe;

pub(super) use search::{Plan, matches, scan};
pub(super) use walk::Walk;

/// How many candidates an inserted row chooses its links from.
const BUILD_WIDTH: usize = 160;

/// What searches read.
#[derive(Default)]
struct Graph {
    links: Links,
    /// Rows that can be found.
    linked: Vec<u64>,
    linked_count: usize,
    /// Tombstones: erased rows that others may still link to. As long as `linked`.
    gone: Vec<u64>,
    gone_count: usize,
    /// Where walks start, and its level.
    entry: Option<(u32, u32)>,
}

/// The buffers of a builder.
#[derive(Default)]
struct Work {
    walk: Walk,
    /// For the neighbours of one row: nothing is visited between uses.
    local: Walk,
    /// The row that is inserted, the row whose links are chosen, and a candidate for one.
    inserted: RowProbe,
    chooser: RowProbe,
    candidate: RowProbe,
    candidates: Vec<u64>,
    chosen: Vec<u32>,
    /// Levels and links of the row that is inserted.
    plan: Vec<(u32, u32)>,
}

/// A graph over the rows of one [`Rows`].
///
/// # Examples
///
/// ```
/// use koru_delta_core::vector::{Hnsw, Metric, Rows};
///
/// let mut rows = Rows::new(Metric::Cosine, 2);
/// for step in 0..100_u16 {
///     rows.insert(&[1.0, f32::from(step)]).unwrap();
/// }
/// let mut graph = Hnsw::default();
/// while !graph.extend(&rows, 1_000).unwrap() {}
/// assert_eq!(graph.linked_count(), 100);
/// ```
#[derive(Default)]
pub struct Hnsw {
    graph: Graph,
    work: Work,
    /// The tombstones that the sweep under way removes. As long as `graph.gone`.
    sweeping: Vec<u64>,
    /// The next row that the sweep looks at, if there is one under way.
    sweep_at: Option<u32>,
}

impl Hnsw {
    /// Rows in the graph, retired ones included and erased ones not.
    #[must_use]
    pub fn linked_count(&self) -> usize {
        self.graph.linked_count
    }

    /// Erased rows that are not swept out yet.
    #[must_use]
    pub fn tombstone_count(&self) -> usize {
        self.graph.gone_count
    }

    /// Rows that searches find by a scan because they are not in the graph yet.
    #[must_use]
    pub fn behind_count(&self, rows: &Rows) -> usize {
        rows.live_count() - bitmap::count_common(&self.graph.linked, rows.live())
    }

    /// Bytes of linear memory in use, reserved room included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Work { walk, local, inserted, chooser, candidate, candidates, chosen, plan } =
            &self.work;
        let bitmaps =
            self.graph.linked.capacity() + self.graph.gone.capacity() + self.sweeping.capacity();
        self.graph.links.bytes()
            + (bitmaps + candidates.capacity() + plan.capacity()) * size_of::<u64>()
            + chosen.capacity() * size_of::<u32>()
            + walk.bytes()
            + local.bytes()
            + inserted.bytes()
            + chooser.bytes()
            + candidate.bytes()
    }

    fn make_room(&mut self, rows: &Rows, row: u32) -> Result<(), TryReserveError> {
        let end = rows.end() as usize;
        bitmap::resize(&mut self.graph.linked, end)?;
        bitmap::resize(&mut self.graph.gone, end)?;
        bitmap::resize(&mut self.sweeping, end)?;
        self.graph.links.make_room(row)
    }
}

#[cfg(test)]
mod tests;
