//! Searching: clause by clause, each adding its part of the scores.
//!
//! # Theory of operation
//!
//! For each clause the rows that it matches are listed with how often ([`super::matches`]). The list
//! is as long as the clause's document frequency, so that is exact for any set of documents without
//! being kept anywhere. Then the list's scores are added to a sum for each row. Sums are zero between
//! searches, and blocks of rows with sums in them are marked: collecting hits and clearing sums is
//! linear in what was touched, not in the rows of the index.
//!
//! All arithmetic is in `f64`, clause after clause in the query's order, and the sum becomes `f32` at
//! the end: the same bits on every host, and the same for documents with the same counts and lengths.

use super::bitmap;
use super::fields::Weights;
use super::index::Index;
use super::lengths::Lengths;
use super::matches::List;
use super::query::{Query, Sign};
use super::{Among, Hit, Tie, TopK};
use crate::error::Result;

/// How fast more occurrences of a word stop to matter.
const K1: f64 = 1.2;
/// How much long documents are held back.
const B: f64 = 0.75;
/// Rows of a block.
const BLOCK_ROWS: usize = 1024;

/// A number for each row, zero between searches.
#[derive(Default)]
pub(super) struct Sums {
    values: Vec<f64>,
    /// For each block, whether a value in it was touched.
    touched: Vec<bool>,
}

impl Sums {
    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f64>() + self.touched.capacity()
    }

    /// Makes room for this many rows.
    pub(super) fn resize(&mut self, rows: usize) {
        let blocks = rows.div_ceil(BLOCK_ROWS);
        self.touched.resize(blocks.max(self.touched.len()), false);
        self.values.resize(self.touched.len() * BLOCK_ROWS, 0.0);
    }

    #[inline]
    pub(super) fn add(&mut self, row: u32, value: f64) {
        let row = row as usize;
        if let (Some(sum), Some(touched)) =
            (self.values.get_mut(row), self.touched.get_mut(row / BLOCK_ROWS))
        {
            *sum += value;
            *touched = true;
        }
    }

    /// Calls `each` with the rows whose sum is not zero, ascending, and clears all.
    pub(super) fn drain(&mut self, mut each: impl FnMut(u32, f64)) {
        let blocks = self.values.chunks_exact_mut(BLOCK_ROWS).zip(&mut self.touched);
        for (block, (values, touched)) in (0_u32..).zip(blocks) {
            if !core::mem::take(touched) {
                continue;
            }
            for (row, value) in (block * 1024..).zip(values) {
                if *value > 0.0 {
                    each(row, *value);
                    *value = 0.0;
                }
            }
        }
    }
}

/// What searches use again.
#[derive(Default)]
pub(super) struct Scratch {
    scores: Sums,
    pub(super) counts: Sums,
    list: List,
    lengths: Lengths,
}

impl Scratch {
    pub(super) fn bytes(&self) -> usize {
        self.scores.bytes() + self.counts.bytes() + self.list.bytes() + self.lengths.bytes()
    }
}

/// The collection that a search is about: its statistics.
struct Collection {
    documents: f64,
    average_length: f64,
}

/// What scoring leaves, beside a sum for each row that matched.
struct Scored {
    /// The rows that required and excluded clauses let through, if there are any of these.
    allowed: Option<Vec<u64>>,
    ideal: f64,
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
    /// limits hits further and leaves statistics alone; it is asked about rows that would be hits. Equal scores go by `tie`. Erased rows are in
    /// no collection.
    ///
    /// Time is linear in the postings of the query's words, and for phrases in those words'
    /// positions. With a bitmap, it is linear in its rows too.
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
        if query.is_empty() {
            return Ok(Answer::default());
        }
        let mut best = TopK::new(k, None, tie);
        let ideal = self.each_match(query, among, |row, score, _| {
            #[expect(clippy::cast_possible_truncation, reason = "rounded, as hits have it")]
            let score = score as f32;
            if score >= best.floor() && accept(row) {
                best.offer(row, score);
            }
        })?;
        Ok(Answer { hits: best.finish(), ideal })
    }

    /// Calls `each` with every document that a query finds, by ascending row: its row, its score, and
    /// the score that no document can reach, which is returned too. For those who rank by more than
    /// the text; time is that of a search.
    ///
    /// # Errors
    /// As [`Index::search`].
    #[inline]
    pub fn each_match(
        &mut self,
        query: &Query,
        among: Among<'_>,
        mut each: impl FnMut(u32, f64, f64),
    ) -> Result<f64> {
        if query.is_empty() {
            return Ok(0.0);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        let scored = self.score(&mut scratch, query, among);
        let ideal = scored.as_ref().map_or(0.0, |scored| scored.ideal);
        let allowed = scored.as_ref().ok().and_then(|scored| scored.allowed.as_deref());
        scratch.scores.drain(|row, score| {
            if allowed.is_none_or(|rows| bitmap::contains(rows, row)) {
                each(row, score, ideal);
            }
        });
        scratch.list.shrink();
        self.scratch = scratch;
        scored.map(|scored| scored.ideal)
    }

    /// Adds up the scores of all rows that match. On an error, some may have sums.
    #[inline(never)]
    fn score(&mut self, scratch: &mut Scratch, query: &Query, among: Among<'_>) -> Result<Scored> {
        let weights = match &query.boosts {
            None => Weights::All,
            Some(boosts) => self.fields.weights(boosts),
        };
        let table = match &weights {
            Weights::All => None,
            Weights::Some(_) => Some(self.counts.weights(|field| weights.of(field))),
        };
        let visible: Vec<u64> = match among {
            Among::Current => self.current().to_vec(),
            Among::Bitmap(rows) => rows.iter().zip(&self.live).map(|(a, b)| a & b).collect(),
        };
        if let Some(boosts) = &query.boosts {
            scratch.lengths.update(boosts, &weights, &self.fields, self.end());
        }
        let searched = scratch.lengths.words();
        let lengths = if query.boosts.is_some() { searched } else { &self.lengths };
        let collection = self.collection(&among, &visible, &weights, lengths);
        scratch.scores.resize(self.lengths.len());
        scratch.counts.resize(self.lengths.len());

        let mut allowed: Option<Vec<u64>> = None;
        let mut ideal = 0.0;
        let mut outcome = Ok(());
        for clause in &query.clauses {
            let view = super::matches::View {
                visible: &visible,
                weights: &weights,
                table: table.as_deref(),
            };
            outcome = self.list(&clause.elements, &view, &mut scratch.counts, &mut scratch.list);
            if outcome.is_err() {
                break;
            }
            if clause.sign != Sign::Any {
                restrict(&mut allowed, &scratch.list.rows, clause.sign, &visible);
            }
            if clause.sign != Sign::Excluded {
                let times = f64::from(clause.times);
                let Scratch { scores, list, lengths, .. } = scratch;
                let searched = lengths.words();
                let lengths = if query.boosts.is_some() { searched } else { &self.lengths };
                ideal += add_scores(scores, list, times, &collection, lengths);
            }
        }
        outcome.map(|()| Scored { allowed, ideal })
    }

    #[inline(never)]
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    fn collection(
        &self,
        among: &Among<'_>,
        visible: &[u64],
        weights: &Weights,
        lengths: &[u32],
    ) -> Collection {
        let (documents, words) = match (among, weights) {
            (Among::Current, Weights::All) => (self.current_rows as usize, self.current_words),
            (Among::Current, weights) => {
                (self.current_rows as usize, self.fields.current_words(weights))
            }
            (Among::Bitmap(_), _) => {
                let (mut documents, mut words) = (0, 0);
                for (word, &bits) in (0_u32..).zip(visible) {
                    let mut bits = bits;
                    while bits != 0 {
                        let row = word * 64 + bits.trailing_zeros();
                        documents += 1;
                        words += u64::from(lengths.get(row as usize).copied().unwrap_or(0));
                        bits &= bits - 1;
                    }
                }
                (documents, words)
            }
        };
        let documents = documents as f64;
        Collection { documents, average_length: words as f64 / documents.max(1.0) }
    }
}

/// Adds what a clause with these matches gives each row, and returns the most that it could.
/// `lengths` are each row's words in the searched fields.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn add_scores(
    scores: &mut Sums,
    list: &List,
    times: f64,
    collection: &Collection,
    lengths: &[u32],
) -> f64 {
    let frequency = list.rows.len() as f64;
    let rarity = (1.0 + (collection.documents - frequency + 0.5) / (frequency + 0.5)).ln();
    let most = times * rarity * (K1 + 1.0);
    // A match means that there is a word, so the average is not zero.
    let per_word = K1 * B / collection.average_length;
    for (&row, &count) in list.rows.iter().zip(&list.counts) {
        let length = lengths.get(row as usize).copied().unwrap_or(0);
        let held_back = K1 * (1.0 - B) + per_word * f64::from(length);
        scores.add(row, most * count / (count + held_back));
    }
    most
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
