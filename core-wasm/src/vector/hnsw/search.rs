//! Search by graph: a walk finds candidates, float32 scores them, and a scan covers the rest.

use std::collections::TryReserveError;

use super::super::{Query, Rows, TopK, bitmap, exact};
use super::probe::row_of;
use super::walk::Goal;
use super::{Hnsw, Walk};

/// How many rows a walk finds for the best one; see [`width`].
const SEARCH_WIDTH: usize = 72;

/// What a search by graph is for.
pub(in crate::vector) struct Plan<'a> {
    /// The rows that may be returned.
    pub(in crate::vector) filter: &'a [u64],
    /// How many of them the graph has: see [`matches`].
    pub(in crate::vector) among: usize,
    /// How many of them have codes and are not in the graph.
    pub(in crate::vector) behind: usize,
    pub(in crate::vector) k: usize,
    /// How many similarities the walk may compute.
    pub(in crate::vector) limit: usize,
}

/// How many rows a walk finds for a search for the best `k`.
fn width(k: usize) -> usize {
    SEARCH_WIDTH + k + k / 2
}

/// How many rows of a filter the graph has.
pub(in crate::vector) fn matches(graph: &Hnsw, rows: &Rows, filter: &[u64]) -> usize {
    let linked = graph.graph.linked.iter().zip(rows.coded()).map(|(a, b)| a & b);
    linked.zip(filter).map(|(a, b)| (a & b).count_ones() as usize).sum()
}

/// Offers to `top` the rows of a filter that are likely among the best `k`; rows without codes are
/// left out.
///
/// Returns false, having offered nothing, when the walk gave up, found fewer than `k` of the rows
/// although there are more, or was refused memory.
pub(in crate::vector) fn scan(
    graph: &Hnsw,
    rows: &Rows,
    query: &Query,
    plan: &Plan<'_>,
    walk: &mut Walk,
    top: &mut TopK<'_>,
) -> bool {
    if plan.among > 0 {
        match find(graph, rows, query, plan, walk) {
            Ok(list) if list.len() >= plan.k.min(plan.among) => {
                exact::scan_rows(rows, query, &list, top);
                top.settle();
            }
            _ => return false,
        }
    }
    if plan.behind > 0 {
        scan_behind(graph, rows, query, plan.filter, top);
    }
    true
}

/// The rows that a walk finds, nearest first; none if it gave up.
fn find(
    graph: &Hnsw,
    rows: &Rows,
    query: &Query,
    plan: &Plan<'_>,
    walk: &mut Walk,
) -> Result<Vec<u32>, TryReserveError> {
    let graph = &graph.graph;
    let Some((mut entry, top)) = graph.entry else { return Ok(Vec::new()) };
    walk.evaluations = 0;
    if top > 0 {
        entry = walk.descend((graph, rows), query, entry, (top, 1))?;
    }
    let all = plan.among == graph.linked_count;
    let keep = (!all).then_some((plan.filter, rows.coded()));
    let goal = Goal { level: 0, width: width(plan.k), keep, limit: plan.limit };
    let mut keys = Vec::new();
    if walk.level((graph, rows), query, &[entry], &goal)? {
        walk.take_found(&mut keys)?;
    }
    Ok(keys.into_iter().map(row_of).collect())
}

/// Offers the rows of a filter that have codes and are not in the graph.
fn scan_behind(graph: &Hnsw, rows: &Rows, query: &Query, filter: &[u64], top: &mut TopK<'_>) {
    let mut block = Vec::with_capacity(64);
    let linked = graph.graph.linked.iter().copied().chain(core::iter::repeat(0));
    for (index, ((filter, coded), linked)) in
        filter.iter().zip(rows.coded()).zip(linked).enumerate()
    {
        if filter & coded & !linked != 0 {
            block.clear();
            bitmap::rows_of_word(index, filter & coded & !linked, &mut block);
            exact::scan_rows(rows, query, &block, top);
        }
    }
}
