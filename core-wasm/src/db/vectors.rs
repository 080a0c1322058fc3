//! Vectors of versions: rows of a set for each namespace and model, found by search.
//!
//! A version's record keeps everything but its vector; that lives in a row, and the version says
//! in which. Rows of overwritten and deleted versions stay for searches of the past. What is not
//! acknowledged yet is taken out of what a search of the present sees.

mod filters;
mod search;
mod weighing;

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::vector::shortlist::Scratch;
use crate::vector::{BadVector, Codes, Hnsw, Metric, Mode, Path, Rows, Segment};

use super::commit::out_of_memory;
use super::versions::Place;
use filters::Filters;

pub(super) use search::Near;
pub use search::{Found, Similar};
use weighing::Known;
pub(super) use weighing::Weighing;

/// Bytes of a namespace and of a model.
type Names<'a> = (&'a [u8], &'a [u8]);

/// Where a version's vector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    set: usize,
    row: u32,
}

impl At {
    /// As two words, of which the first is 0 for none.
    pub(super) fn pack(held: Option<Self>) -> (u32, u32) {
        held.map_or((0, 0), |at| (u32::try_from(at.set + 1).unwrap_or(0), at.row))
    }

    /// What [`At::pack`] made two words of.
    pub(super) fn unpack((set, row): (u32, u32)) -> Option<Self> {
        let set = usize::try_from(set).ok()?.checked_sub(1)?;
        Some(Self { set, row })
    }
}

/// The vectors of one namespace and model.
struct Set {
    namespace: Box<str>,
    model: Box<str>,
    rows: Rows,
    graph: Option<Hnsw>,
    /// The version of each row.
    places: Vec<Place>,
    filters: Filters,
    known: Known,
    /// How the last search went.
    path: Option<Path>,
}

/// A change of a set that is not acknowledged yet.
struct Change {
    timestamp: u64,
    at: At,
    added: bool,
}

/// Room that the host is filling.
struct Reserved {
    set: usize,
    segments: Vec<Segment>,
    /// Rows whose versions are still to be written; checked once the first are.
    rows: VecDeque<u32>,
    checked: bool,
}

/// Every set of vectors of a database.
pub(super) struct Vectors {
    metric: Metric,
    mode: Mode,
    sets: Vec<Set>,
    by_name: BTreeMap<Box<str>, BTreeMap<Box<str>, usize>>,
    /// The set that was added to last: most often the next vector is of the same.
    recent: usize,
    pending: VecDeque<Change>,
    /// Of each vector that came before its version, in order, where it is; `None` if it was not taken.
    ahead: Vec<Option<At>>,
    reserved: Option<Reserved>,
    scratch: Scratch,
}

impl core::fmt::Debug for Vectors {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Vectors({} sets)", self.sets.len())
    }
}

/// What is reported of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetStats {
    /// Namespace of the set.
    pub namespace: String,
    /// Model of the set.
    pub model: String,
    /// Components of each vector.
    pub dimension: usize,
    /// How vectors are compared.
    pub metric: &'static str,
    /// Vectors that a search of the present finds.
    pub vectors: usize,
    /// Vectors held, those of the past included.
    pub held: usize,
    /// Bytes of memory that they take, codes and graph included.
    pub bytes: usize,
    /// How the last search went; `None` before the first.
    pub path: Option<&'static str>,
    /// Rows that are not yet in the graph, or not yet coded.
    pub behind: usize,
}

impl Vectors {
    pub(super) fn new(metric: Metric, mode: Mode) -> Self {
        Self {
            metric,
            mode,
            sets: Vec::new(),
            by_name: BTreeMap::new(),
            recent: 0,
            pending: VecDeque::new(),
            ahead: Vec::new(),
            reserved: None,
            scratch: Scratch::default(),
        }
    }

    /// The set for vectors of a dimension, made if there is none. Names are UTF-8.
    fn set_for(&mut self, (namespace, model): Names<'_>, dimension: usize) -> Result<usize> {
        let is_recent = |set: &Set| {
            set.namespace.as_bytes() == namespace
                && set.model.as_bytes() == model
                && set.rows.dim() == dimension
        };
        if self.sets.get(self.recent).is_some_and(is_recent) {
            return Ok(self.recent);
        }
        let [namespace, model] = [namespace, model].map(str::from_utf8);
        let (namespace, model) = (namespace.unwrap_or_default(), model.unwrap_or_default());
        let known = self.by_name.get(namespace).and_then(|models| models.get(model)).copied();
        self.recent = known.unwrap_or(self.sets.len());
        if let Some((index, set)) = known.and_then(|at| Some((at, self.sets.get_mut(at)?))) {
            if set.rows.dim() == dimension {
                return Ok(index);
            }
            if set.rows.live_count() > 0 {
                return Err(other_dimension(namespace, model, set.rows.dim(), dimension));
            }
            set.rows = Rows::new(self.metric, dimension);
            set.graph = set.graph.take().map(|_| Hnsw::default());
            set.filters.forget_all();
            set.known.clear();
            return Ok(index);
        }
        let set = Set {
            namespace: namespace.into(),
            model: model.into(),
            rows: Rows::new(self.metric, dimension),
            graph: (self.mode == Mode::Hnsw).then(Hnsw::default),
            places: Vec::new(),
            filters: Filters::default(),
            known: Known::default(),
            path: None,
        };
        let index = self.sets.len();
        self.sets.push(set);
        self.by_name.entry(namespace.into()).or_default().insert(model.into(), index);
        Ok(index)
    }

    /// Whether one more vector fits without its set growing.
    pub(super) fn has_room(&self, (namespace, model): Names<'_>) -> bool {
        let names = core::str::from_utf8(namespace).ok().zip(core::str::from_utf8(model).ok());
        let known = names.and_then(|(namespace, model)| self.by_name.get(namespace)?.get(model));
        known.and_then(|index| self.sets.get(*index)).is_some_and(|set| set.rows.has_room())
    }

    /// Adds a vector, given as float32 bytes. It is found once [`Vectors::attach`] says whose it is.
    pub(super) fn add(&mut self, names: Names<'_>, vector: &[u8], codes: Codes) -> Result<At> {
        let floats = vector.as_chunks::<4>().0;
        let index = self.set_for(names, floats.len())?;
        let set = self.sets.get_mut(index).ok_or_else(out_of_memory)?;
        set.places.try_reserve(1).map_err(|_| out_of_memory())?;
        let row = set.rows.add_bytes(floats, codes).map_err(|bad| refuse(&bad))?;
        let end = usize::try_from(set.rows.end()).unwrap_or(usize::MAX);
        set.places.resize(end, Place::MAX);
        Ok(At { set: index, row })
    }

    /// Adds a vector, codes apart, before it is known whether its version counts; whether it fits what is
    /// there. Versions take them in the same order.
    pub(super) fn add_ahead(&mut self, names: Names<'_>, vector: &[u8]) -> bool {
        let held = self.add(names, vector, Codes::Later).ok();
        self.ahead.push(held);
        held.is_some()
    }

    /// Where the vectors are that came before their versions, in order; `None` for what was not taken.
    pub(super) fn take_ahead(&mut self) -> Vec<Option<At>> {
        core::mem::take(&mut self.ahead)
    }

    /// Lets go of vectors whose versions never came.
    pub(super) fn drop_ahead(&mut self) {
        for held in self.take_ahead().into_iter().flatten() {
            self.erase(held);
        }
    }

    /// Makes room for vectors, to be filled in place: address and bytes of each stretch.
    pub(super) fn reserve(
        &mut self,
        names: Names<'_>,
        dimension: usize,
        count: u32,
    ) -> Result<Vec<(usize, usize)>> {
        self.cancel();
        let index = self.set_for(names, dimension)?;
        let set = self.sets.get_mut(index).ok_or_else(out_of_memory)?;
        let segments = set.make_room(count)?;
        let rows = segments.iter().flat_map(|part| part.first..part.first + part.rows).collect();
        let stretches = segments.iter().map(|part| {
            let floats = set.rows.segment_mut(*part);
            (floats.as_ptr().addr(), size_of_val(floats))
        });
        let stretches = stretches.collect();
        self.reserved = Some(Reserved { set: index, segments, rows, checked: false });
        Ok(stretches)
    }

    /// The set whose rows are reserved.
    pub(super) fn reserved_names(&self) -> Option<(&str, &str)> {
        let set = self.sets.get(self.reserved.as_ref()?.set)?;
        Some((&set.namespace, &set.model))
    }

    /// The bytes of one reserved vector.
    pub(super) fn reserved_row_bytes(&self) -> usize {
        let set = self.reserved.as_ref().and_then(|reserved| self.sets.get(reserved.set));
        set.map_or(0, |set| 4 * set.rows.dim())
    }

    /// Checks all reserved vectors, unless that was done, and takes the first `count` of them.
    pub(super) fn take_reserved(&mut self, count: usize) -> Result<Vec<Option<At>>> {
        let reserved = self.reserved.as_mut();
        let reserved = reserved.filter(|reserved| reserved.rows.len() >= count);
        let Some(reserved) = reserved else {
            return Err(Error::protocol("there are fewer reserved vectors than items"));
        };
        if !reserved.checked {
            let set = self.sets.get_mut(reserved.set).ok_or_else(out_of_memory)?;
            if let Err((index, bad)) = set.rows.commit(&reserved.segments, Codes::Later) {
                self.reserved = None;
                return Err(refuse(&bad).with("index", index));
            }
            reserved.checked = true;
        }
        let set = reserved.set;
        let taken = reserved.rows.drain(..count).map(|row| Some(At { set, row })).collect();
        if reserved.rows.is_empty() {
            self.reserved = None;
        }
        Ok(taken)
    }

    /// Gives back what is left of a reservation.
    pub(super) fn cancel(&mut self) {
        if let Some(reserved) = self.reserved.take()
            && let Some(set) = self.sets.get_mut(reserved.set)
        {
            if reserved.checked {
                for row in reserved.rows {
                    set.rows.erase(row);
                }
            } else {
                set.rows.cancel(&reserved.segments);
            }
        }
    }
}

impl Vectors {
    /// Says whose vector a row is. `timestamp` is that of a commit that is not acknowledged yet.
    pub(super) fn attach(&mut self, at: At, place: Place, timestamp: Option<u64>) {
        if let Some(set) = self.sets.get_mut(at.set) {
            let row = usize::try_from(at.row).unwrap_or(usize::MAX);
            if let Some(slot) = set.places.get_mut(row) {
                *slot = place;
            }
            set.filters.revisit(at.row);
            set.known.forget(row);
            if let Some(timestamp) = timestamp {
                self.pending.push_back(Change { timestamp, at, added: true });
            }
        }
    }

    /// The version of a row was overwritten or deleted.
    pub(super) fn retire(&mut self, at: At, timestamp: Option<u64>) {
        if let Some(set) = self.sets.get_mut(at.set) {
            set.rows.retire(at.row);
            if let Some(timestamp) = timestamp {
                self.pending.push_back(Change { timestamp, at, added: false });
            }
        }
    }

    /// The version of a row is gone for good.
    pub(super) fn erase(&mut self, at: At) {
        if let Some(set) = self.sets.get_mut(at.set) {
            set.rows.erase(at.row);
            if let Some(graph) = &mut set.graph {
                graph.erase(at.row);
            }
            self.pending.retain(|change| change.at != at);
        }
    }

    /// Commits up to a time are acknowledged.
    pub(super) fn acknowledge(&mut self, timestamp: u64) {
        while self.pending.front().is_some_and(|change| change.timestamp <= timestamp) {
            self.pending.pop_front();
        }
    }

    /// A vector as float32 bytes.
    pub(super) fn bytes(&self, at: At) -> Vec<u8> {
        let floats = self.sets.get(at.set).map(|set| set.rows.vector(at.row)).unwrap_or_default();
        floats.iter().flat_map(|float| float.to_le_bytes()).collect()
    }

    /// Components of a vector.
    pub(super) fn dimension(&self, at: At) -> usize {
        self.sets.get(at.set).map_or(0, |set| set.rows.dim())
    }

    /// Whether a namespace has vectors of a model.
    pub(super) fn has_model(&self, namespace: &str, model: &str) -> bool {
        let known = self.by_name.get(namespace).and_then(|models| models.get(model));
        known.and_then(|index| self.sets.get(*index)).is_some_and(|set| set.rows.live_count() > 0)
    }

    /// Does about `budget` similarities' worth of deferred work; whether none is left.
    pub(super) fn maintain(&mut self, budget: usize) -> bool {
        self.sets.iter_mut().all(|set| {
            let coded = set.rows.derive_codes(budget);
            // Without memory for a graph, searches go on without it.
            let linked = coded
                && set
                    .graph
                    .as_mut()
                    .is_none_or(|graph| graph.extend(&set.rows, budget).unwrap_or(true));
            coded && linked
        })
    }

    pub(super) fn stats(&self) -> Vec<SetStats> {
        let held = self.sets.iter().filter(|set| set.rows.live_count() > 0);
        held.map(|set| {
            let graph = set.graph.as_ref();
            let unlinked = graph.map_or(0, |graph| graph.behind_count(&set.rows));
            SetStats {
                namespace: set.namespace.to_string(),
                model: set.model.to_string(),
                dimension: set.rows.dim(),
                metric: match set.rows.metric() {
                    Metric::Cosine => "cosine",
                    Metric::Dot => "dot",
                    Metric::L2 => "l2",
                },
                vectors: set.rows.current_count(),
                held: set.rows.live_count(),
                bytes: set.rows.bytes()
                    + graph.map_or(0, Hnsw::bytes)
                    + 4 * set.places.capacity()
                    + set.known.bytes(),
                path: set.path.map(|path| match path {
                    Path::Exact => "exact",
                    Path::Quantized => "quantized",
                    Path::Hnsw => "hnsw",
                }),
                behind: unlinked.max(set.rows.uncoded_count()),
            }
        })
        .collect()
    }
}

impl Set {
    /// Room for rows, and for whose they are.
    fn make_room(&mut self, count: u32) -> Result<Vec<Segment>> {
        let segments = self.rows.reserve(count).map_err(|_| out_of_memory())?;
        let end = usize::try_from(self.rows.end()).unwrap_or(usize::MAX);
        let missing = end.saturating_sub(self.places.len());
        if self.places.try_reserve(missing).is_err() {
            self.rows.cancel(&segments);
            return Err(out_of_memory());
        }
        self.places.resize(end, Place::MAX);
        Ok(segments)
    }
}

fn other_dimension(namespace: &str, model: &str, expected: usize, found: usize) -> Error {
    Error::new(
        Kind::Invalid,
        format!(
            "the vector has {found} components; those of namespace {namespace:?} and model \
             {model:?} have {expected}"
        ),
        "use the model that made the others, or name this one with model=",
    )
}

/// Why a vector is not taken, in words.
fn refuse(bad: &BadVector) -> Error {
    let problem = match bad {
        BadVector::Dimension { expected, found } => {
            format!("the vector has {found} components; {expected} were expected")
        }
        BadVector::NotFinite { component } => {
            format!("component {component} of the vector is not a finite number")
        }
        BadVector::NoDirection { norm } => {
            format!("the vector has length {norm}: it has no direction, and so no cosine")
        }
        BadVector::TooLong { norm } => {
            format!("the vector has length {norm}; the limit is 1e18")
        }
        BadVector::NoMemory => return out_of_memory(),
    };
    Error::new(Kind::Invalid, problem, "check what made it; nothing was written")
}
