//! The index: documents in, their words by term.

use super::arena::{Arena, Varints};
use super::bitmap;
use super::counts::{Count, Counts};
use super::fields::{Fields, Part, covers};
use super::search::Scratch;
use super::terms::Terms;
use super::words::Splitter;
use super::{NoMemory, walk};

/// Buffers of a document are given back if one made them longer than this.
const KEPT_WORDS: usize = 1 << 16;

/// An inverted index of documents, which are rows in the order of adding.
///
/// ```
/// use koru_delta_core::text::{Among, Fields, Index, Query};
///
/// let mut index = Index::new();
/// index.add(br#"{"title": "Caf\u00e9 society", "tags": ["jazz", "1920s"]}"#).unwrap();
/// index.add(br#""A cafe without jazz""#).unwrap();
///
/// let query = Query::parse("caf\u{e9} -without", Fields::All).unwrap();
/// let hits = index.search(&query, Among::Current, &|_| true, 10, &|a, b| a.cmp(&b)).unwrap().hits;
/// assert_eq!(hits.iter().map(|hit| hit.row).collect::<Vec<_>>(), [0]);
/// ```
#[derive(Default)]
pub struct Index {
    pub(super) terms: Terms,
    pub(super) counts: Counts,
    pub(super) fields: Fields,
    /// The streams of all terms.
    pub(super) postings: Arena,
    /// Words of each row.
    pub(super) lengths: Vec<u32>,
    /// Rows that are not erased.
    pub(super) live: Vec<u64>,
    current: Vec<u64>,
    pub(super) current_rows: u32,
    pub(super) current_words: u64,
    /// The only path whose strings it has; `None` for all.
    only: Option<&'static str>,
    collector: Collector,
    pub(super) scratch: Scratch,
}

impl Index {
    /// An index of no documents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An index of no documents which will have the strings of one path alone, and of those below it:
    /// to it they are all that a document says.
    #[must_use]
    pub fn of(path: &'static str) -> Self {
        Self { only: Some(path), ..Self::default() }
    }

    /// One past the last row.
    #[must_use]
    pub fn end(&self) -> u32 {
        u32::try_from(self.lengths.len()).unwrap_or(u32::MAX)
    }

    /// The rows that are neither retired nor erased, as a bitmap.
    #[must_use]
    pub fn current(&self) -> &[u64] {
        &self.current
    }

    /// How many rows are neither retired nor erased.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.current.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Bytes of memory taken, give or take what the allocator adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.terms.bytes()
            + self.counts.bytes()
            + self.fields.bytes()
            + self.postings.bytes()
            + self.lengths.capacity() * size_of::<u32>()
            + (self.live.capacity() + self.current.capacity()) * size_of::<u64>()
            + self.collector.bytes()
            + self.scratch.bytes()
    }

    /// Adds a document, the bytes of a validated JSON value, as the next row. Every string in it that
    /// is not a member's name is text of the field whose dotted path leads there.
    ///
    /// Time is linear in the text, but for the logarithm of sorting a document's words.
    ///
    /// # Errors
    /// When memory is refused. The document is not found then; its row may be used up, as
    /// [`Self::end`] tells, and counts as erased.
    pub fn add(&mut self, value: &[u8]) -> Result<u32, NoMemory> {
        let row = self.end();
        let rows = self.lengths.len() + 1;
        if row == u32::MAX {
            return Err(NoMemory);
        }
        self.lengths.try_reserve(1)?;
        self.fields.reserve_row()?;
        bitmap::resize(&mut self.live, rows)?;
        bitmap::resize(&mut self.current, rows)?;

        let Self { collector, terms, fields, only, .. } = self;
        let written = collector.collect(terms, fields, (value, *only));
        let written = written.and_then(|()| self.write(row));
        let parts = if written.is_ok() { self.collector.parts.as_slice() } else { &[] };
        let words = parts.iter().map(|part| part.words).sum();
        let pushed = self.fields.push(parts);
        self.lengths.push(words);
        self.collector.clear();
        written.and(pushed)?;

        bitmap::set(&mut self.live, row, true);
        bitmap::set(&mut self.current, row, true);
        self.current_rows += 1;
        self.current_words += u64::from(words);
        self.fields.count_current(row, true);
        Ok(row)
    }

    /// Takes a row out of the current ones: it was overwritten or deleted. Searches with a bitmap find
    /// it as before. Without effect if it is not current. Time is linear in the document's fields.
    pub fn retire(&mut self, row: u32) {
        if bitmap::contains(&self.current, row) {
            bitmap::set(&mut self.current, row, false);
            let words = self.lengths.get(row as usize).copied().unwrap_or(0);
            self.current_rows -= 1;
            self.current_words -= u64::from(words);
            self.fields.count_current(row, false);
        }
    }

    /// Takes a row away for good: no search finds or counts it again. Its words leave memory with the
    /// next [`Self::compact`].
    pub fn erase(&mut self, row: u32) {
        self.retire(row);
        bitmap::set(&mut self.live, row, false);
    }

    /// Writes the index anew without what was erased: postings, words and paths that no other row
    /// has. What was there is overwritten with zeros. Rows keep their numbers. Linear in the index, and
    /// until it ends, memory holds both.
    ///
    /// # Errors
    /// When memory is refused; the index is as it was.
    pub fn compact(&mut self) -> Result<(), NoMemory> {
        let is_live = |row| bitmap::contains(&self.live, row);
        let mut fields = self.fields.compacted(is_live)?;
        let (mut terms, mut postings) = (Terms::default(), Arena::default());
        for number in (0..).take(self.terms.len()) {
            self.copy_term(number, &mut terms, &mut postings)?;
        }
        core::mem::swap(&mut self.fields, &mut fields);
        core::mem::swap(&mut self.terms, &mut terms);
        core::mem::swap(&mut self.postings, &mut postings);
        terms.wipe();
        postings.wipe();
        fields.wipe();
        for (row, length) in (0..).zip(&mut self.lengths) {
            if !bitmap::contains(&self.live, row) {
                *length = 0;
            }
        }
        self.collector = Collector::default();
        self.scratch = Scratch::default();
        Ok(())
    }

    /// Copies what live rows have of a term, if any does.
    fn copy_term(
        &mut self,
        number: u32,
        terms: &mut Terms,
        postings: &mut Arena,
    ) -> Result<(), NoMemory> {
        let Some(&old) = self.terms.get(number) else { return Ok(()) };
        let (mut rows, mut positions) =
            (self.postings.read(old.rows), self.postings.read(old.positions));
        let (mut row, mut copy) = (0, None);
        let mut counts: Vec<Count> = Vec::new();
        while let Some(distance) = rows.varint() {
            row += distance;
            counts.clear();
            self.counts.read(&mut rows, |count| counts.push(count));
            let total: u32 = counts.iter().map(|count| count.1).sum();
            if !bitmap::contains(&self.live, row) {
                (0..total).for_each(|_| _ = positions.varint());
                continue;
            }
            let new = match copy {
                Some(new) => new,
                None => *copy.insert(terms.intern(self.terms.text(number))?),
            };
            let Some(term) = terms.get_mut(new) else { continue };
            self.counts.write(postings, &mut term.rows, row - term.last_row, &counts)?;
            let length = self.lengths.get(row as usize).copied().unwrap_or(0);
            term.count(postings, row, total, length)?;
            for _ in 0..total {
                let distance = positions.varint().unwrap_or(0);
                postings.append(&mut term.positions, Varints::of(&[distance]).bytes())?;
            }
        }
        Ok(())
    }

    /// Writes the postings of the document that was collected.
    fn write(&mut self, row: u32) -> Result<(), NoMemory> {
        let Self { terms, counts, postings, collector, .. } = self;
        let Collector { parts, starts, keys, counted, .. } = collector;
        let length = parts.iter().map(|part| part.words).sum();
        let of_one_term = |a: &u64, b: &u64| a >> 32 == b >> 32;
        for group in keys.chunk_by(of_one_term) {
            let Some(&first) = group.first() else { continue };
            let Some(term) = terms.get_mut(high(first)) else { continue };
            counted.clear();
            for &key in group {
                let part = starts.partition_point(|&start| start <= low(key)).saturating_sub(1);
                let field = parts.get(part).map_or(0, |part| part.field);
                match counted.last_mut() {
                    Some((last, count)) if *last == field => *count += 1,
                    _ => counted.push((field, 1)),
                }
            }
            let marks = (postings.mark(term.rows), postings.mark(term.positions));
            let distance = row - term.last_row;
            let mut written = counts.write(postings, &mut term.rows, distance, counted);
            let mut last = 0;
            for &key in group {
                let bytes = Varints::of(&[low(key) - last]);
                written =
                    written.and_then(|()| postings.append(&mut term.positions, bytes.bytes()));
                last = low(key);
            }
            let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
            written = written.and_then(|()| term.count(postings, row, count, length));
            if let Err(error) = written {
                // Both streams of a term have the same rows, always.
                term.rows = postings.cut(marks.0);
                term.positions = postings.cut(marks.1);
                return Err(error);
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn high(key: u64) -> u32 {
    u32::try_from(key >> 32).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
#[inline(always)]
fn low(key: u64) -> u32 {
    key as u32
}

/// The words of the document under way.
#[derive(Default)]
struct Collector {
    splitter: Splitter,
    /// Each word: its term, its field, and its place in that.
    words: Vec<(u32, u32, u32)>,
    parts: Vec<Part>,
    /// For each field of the index, its part's number plus one; 0 if it has none.
    part_of_field: Vec<u32>,
    /// The first position of each part.
    starts: Vec<u32>,
    /// Term and position of each word, ascending.
    keys: Vec<u64>,
    counted: Vec<Count>,
}

impl Collector {
    fn bytes(&self) -> usize {
        self.words.capacity() * 12 + (self.keys.capacity() + self.part_of_field.capacity()) * 8
    }

    fn collect(
        &mut self,
        terms: &mut Terms,
        fields: &mut Fields,
        (value, only): (&[u8], Option<&str>),
    ) -> Result<(), NoMemory> {
        let mut outcome = Ok(());
        walk::strings(value, &mut |path, text| {
            if outcome.is_ok() && only.is_none_or(|only| covers(only, path)) {
                outcome = self.take(terms, fields, path, text);
            }
        });
        outcome?;
        self.lay_out()?;
        self.keys.try_reserve(self.words.len())?;
        for &(term, field, place) in &self.words {
            let part = self.part_of_field.get(field as usize).copied().unwrap_or(0);
            let start = self.starts.get(part as usize).copied().unwrap_or(0);
            self.keys.push(u64::from(term) << 32 | u64::from(start + place));
        }
        self.keys.sort_unstable();
        Ok(())
    }

    /// Brings the parts into the order of fields, in which their positions are, so that equal
    /// documents are counted in one order. From here on, fields have their part's number itself.
    fn lay_out(&mut self) -> Result<(), NoMemory> {
        let mut order: Vec<u64> = Vec::new();
        order.try_reserve_exact(self.parts.len())?;
        order.extend((0_u64..).zip(&self.parts).map(|(at, part)| u64::from(part.field) << 32 | at));
        order.sort_unstable();
        let mut parts = Vec::new();
        parts.try_reserve_exact(self.parts.len())?;
        parts.extend(order.iter().filter_map(|&key| self.parts.get(low(key) as usize)).copied());
        self.parts = parts;
        self.starts.try_reserve(self.parts.len())?;
        let mut start = 0;
        for (number, part) in (0..).zip(&self.parts) {
            if let Some(place) = self.part_of_field.get_mut(part.field as usize) {
                *place = number;
            }
            self.starts.push(start);
            start += part.span + 1;
        }
        Ok(())
    }

    /// Takes the words of one string.
    fn take(
        &mut self,
        terms: &mut Terms,
        fields: &mut Fields,
        path: &str,
        text: &str,
    ) -> Result<(), NoMemory> {
        let field = fields.intern(path)?;
        let known = self.part_of_field.len();
        if field as usize >= known {
            self.part_of_field.try_reserve(field as usize + 1 - known)?;
            self.part_of_field.resize(field as usize + 1, 0);
        }
        let Some(place) = self.part_of_field.get_mut(field as usize) else { return Ok(()) };
        if *place == 0 {
            self.parts.try_reserve(1)?;
            self.parts.push(Part { field, ..Part::default() });
            *place = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        }
        let number = *place - 1;
        let Some(part) = self.parts.get_mut(number as usize) else { return Ok(()) };
        part.span += u32::from(part.span > 0);
        let (words, mut outcome) = (&mut self.words, Ok(()));
        self.splitter.split(text, &mut |token| {
            if outcome.is_err() {
                return;
            }
            outcome = terms.intern(token.text.as_bytes()).and_then(|term| {
                words.try_reserve(1)?;
                words.push((term, field, part.span));
                part.words += 1;
                part.span += 1;
                Ok(())
            });
        });
        outcome
    }

    fn clear(&mut self) {
        for part in &self.parts {
            if let Some(place) = self.part_of_field.get_mut(part.field as usize) {
                *place = 0;
            }
        }
        if self.words.capacity() > KEPT_WORDS {
            self.words = Vec::new();
            self.keys = Vec::new();
        }
        self.words.clear();
        self.parts.clear();
        self.starts.clear();
        self.keys.clear();
    }
}
