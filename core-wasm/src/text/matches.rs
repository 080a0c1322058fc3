//! Which rows a clause matches, and how often.

use super::bitmap;
use super::counts::Counts;
use super::fields::Weights;
use super::index::Index;
use super::query::{Element, Way};
use crate::error::{Error, Kind, Result};
use crate::limits::MAX_PREFIX_WORDS;

/// Rows of a block of sums.
const BLOCK_ROWS: usize = 1024;

/// Rows, ascending, and for each how often, by the weights of fields; always more than 0.
#[derive(Default)]
pub(super) struct List {
    pub(super) rows: Vec<u32>,
    pub(super) counts: Vec<f64>,
}

impl List {
    #[inline]
    fn push(&mut self, row: u32, count: f64) {
        self.rows.push(row);
        self.counts.push(count);
    }
}

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

/// What a search sees.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// The rows.
    pub(super) visible: &'a [u64],
    /// The fields.
    pub(super) weights: &'a Weights,
    /// The weights of [`Counts`]; nothing where every field weighs 1.
    pub(super) table: Option<&'a [f64]>,
}

/// The terms that an element of a phrase stands for.
pub(super) struct Place {
    offset: u32,
    pub(super) terms: Vec<u32>,
    /// How many rows they have at most.
    row_count: u64,
}

impl Index {
    /// The terms that the elements of a clause stand for.
    ///
    /// # Errors
    /// `Invalid` if a prefix stands for too many.
    pub(super) fn places(&mut self, elements: &[Element]) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for element in elements {
            let terms = self.terms_of(element)?;
            let row_count = |&term: &u32| self.terms.get(term).map_or(0, |term| term.row_count);
            let row_count = terms.iter().map(row_count).map(u64::from).sum();
            places.push(Place { offset: element.offset, terms, row_count });
        }
        Ok(places)
    }

    /// Fills `list` with what a clause of these elements matches.
    #[inline(never)]
    pub(super) fn list(
        &self,
        places: Vec<Place>,
        view: &View<'_>,
        sums: &mut Sums,
        list: &mut List,
    ) {
        match places.as_slice() {
            [Place { terms, .. }] => match terms.as_slice() {
                [] => {}
                &[term] => self.rows_of(term, view, |row, count| list.push(row, count)),
                terms => {
                    for &term in terms {
                        self.rows_of(term, view, |row, count| sums.add(row, count));
                    }
                    sums.drain(|row, count| list.push(row, count));
                }
            },
            _ => self.phrase(places, view, list),
        }
    }

    #[inline(never)]
    fn terms_of(&mut self, element: &Element) -> Result<Vec<u32>> {
        let text = element.text.as_bytes();
        match element.way {
            Way::Whole => Ok(self.terms.find(text).into_iter().collect()),
            // No more than there are characters that can follow.
            Way::Character => Ok(self.terms.with_prefix(text, usize::MAX).unwrap_or_default()),
            Way::Prefix => self.terms.with_prefix(text, MAX_PREFIX_WORDS).ok_or_else(|| {
                let message = format!(
                    "{}*: more than {MAX_PREFIX_WORDS} words begin with that",
                    element.text
                );
                Error::new(Kind::Invalid, message, "use a longer prefix")
            }),
        }
    }

    /// Calls `each` with the visible rows of a term, ascending, and its weighted count there.
    #[inline]
    pub(super) fn rows_of(&self, term: u32, view: &View<'_>, mut each: impl FnMut(u32, f64)) {
        let Some(term) = self.terms.get(term) else { return };
        let table = view.table.unwrap_or(self.counts.totals());
        let mut reader = self.postings.read(term.rows);
        let mut row = 0;
        while let Some(distance) = reader.varint() {
            row += distance;
            let weight = |field| view.weights.of(field);
            let Some(count) = Counts::read_weight(&mut reader, table, &weight) else { return };
            if count > 0.0 && bitmap::contains(view.visible, row) {
                each(row, count);
            }
        }
    }

    /// Calls `each` with the visible occurrences of a term, ascending: the row in the upper half, the
    /// position in the lower.
    #[inline(never)]
    fn occurrences(&self, term: u32, visible: &[u64], each: &mut dyn FnMut(u64)) {
        let Some(term) = self.terms.get(term) else { return };
        let mut rows = self.postings.read(term.rows);
        let mut positions = self.postings.read(term.positions);
        let mut row = 0;
        while let Some(distance) = rows.varint() {
            row += distance;
            let total = Counts::read_weight(&mut rows, self.counts.totals(), &|_| 1.0);
            #[expect(clippy::cast_possible_truncation, reason = "a sum of counts")]
            #[expect(clippy::cast_sign_loss, reason = "a sum of counts")]
            let total = total.unwrap_or(0.0) as u32;
            let is_visible = bitmap::contains(visible, row);
            let mut position = 0;
            for _ in 0..total {
                position += u64::from(positions.varint().unwrap_or(0));
                if is_visible {
                    each(u64::from(row) << 32 | position);
                }
            }
        }
    }

    /// Where phrases begin: the occurrences of the rarest word, of which each other word leaves those
    /// that have it at its place.
    #[inline(never)]
    fn phrase(&self, mut places: Vec<Place>, view: &View<'_>, list: &mut List) {
        let rarest = (0..).zip(&places).min_by_key(|(_, place)| place.row_count);
        let rarest = rarest.map_or(0, |(at, _)| at);
        places.rotate_left(rarest);
        let mut starts: Option<Vec<u64>> = None;
        for place in &places {
            let mut found = Vec::new();
            let mut keep = Keep { starts: starts.as_deref(), at: 0, found: &mut found };
            let offset = u64::from(place.offset);
            let start = |key: u64| (key & u64::from(u32::MAX) >= offset).then(|| key - offset);
            if let &[term] = place.terms.as_slice() {
                self.occurrences(term, view.visible, &mut |key| {
                    start(key).into_iter().for_each(|key| keep.offer(key));
                });
            } else {
                let mut keys = Vec::new();
                for &term in &place.terms {
                    self.occurrences(term, view.visible, &mut |key| keys.extend(start(key)));
                }
                keys.sort_unstable();
                keys.into_iter().for_each(|key| keep.offer(key));
            }
            if found.is_empty() {
                return;
            }
            starts = Some(found);
        }
        self.count_starts(&starts.unwrap_or_default(), view, list);
    }

    #[inline(never)]
    fn count_starts(&self, starts: &[u64], view: &View<'_>, list: &mut List) {
        for of_row in starts.chunk_by(|a, b| a >> 32 == b >> 32) {
            let Some(row) = of_row.first().and_then(|key| u32::try_from(key >> 32).ok()) else {
                continue;
            };
            let mut count = 0.0;
            if matches!(view.weights, Weights::All) {
                count = of_row.iter().fold(0.0, |count, _| count + 1.0);
            } else {
                let mut rest = of_row;
                let mut end = 0;
                for part in self.fields.parts(row) {
                    end += u64::from(part.span) + 1;
                    let inside = rest.partition_point(|key| key & u64::from(u32::MAX) < end);
                    let (now, later) = rest.split_at_checked(inside).unwrap_or((rest, &[]));
                    let weight = view.weights.of(part.field);
                    count += weight * now.iter().fold(0.0, |count, _| count + 1.0);
                    rest = later;
                }
            }
            if count > 0.0 {
                list.push(row, count);
            }
        }
    }
}

/// Keeps of ascending keys those that are among the starts in hand, or all if there are none yet.
struct Keep<'a> {
    starts: Option<&'a [u64]>,
    at: usize,
    found: &'a mut Vec<u64>,
}

impl Keep<'_> {
    #[inline]
    fn offer(&mut self, key: u64) {
        let Some(starts) = self.starts else {
            self.found.push(key);
            return;
        };
        while let Some(&start) = starts.get(self.at) {
            if start > key {
                return;
            }
            self.at += 1;
            if start == key {
                self.found.push(key);
                return;
            }
        }
    }
}
