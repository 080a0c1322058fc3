//! Searching: clauses become cursors over the rows, and the best rows by their sums are collected.
//!
//! # Theory of operation
//!
//! A clause that is one word, anywhere in documents, is read where it matters ([`super::cursor`]).
//! What any other matches is listed first, with how often ([`super::matches`]). Either way it is known
//! beforehand how many of the documents that are searched the clause matches: by the term's own count
//! if that is all of them, else by counting, which is remembered while the same rows are searched.
//! Then [`super::windows`] finds the best.

use hashbrown::HashTable;

use crate::float::smaller;

use super::bitmap;
use super::cursor::Cursor;
use super::fields::Weights;
use super::index::Index;
use super::lengths::Lengths;
use super::matches::{List, Sums, View};
use super::measure::Measure;
use super::query::{Clause, Query, Sign};
use super::windows::{self, Collect, Hits, Pruning};
use super::{Among, Hit, Tie, TopK};
use crate::error::Result;

/// What searches use again.
#[derive(Default)]
pub(super) struct Scratch {
    counts: Sums,
    seen: Seen,
    lengths: Lengths,
}

impl Scratch {
    pub(super) fn bytes(&self) -> usize {
        self.counts.bytes() + self.seen.bytes() + self.lengths.bytes()
    }
}

/// The rows that a search sees, and what was counted of them. Postings and lengths of a row never
/// change, so it holds for as long as the same rows are searched.
#[derive(Default)]
struct Seen {
    rows: Vec<u64>,
    documents: u64,
    words: u64,
    /// Pairs of a term and how many of the rows have it.
    frequencies: HashTable<(u32, u32)>,
}

impl Seen {
    fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<u64>() + self.frequencies.allocation_size()
    }
}

/// What a clause matches.
enum Found {
    Word { term: u32, frequency: u32 },
    Listed(List),
}

/// Ranks documents by more than how well they fit a query.
pub trait Judge {
    /// Takes how well the next of the named rows fits, as a share of the ideal score; 0 for one that
    /// the query does not find.
    fn named(&mut self, share: f64);

    /// The share below which a row does not matter. It only rises.
    fn least(&self) -> f64;

    /// Takes another row that the query finds, and its share. Rows ascend.
    fn found(&mut self, row: u32, share: f64);
}

/// Shares of the ideal score for a judge.
struct Judged<'a> {
    judge: &'a mut dyn Judge,
    /// The named rows that are still to be passed.
    named: &'a [u32],
    ideal: f64,
}

impl Collect for Judged<'_> {
    fn least(&self) -> f64 {
        self.judge.least() * self.ideal
    }

    fn take(&mut self, row: u32, score: f64) {
        while let Some((&next, rest)) = self.named.split_first()
            && next <= row
        {
            if next == row {
                return;
            }
            self.named = rest;
        }
        self.judge.found(row, share(score, self.ideal));
    }
}

fn share(score: f64, ideal: f64) -> f64 {
    if ideal > 0.0 { smaller(score / ideal, 1.0) } else { 0.0 }
}

/// What a search comes to.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The best documents, best first.
    pub hits: Vec<Hit>,
    /// The score that no document can reach: that of one with every word of the query endlessly.
    pub ideal: f64,
}

impl Index {
    /// The best `k` documents for a query, best first.
    ///
    /// `among` is the collection: what may be found, and what the statistics are about. `accept`
    /// limits hits further and leaves statistics alone; it is asked about rows that would be hits.
    /// Equal scores go by `tie`. Erased rows are in no collection.
    ///
    /// Time is at most linear in the postings of the query's words, and for phrases in those words'
    /// positions. Of a collection that was not searched the time before, it is linear in the rows too.
    ///
    /// # Errors
    /// `Invalid` if a prefix stands for more than [`MAX_PREFIX_WORDS`](crate::limits::MAX_PREFIX_WORDS)
    /// words.
    pub fn search(
        &mut self,
        query: &Query,
        among: Among<'_>,
        accept: &dyn Fn(u32) -> bool,
        k: usize,
        tie: Tie<'_>,
    ) -> Result<Answer> {
        let mut best = TopK::new(k, None, tie);
        let prune = query.boosts.is_none();
        let ideal = self.prepare(query, among, prune, |mut cursors, rows, allowed, _| {
            let pruning = Pruning { cursors: &mut cursors, rows, prune, allowed };
            pruning.run(&mut Hits { best: &mut best, accept });
        })?;
        Ok(Answer { hits: best.finish(), ideal })
    }

    /// Has a judge rank the documents that a query finds by more than their text. It is first told
    /// how well `named` fit, ascending rows that it wants to know of whether the query finds them or
    /// not; then of the others whatever may matter to it.
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn rank(
        &mut self,
        query: &Query,
        among: Among<'_>,
        named: &[u32],
        judge: &mut dyn Judge,
    ) -> Result<()> {
        if query.is_empty() {
            named.iter().for_each(|_| judge.named(0.0));
            return Ok(());
        }
        let prune = query.boosts.is_none();
        self.prepare(query, among, prune, |mut cursors, rows, allowed, ideal| {
            for score in windows::scores(&mut cursors, allowed, named) {
                judge.named(share(score, ideal));
            }
            let pruning = Pruning { cursors: &mut cursors, rows, prune, allowed };
            pruning.run(&mut Judged { judge, named, ideal });
        })?;
        Ok(())
    }

    /// Calls `run` with the cursors of the clauses that score, one past the last row, the rows that
    /// clauses with signs let through, and the score that no document can reach, which is returned.
    /// `rounded` has parts rounded so that sums do not depend on the order of adding.
    fn prepare(
        &mut self,
        query: &Query,
        among: Among<'_>,
        rounded: bool,
        run: impl FnOnce(Vec<Cursor<'_>>, u32, &[u64], f64),
    ) -> Result<f64> {
        if query.is_empty() {
            return Ok(0.0);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        let ideal = self.prepare_with(&mut scratch, query, among, rounded, run);
        self.scratch = scratch;
        ideal
    }

    fn prepare_with(
        &mut self,
        scratch: &mut Scratch,
        query: &Query,
        among: Among<'_>,
        rounded: bool,
        run: impl FnOnce(Vec<Cursor<'_>>, u32, &[u64], f64),
    ) -> Result<f64> {
        let weights = match &query.boosts {
            None => Weights::All,
            Some(boosts) => self.fields.weights(boosts),
        };
        let table = match &weights {
            Weights::All => None,
            Weights::Some(_) => Some(self.counts.weights(|field| weights.of(field))),
        };
        let Scratch { counts, seen, lengths } = scratch;
        if let Some(boosts) = &query.boosts {
            lengths.update(boosts, &weights, &self.fields, self.end());
        }
        counts.resize(self.lengths.len());
        self.see(seen, among);
        let Seen { rows, documents, words, frequencies } = seen;
        let view = View { visible: rows, weights: &weights, table: table.as_deref() };

        let mut allowed: Option<Vec<u64>> = None;
        let mut found: Vec<(&Clause, Found)> = Vec::new();
        for clause in &query.clauses {
            let one = self.find(clause, &view, *documents, frequencies, counts)?;
            if let (Found::Listed(list), false) = (&one, clause.sign == Sign::Any) {
                restrict(&mut allowed, &list.rows, clause.sign, rows);
            }
            if clause.sign != Sign::Excluded {
                found.push((clause, one));
            }
        }

        let lengths = if query.boosts.is_some() { lengths.words() } else { &self.lengths };
        let words = match (&weights, among) {
            (Weights::All, _) => *words,
            (weights, Among::Current) => self.fields.current_words(weights),
            (_, Among::Bitmap(_)) => words_of(rows, lengths),
        };
        let mut measure = Measure::new(*documents, words);
        let most =
            |(clause, found): &(&Clause, Found)| measure.most(clause.times, found.frequency());
        let most: Vec<f64> = found.iter().map(most).collect();
        let ideal = most.iter().sum();
        if rounded {
            measure.round_for(ideal);
        }
        let cursor = |((_, found), &most): ((&Clause, Found), &f64)| match found {
            Found::Word { term, .. } => Cursor::word(self, term, measure.of(most)),
            Found::Listed(list) => Cursor::listed(list, measure.of(most), lengths),
        };
        let cursors: Vec<Cursor<'_>> = found.into_iter().zip(&most).map(cursor).collect();
        run(cursors, self.end(), allowed.as_deref().unwrap_or(rows), ideal);
        Ok(ideal)
    }

    /// Brings what is known of the rows of a collection up to date.
    fn see(&self, seen: &mut Seen, among: Among<'_>) {
        let same = match among {
            Among::Current => seen.rows == self.current(),
            Among::Bitmap(rows) => {
                let live = rows.iter().zip(&self.live).map(|(a, b)| a & b);
                seen.rows.iter().copied().eq(live)
            }
        };
        if same {
            return;
        }
        seen.frequencies.clear();
        seen.rows.clear();
        match among {
            Among::Current => {
                seen.rows.extend_from_slice(self.current());
                (seen.documents, seen.words) = (u64::from(self.current_rows), self.current_words);
            }
            Among::Bitmap(rows) => {
                seen.rows.extend(rows.iter().zip(&self.live).map(|(a, b)| a & b));
                seen.documents = seen.rows.iter().map(|word| u64::from(word.count_ones())).sum();
                seen.words = words_of(&seen.rows, &self.lengths);
            }
        }
    }

    /// What a clause matches.
    fn find(
        &mut self,
        clause: &Clause,
        view: &View<'_>,
        documents: u64,
        frequencies: &mut HashTable<(u32, u32)>,
        sums: &mut Sums,
    ) -> Result<Found> {
        let places = self.places(&clause.elements)?;
        if let [place] = places.as_slice()
            && let [term] = *place.terms.as_slice()
            && clause.sign == Sign::Any
            && matches!(view.weights, Weights::All)
        {
            let frequency = if documents == self.lengths.len() as u64 {
                self.terms.get(term).map_or(0, |term| term.row_count)
            } else {
                self.frequency(term, view, frequencies)
            };
            return Ok(Found::Word { term, frequency });
        }
        let mut list = List::default();
        self.list(places, view, sums, &mut list);
        Ok(Found::Listed(list))
    }

    /// How many of the visible rows have a term.
    fn frequency(
        &self,
        term: u32,
        view: &View<'_>,
        frequencies: &mut HashTable<(u32, u32)>,
    ) -> u32 {
        // Numbers of terms are distinct and small: they are mixed, not hashed.
        let hash = |term: u32| u64::from(term).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if let Some((_, frequency)) = frequencies.find(hash(term), |known| known.0 == term) {
            return *frequency;
        }
        let mut frequency = 0;
        self.rows_of(term, view, |_, _| frequency += 1);
        if frequencies.try_reserve(1, |known| hash(known.0)).is_ok() {
            frequencies.insert_unique(hash(term), (term, frequency), |known| hash(known.0));
        }
        frequency
    }
}

/// The words of some rows, of which `lengths` has each one's.
fn words_of(rows: &[u64], lengths: &[u32]) -> u64 {
    let mut words = 0;
    for (bits, lengths) in rows.iter().zip(lengths.chunks(64)) {
        let mut bits = *bits;
        while bits != 0 {
            words += lengths.get(bits.trailing_zeros() as usize).copied().map_or(0, u64::from);
            bits &= bits - 1;
        }
    }
    words
}

impl Found {
    fn frequency(&self) -> usize {
        match self {
            Self::Word { frequency, .. } => *frequency as usize,
            Self::Listed(list) => list.rows.len(),
        }
    }
}

/// Takes out of `allowed` the rows that a required or excluded clause does not let through.
fn restrict(allowed: &mut Option<Vec<u64>>, rows: &[u32], sign: Sign, visible: &[u64]) {
    let allowed = allowed.get_or_insert_with(|| visible.to_vec());
    if sign == Sign::Excluded {
        rows.iter().for_each(|&row| bitmap::set(allowed, row, false));
        return;
    }
    let mut matched = vec![0; allowed.len()];
    rows.iter().for_each(|&row| bitmap::set(&mut matched, row, true));
    allowed.iter_mut().zip(&matched).for_each(|(allowed, matched)| *allowed &= matched);
}
