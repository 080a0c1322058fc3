//! Chooses how to search, and searches.

use super::shortlist::{self, Scratch};
use super::{Hit, Hnsw, Query, Rows, Tie, TopK, Weigh, bitmap, exact, hnsw};

/// Up to this many rows an exact scan is faster than making a shortlist.
const EXACT_ROWS: usize = 400;
/// Up to one row in this many of the set, the exact scan of a filter's rows is faster than one-bit
/// distances of all rows.
const EXACT_SHARE: usize = 24;
/// A shortlist is not worth making for a k over this share of the rows.
const SHORTLIST_SHARE: usize = 16;

/// From this many rows in a graph on, it is clearly faster than the shortlist: level at about 50,000, 1.1
/// to 1.3 times as fast at 100,000, over twice at 200,000.
const GRAPH_ROWS: usize = 100_000;
/// The largest k for which its recall was measured to hold.
const GRAPH_K: usize = 100;
/// A graph is asked only if the filter keeps one row in this many of it: at 100,000 it is even with
/// the shortlist there, and half as fast where one row in three is kept.
const GRAPH_FILTER_SHARE: usize = 2;
/// A graph is asked only if it is behind by no more than one matching row in this many.
const GRAPH_BEHIND_SHARE: usize = 64;
/// A walk gives up when it has computed similarities to one row of the graph in this many: by then
/// a scan would have been done.
const GRAPH_LIMIT_SHARE: usize = 24;

/// Which rows a search may return. Rows that are erased are never among them.
#[derive(Clone, Copy)]
pub enum Filter<'a> {
    /// All current rows.
    Current,
    /// Rows by bitmap, current or not.
    Bitmap(&'a [u64]),
    /// Rows by number, each once, current or not: searched exactly.
    List(&'a [u32]),
}

/// Which paths a search may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The fastest with recall@10 of 0.98 and more.
    Auto,
    /// Without loss.
    Exact,
    /// By shortlist whenever norms allow.
    Quantized,
    /// By graph, however long the walk, whenever there is one, norms allow, and the filter keeps more
    /// than one row in 24; else as `Auto` without one.
    Hnsw,
}

/// The path that a search took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Without loss: see [`exact`].
    Exact,
    /// By shortlist: see [`shortlist`].
    Quantized,
    /// By graph: see [`hnsw`].
    Hnsw,
}

/// What to search for.
pub struct Request<'a> {
    /// How many hits at most, 1 to [`MAX_TOP_K`](super::MAX_TOP_K).
    pub k: usize,
    /// Only hits that score at least this.
    pub threshold: Option<f32>,
    /// Only these rows.
    pub filter: Filter<'a>,
    /// Which paths are allowed.
    pub mode: Mode,
    /// The order of hits with equal scores.
    pub tie: Tie<'a>,
    /// What rows are ranked by instead of their scores.
    pub weigh: Option<&'a dyn Weigh>,
    /// The graph over the rows, if there is one; it may be behind.
    pub graph: Option<&'a Hnsw>,
}

/// Hits, best first, and how they were found.
pub struct Answer {
    /// At most `k`.
    pub hits: Vec<Hit>,
    /// The path taken.
    pub path: Path,
}

/// Searches `rows`.
///
/// Exact paths return what scoring every row would. The quantised path returns rows with exact
/// scores and may miss one in fifty of the best ten (measured: see `shortlist`), and so does the path
/// by graph. Whatever the path, `k` hits are returned if so many rows match. Complexity: O(n dim) with
/// constants of 20 ns (exact) and 1 ns (quantised) a row of 384 dimensions; by graph some thousand
/// similarities, growing as log n.
pub fn search(rows: &Rows, query: &Query, request: &Request<'_>, scratch: &mut Scratch) -> Answer {
    scratch.clear();
    let mut top = TopK::new(request.k, request.threshold, request.tie).weighed(request.weigh);
    let bits = match request.filter {
        Filter::Current => rows.current(),
        Filter::Bitmap(bits) => bits,
        Filter::List(list) => {
            let live = list.iter().copied().filter(|&row| rows.is_live(row));
            let (coded, uncoded): (Vec<u32>, Vec<u32>) =
                live.partition(|&row| bitmap::contains(rows.coded(), row));
            for row in uncoded {
                top.offer(row, query.score(rows, row));
            }
            exact::scan_list(rows, query, &coded, request.k, &mut top);
            return Answer { hits: top.finish(), path: Path::Exact };
        }
    };
    if rows.uncoded_count() > 0 {
        exact::scan_uncoded(rows, query, bits, &mut top);
    }
    let coded = rows.coded();
    let among = bitmap::count_common(bits, coded);
    if let Some((graph, plan)) = graph_plan(rows, query, request, (bits, among))
        && hnsw::scan(graph, rows, query, &plan, &mut scratch.walk, &mut top)
    {
        return Answer { hits: top.finish(), path: Path::Hnsw };
    }
    if wants_shortlist(rows, query, request, among)
        && shortlist::scan(rows, query, (bits, coded), (request.k, among), scratch, &mut top)
    {
        return Answer { hits: top.finish(), path: Path::Quantized };
    }
    if request.k.saturating_mul(4) > among && request.threshold.is_none() {
        exact::scan_floats(rows, query, bits, coded, &mut top);
    } else {
        exact::scan_bitmaps(rows, query, (bits, coded), (request.k, among), &mut top);
    }
    Answer { hits: top.finish(), path: Path::Exact }
}

/// Whether so many rows of a filter are best given as a list, whatever else a mode allows.
#[must_use]
pub fn are_few(rows: &Rows, count: usize, mode: Mode) -> bool {
    mode != Mode::Quantized && count <= EXACT_ROWS.max(rows.end() as usize / EXACT_SHARE)
}

fn wants_shortlist(rows: &Rows, query: &Query, request: &Request<'_>, among: usize) -> bool {
    let usable = query.has_direction() && rows.has_even_norms();
    let worth = among > EXACT_ROWS
        && among > rows.end() as usize / EXACT_SHARE
        && request.k < among / SHORTLIST_SHARE;
    match request.mode {
        Mode::Exact => false,
        Mode::Quantized => usable && among > 0,
        Mode::Auto | Mode::Hnsw => usable && worth,
    }
}

/// The graph and what to ask it, if it may and should answer.
fn graph_plan<'a>(
    rows: &Rows,
    query: &Query,
    request: &Request<'a>,
    (bits, among): (&'a [u64], usize),
) -> Option<(&'a Hnsw, hnsw::Plan<'a>)> {
    let graph = request.graph?;
    let is_metric = rows.metric() != super::Metric::Dot || rows.has_even_norms();
    let usable = query.has_direction() && is_metric && among > 0;
    let plan = |limit| {
        let linked = hnsw::matches(graph, rows, bits);
        hnsw::Plan { filter: bits, among: linked, behind: among - linked, k: request.k, limit }
    };
    match request.mode {
        Mode::Hnsw if usable && among > rows.end() as usize / EXACT_SHARE => {
            Some((graph, plan(usize::MAX)))
        }
        Mode::Auto if usable && graph.linked_count() >= GRAPH_ROWS && request.k <= GRAPH_K => {
            let plan = plan(graph.linked_count() / GRAPH_LIMIT_SHARE);
            let keeps_most = plan.among * GRAPH_FILTER_SHARE >= graph.linked_count();
            let is_near = plan.behind <= among / GRAPH_BEHIND_SHARE;
            (keeps_most && is_near).then_some((graph, plan))
        }
        _ => None,
    }
}
