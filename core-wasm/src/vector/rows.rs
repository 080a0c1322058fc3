//! The rows of one set of vectors: one dimension, one metric, one model.
//!
//! # Theory of operation
//!
//! Rows live in chunks of about a mebibyte of float32, so growth allocates one more chunk and never
//! copies the matrix. (Only the first chunk starts small and doubles, so that a set of ten vectors
//! takes kilobytes.) A row is a `u32`; it keeps its number and its address until it is erased, and
//! its number is then given to a later row.
//!
//! Adding is in three steps, so that a host can copy a matrix straight to where it will live:
//! [`Rows::reserve`] finds room and fails cleanly when memory is refused, [`Rows::segment_mut`]
//! gives the places to fill, and [`Rows::commit`] checks every row, derives its codes and makes it
//! visible, or takes none. Between the steps no search sees the rows, and no other row may be added.
//!
//! A row is *live* until it is erased, and *current* until it is retired: a vector that was
//! overwritten is retired, is found by searches that name it (time travel), and not by others.
//!
//! Deriving codes takes 2 us a row of 384 dimensions. Opening a large database can put it off:
//! [`Codes::Later`] makes rows visible at once, searches score them from float32, and
//! [`Rows::derive_codes`] catches up in slices whenever there is time. Until then codes have no memory, but
//! [`owed_bytes`](super::owed_bytes) counts it, so that nothing else is given what they need.

mod adding;
mod coding;

use std::collections::TryReserveError;

use crate::float::{larger, smaller};

use super::chunk::{Chunk, Facts, Shape};
use super::rotation::Rotation;
use super::{BadVector, MAX_DIM, Metric, bitmap, kernels, lead};

/// The float32 bytes that a chunk holds at most, as long as that is [`MIN_CHUNK_ROWS`] rows.
const CHUNK_BYTES: usize = 1 << 20;
/// The rows that the first chunk starts with, and the fewest that a chunk has.
const MIN_CHUNK_ROWS: usize = 16;
/// The most rows a chunk has, however short they are.
const MAX_CHUNK_ROWS: usize = 4_096;

/// Norms within this factor of each other leave one-bit codes usable under dot and l2.
const EVEN_NORMS: f32 = 1.02;

/// When a row's codes are derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// On commit.
    Now,
    /// By [`Rows::derive_codes`].
    Later,
}

/// Consecutive rows in one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The first row's number.
    pub first: u32,
    /// How many rows.
    pub rows: u32,
}

/// Vectors of one dimension under one metric, and the codes that searches use.
pub struct Rows {
    metric: Metric,
    shape: Shape,
    /// Rows of a full chunk, a power of two, as its logarithm.
    chunk_shift: u32,
    chunks: Vec<Chunk>,
    /// Row numbers below this have been given out.
    end: u32,
    /// Erased or cancelled rows, to be given out again.
    free: Vec<u32>,
    live: Vec<u64>,
    current: Vec<u64>,
    /// Live rows whose codes are derived.
    coded: Vec<u64>,
    coded_count: usize,
    /// No word of `live` before this one has rows without codes.
    coded_from: usize,
    live_count: usize,
    current_count: usize,
    /// The range of the norms of all rows ever committed, for the one-bit codes.
    norms: (f32, f32),
    rotation: Rotation,
    work: Vec<f32>,
}

impl Rows {
    /// An empty set. `dim` is brought into 1 to [`MAX_DIM`].
    #[must_use]
    pub fn new(metric: Metric, dim: usize) -> Self {
        let dim = dim.clamp(1, MAX_DIM);
        let rows = (CHUNK_BYTES / (dim * size_of::<f32>())).clamp(MIN_CHUNK_ROWS, MAX_CHUNK_ROWS);
        Self {
            metric,
            shape: Shape { dim, words: dim.div_ceil(128) * 2, lead: lead::bytes_of(dim) },
            chunk_shift: rows.ilog2(),
            chunks: Vec::new(),
            end: 0,
            free: Vec::new(),
            live: Vec::new(),
            current: Vec::new(),
            coded: Vec::new(),
            coded_count: 0,
            coded_from: 0,
            live_count: 0,
            current_count: 0,
            norms: (f32::INFINITY, 0.0),
            rotation: Rotation::new(dim),
            work: Vec::new(),
        }
    }

    /// Finds room for `rows` rows.
    ///
    /// # Errors
    ///
    /// When memory is refused. The set is as it was, but for room that a later call can use.
    pub fn reserve(&mut self, rows: u32) -> Result<Vec<Segment>, TryReserveError> {
        let fresh = rows as usize - self.free.len().min(rows as usize);
        let end = self.end as usize + fresh;
        self.make_room(end)?;
        bitmap::resize(&mut self.live, end)?;
        bitmap::resize(&mut self.current, end)?;
        bitmap::resize(&mut self.coded, end)?;
        // Room in `free` for every row, so that erasing never allocates.
        self.free.try_reserve(end - self.free.len().min(end))?;
        let mut taken = Vec::new();
        taken.try_reserve_exact(rows as usize)?;
        let reused = rows as usize - fresh;
        taken.extend(self.free.drain(self.free.len() - reused..));
        taken.sort_unstable();
        #[expect(clippy::cast_possible_truncation, reason = "at most `rows`, a u32")]
        let fresh = fresh as u32;
        taken.extend(self.end..self.end + fresh);
        self.make_ready(self.end, fresh);
        self.end += fresh;
        Ok(self.segments_of(&taken))
    }

    /// Makes rows addressable that were never given out before.
    fn make_ready(&mut self, first: u32, rows: u32) {
        let mask = (1 << self.chunk_shift) - 1;
        let (mut row, end) = (first, first + rows);
        while row < end {
            let next = end.min((row | mask) + 1);
            let (chunk, last) = self.place(next - 1);
            if let Some(chunk) = self.chunks.get_mut(chunk) {
                chunk.ready(last + 1);
            }
            row = next;
        }
    }

    fn segments_of(&self, rows: &[u32]) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for &row in rows {
            match segments.last_mut() {
                Some(last)
                    if last.first + last.rows == row
                        && last.first >> self.chunk_shift == row >> self.chunk_shift =>
                {
                    last.rows += 1;
                }
                _ => segments.push(Segment { first: row, rows: 1 }),
            }
        }
        segments
    }

    fn make_room(&mut self, end: usize) -> Result<(), TryReserveError> {
        let full = 1 << self.chunk_shift;
        if let [only] = self.chunks.as_mut_slice()
            && only.capacity() < end.min(full)
        {
            *only = only.grown(end.next_power_of_two().clamp(MIN_CHUNK_ROWS, full))?;
        }
        while self.chunks.len() << self.chunk_shift < end {
            let first = self.chunks.is_empty() && end < full;
            let rows = if first { end.next_power_of_two().max(MIN_CHUNK_ROWS) } else { full };
            self.chunks.try_reserve(1)?;
            self.chunks.push(Chunk::new(rows.min(full), self.shape)?);
            if first {
                break;
            }
        }
        Ok(())
    }

    /// Where the values of a reserved segment go: `rows * dim` floats, row after row.
    pub fn segment_mut(&mut self, segment: Segment) -> &mut [f32] {
        let (chunk, row) = self.place(segment.first);
        match self.chunks.get_mut(chunk) {
            Some(chunk) => chunk.floats_mut(row, segment.rows as usize),
            None => &mut [],
        }
    }

    /// Checks the rows of a reservation, derives their codes and makes them live and current.
    ///
    /// # Errors
    ///
    /// The first bad row, counted from the start of the reservation. Nothing is added: the whole
    /// reservation is [cancelled](Self::cancel).
    pub fn commit(&mut self, segments: &[Segment], codes: Codes) -> Result<(), (usize, BadVector)> {
        let rows = segments.iter().flat_map(|s| s.first..s.first + s.rows);
        for (index, row) in rows.clone().enumerate() {
            if let Err(bad) = self.check(row, codes) {
                self.cancel(segments);
                return Err((index, bad));
            }
        }
        for row in rows {
            self.show(row, codes);
        }
        Ok(())
    }

    /// Makes a row that was checked live and current.
    fn show(&mut self, row: u32, codes: Codes) {
        let norm = self.facts(row).norm;
        self.norms = (smaller(self.norms.0, norm), larger(self.norms.1, norm));
        bitmap::set(&mut self.live, row, true);
        bitmap::set(&mut self.current, row, true);
        self.live_count += 1;
        self.current_count += 1;
        if codes == Codes::Now {
            bitmap::set(&mut self.coded, row, true);
            self.coded_count += 1;
        } else {
            self.coded_from = self.coded_from.min(row as usize / 64);
        }
    }

    /// Gives a reservation back.
    pub fn cancel(&mut self, segments: &[Segment]) {
        for row in segments.iter().flat_map(|s| s.first..s.first + s.rows) {
            self.wipe(row);
        }
    }

    /// The row was overwritten or deleted: only searches that name it find it from now on.
    pub fn retire(&mut self, row: u32) {
        if bitmap::contains(&self.current, row) {
            bitmap::set(&mut self.current, row, false);
            self.current_count -= 1;
        }
    }

    /// The row is gone for good: its memory is wiped, and its number may be given out again.
    pub fn erase(&mut self, row: u32) {
        if self.is_live(row) {
            self.retire(row);
            bitmap::set(&mut self.live, row, false);
            self.live_count -= 1;
            if bitmap::contains(&self.coded, row) {
                bitmap::set(&mut self.coded, row, false);
                self.coded_count -= 1;
            }
            self.wipe(row);
        }
    }

    fn wipe(&mut self, row: u32) {
        let (chunk, at) = self.place(row);
        if let Some(chunk) = self.chunks.get_mut(chunk) {
            chunk.wipe(at);
            self.free.push(row);
        }
    }

    /// The rotation that one-bit codes are made with, and their length in words.
    pub(super) fn rotation(&self) -> (&Rotation, usize) {
        (&self.rotation, self.shape.words)
    }

    #[inline(always)]
    fn place(&self, row: u32) -> (usize, usize) {
        ((row >> self.chunk_shift) as usize, row as usize & ((1 << self.chunk_shift) - 1))
    }

    /// The row's vector, exactly as it was given; empty if there is no such row.
    #[must_use]
    #[inline(always)]
    pub fn vector(&self, row: u32) -> &[f32] {
        let (chunk, row) = self.place(row);
        self.chunks.get(chunk).map_or(&[], |chunk| chunk.floats(row))
    }

    #[inline(always)]
    pub(super) fn codes(&self, row: u32) -> &[i8] {
        let (chunk, row) = self.place(row);
        self.chunks.get(chunk).map_or(&[], |chunk| chunk.codes(row))
    }

    #[inline(always)]
    pub(super) fn facts(&self, row: u32) -> Facts {
        let (chunk, row) = self.place(row);
        self.chunks.get(chunk).map_or_else(Facts::default, |chunk| chunk.facts(row))
    }

    /// Adds lead distances of the rows from 0 on, as far as `sums` reaches: whole blocks of rows. Those of
    /// rows without codes mean nothing.
    pub(super) fn add_lead_distances(&self, tables: &[[[u8; 16]; 32]], sums: &mut [u8]) {
        let rows = 1 << self.chunk_shift;
        for (chunk, sums) in self.chunks.iter().zip(sums.chunks_mut(rows)) {
            // Empty while none of its rows is coded.
            for (tables, codes) in tables.iter().zip(chunk.leads()) {
                kernels::half_byte_sums(tables, codes, sums);
            }
        }
    }

    /// The one-bit code of a row.
    #[inline(always)]
    pub(super) fn bits(&self, row: u32) -> &[u64] {
        let (chunk, row) = self.place(row);
        self.chunks.get(chunk).map_or(&[], |chunk| chunk.bits(row, 1))
    }

    /// The one-bit code of a row from where the leading bytes end.
    #[inline(always)]
    pub(super) fn bits_behind_lead(&self, row: u32) -> &[u64] {
        self.bits(row).get(self.shape.lead / 8..).unwrap_or_default()
    }

    /// How vectors are compared.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Components of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.shape.dim
    }

    /// One more than the largest row number ever given out: the length of a filter.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Whether one more row fits without another chunk.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.free.is_empty() || self.capacity() > self.end as usize
    }

    /// Rows that the chunks have room for.
    fn capacity(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) << self.chunk_shift;
        full + self.chunks.last().map_or(0, Chunk::capacity)
    }

    /// Rows that are not erased.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.live_count
    }

    /// Rows that are neither erased nor retired.
    #[must_use]
    pub fn current_count(&self) -> usize {
        self.current_count
    }

    /// Whether the row is not erased.
    #[must_use]
    pub fn is_live(&self, row: u32) -> bool {
        bitmap::contains(&self.live, row)
    }

    /// The rows that are not erased, as a bitmap.
    #[must_use]
    pub fn live(&self) -> &[u64] {
        &self.live
    }

    /// The rows that are neither erased nor retired, as a bitmap.
    #[must_use]
    pub fn current(&self) -> &[u64] {
        &self.current
    }

    /// The live rows whose codes are derived, as a bitmap.
    #[must_use]
    pub fn coded(&self) -> &[u64] {
        &self.coded
    }

    /// Live rows whose codes are not derived yet.
    #[must_use]
    pub fn uncoded_count(&self) -> usize {
        self.live_count - self.coded_count
    }

    /// The smallest and the largest norm of any row.
    pub(super) fn norms(&self) -> (f32, f32) {
        self.norms
    }

    /// Whether cosines alone tell which rows are near: always under cosine, else if norms are even.
    pub(super) fn has_even_norms(&self) -> bool {
        let (least, most) = self.norms;
        self.metric == Metric::Cosine || most <= least * EVEN_NORMS
    }

    /// Bytes of linear memory in use, reserved room and codes that are still to be derived included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rows: usize = self.chunks.iter().map(Chunk::capacity).sum();
        rows * self.shape.bytes()
            + (self.live.capacity() * 3) * size_of::<u64>()
            + self.free.capacity() * size_of::<u32>()
    }
}
