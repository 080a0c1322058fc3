//! A clause on its way through the rows: what it adds to scores, and what it can add at most.

use crate::float::larger;

use super::Index;
use super::arena::{Reader, Spot};
use super::blocks::Block;
use super::matches::List;
use super::measure::Measure;
use super::window::Window;

/// Behind the last row.
pub(super) const END: u32 = u32::MAX;

/// A clause's matches, ascending, and their parts of the score.
pub(super) struct Cursor<'a> {
    /// What no part is over.
    pub(super) bound: f64,
    source: Source<'a>,
}

enum Source<'a> {
    /// A word: its postings are read when they matter.
    Word(Postings<'a>),
    /// Anything else: rows and their parts.
    Listed { rows: Vec<u32>, parts: Vec<f64>, at: usize },
}

impl<'a> Cursor<'a> {
    /// Of matches that are listed with how often.
    pub(super) fn listed(list: List, measure: Measure, lengths: &[u32]) -> Self {
        let List { rows, counts: mut parts } = list;
        let mut bound = 0.0_f64;
        for (part, &row) in parts.iter_mut().zip(&rows) {
            let length = lengths.get(row as usize).copied().unwrap_or(0);
            *part = measure.part(*part, length);
            bound = larger(bound, *part);
        }
        Self { bound, source: Source::Listed { rows, parts, at: 0 } }
    }

    /// Of a term, where every field weighs 1.
    pub(super) fn word(index: &'a Index, term: u32, measure: Measure) -> Self {
        let postings = Postings::new(index, term, measure);
        let bound = postings.blocks.iter().fold(0.0_f64, |bound, block| larger(bound, block.bound));
        Self { bound, source: Source::Word(postings) }
    }

    /// Goes back to where it was at first.
    pub(super) fn restart(&mut self) {
        match &mut self.source {
            Source::Word(postings) => postings.restart(),
            Source::Listed { at, .. } => *at = 0,
        }
    }

    /// The next row from `start` on, or one before it; [`END`] behind the last.
    pub(super) fn next_row(&self, start: u32) -> u32 {
        match &self.source {
            Source::Word(postings) if postings.block >= postings.blocks.len() => END,
            Source::Word(postings) => postings.row.max(start),
            Source::Listed { rows, at, .. } => rows.get(*at).map_or(END, |&row| row.max(start)),
        }
    }

    /// What no part is over of the rows from `start` to before `end`. Starts never go back.
    pub(super) fn bound_within(&mut self, start: u32, end: u32) -> f64 {
        match &mut self.source {
            Source::Word(postings) => postings.bound_within(start, end),
            Source::Listed { rows, at, .. } => {
                skip(rows, at, start);
                if rows.get(*at).is_some_and(|&row| row < end) { self.bound } else { 0.0 }
            }
        }
    }

    /// Adds the parts of a window's rows.
    pub(super) fn add(&mut self, window: &mut Window) {
        match &mut self.source {
            Source::Word(postings) => postings.add(window),
            Source::Listed { rows, parts, at } => {
                skip(rows, at, window.start);
                while let (Some(&row), Some(&part)) = (rows.get(*at), parts.get(*at)) {
                    if row >= window.end() {
                        break;
                    }
                    window.add(row, part);
                    *at += 1;
                }
            }
        }
    }

    /// The part of a row, 0 if it is none of the matches. Rows never go back.
    pub(super) fn part_of(&mut self, row: u32) -> f64 {
        match &mut self.source {
            Source::Word(postings) => postings.part_of(row),
            Source::Listed { rows, parts, at } => {
                skip(rows, at, row);
                let part = if rows.get(*at) == Some(&row) { parts.get(*at) } else { None };
                part.copied().unwrap_or(0.0)
            }
        }
    }
}

/// Passes over the rows before one: by steps that double, then halve.
fn skip(rows: &[u32], at: &mut usize, row: u32) {
    if rows.get(*at).is_none_or(|&next| next >= row) {
        return;
    }
    let mut step = 1;
    while rows.get(*at + step).is_some_and(|&next| next < row) {
        *at += step;
        step *= 2;
    }
    let ahead = rows.get(*at..rows.len().min(*at + step + 1)).unwrap_or_default();
    *at += ahead.partition_point(|&next| next < row);
}

/// A block, as a search needs it.
struct Stretch {
    /// The last row before it; 0 for the first.
    base: u32,
    last_row: u32,
    start: Option<Spot>,
    bound: f64,
}

/// A term's postings, of which one is in hand.
struct Postings<'a> {
    index: &'a Index,
    measure: Measure,
    first: Reader<'a>,
    blocks: Vec<Stretch>,
    /// The block that the next row that matters may be in.
    block: usize,
    reader: Reader<'a>,
    /// The row in hand, or [`END`], and how often the term is there.
    row: u32,
    count: f64,
}

impl<'a> Postings<'a> {
    fn new(index: &'a Index, number: u32, measure: Measure) -> Self {
        let (mut blocks, mut reader) = (Vec::new(), index.postings.read_nothing());
        if let Some(term) = index.terms.get(number) {
            let score = |count: f64, length: f64| measure.part_of_numbers(count, length);
            let (mut base, mut start) = (0, None);
            for Block { last_row, end, extremes } in Block::all(&index.postings, term.blocks) {
                blocks.push(Stretch { base, last_row, start, bound: extremes.bound(score) });
                (base, start) = (last_row, Some(end));
            }
            let bound = term.open_block.bound(score);
            blocks.push(Stretch { base, last_row: term.last_row, start, bound });
            reader = index.postings.read(term.rows);
        }
        let first = reader.clone();
        let mut new = Self { index, measure, first, blocks, block: 0, reader, row: 0, count: 0.0 };
        new.advance();
        new
    }

    fn restart(&mut self) {
        self.reader = self.first.clone();
        (self.block, self.row, self.count) = (0, 0, 0.0);
        self.advance();
    }

    /// Takes the next posting in hand.
    #[inline(always)]
    fn advance(&mut self) {
        let totals = self.index.counts.totals();
        let next = self.reader.varint().zip(super::counts::Counts::read_weight(
            &mut self.reader,
            totals,
            &|_| 1.0,
        ));
        match next {
            Some((distance, count)) => {
                self.row += distance;
                self.count = count;
            }
            None => self.row = END,
        }
    }

    /// Goes on to the block with the first row from `row` on.
    #[inline(always)]
    fn skip_blocks(&mut self, row: u32) {
        while self.blocks.get(self.block).is_some_and(|block| block.last_row < row) {
            self.block += 1;
        }
    }

    /// Takes the first posting from `row` on in hand.
    #[inline(always)]
    fn seek(&mut self, row: u32) {
        if self.row >= row {
            return;
        }
        self.skip_blocks(row);
        let Some(block) = self.blocks.get(self.block) else {
            self.row = END;
            return;
        };
        if let Some(start) = block.start
            && block.base > self.row
        {
            self.reader = self.index.postings.read_from(start);
            self.row = block.base;
        }
        while self.row < row {
            self.advance();
        }
    }

    fn bound_within(&mut self, start: u32, end: u32) -> f64 {
        if self.row >= end {
            return 0.0;
        }
        self.skip_blocks(start);
        let ahead = self.blocks.get(self.block..).unwrap_or_default();
        let within = ahead.iter().take_while(|block| block.base < end);
        within.fold(0.0, |bound, block| larger(bound, block.bound))
    }

    #[inline(never)]
    fn add(&mut self, window: &mut Window) {
        self.seek(window.start);
        let end = window.end();
        while self.row < end {
            window.add(self.row, self.part());
            self.advance();
        }
    }

    fn part_of(&mut self, row: u32) -> f64 {
        self.seek(row);
        if self.row == row { self.part() } else { 0.0 }
    }

    /// The part of the posting in hand.
    #[inline(always)]
    fn part(&self) -> f64 {
        let length = self.index.lengths.get(self.row as usize).copied().unwrap_or(0);
        self.measure.part(self.count, length)
    }
}
