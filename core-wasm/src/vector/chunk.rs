//! A fixed number of rows: their float32 values and what is derived from them.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::TryReserveError;

static OWED: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the process's memory that codes which are still to be derived will take.
#[must_use]
pub fn owed_bytes() -> usize {
    OWED.load(Ordering::Relaxed)
}

/// Aligns rows to cache lines, so that no load of a row of 16 floats' multiple straddles two.
const ALIGNMENT_BYTES: usize = 64;

/// What a row's int8 codes mean, with the vector scaled to length one:
/// `|x / norm - unit_scale * codes| <= unit_error`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) unit_scale: f32,
    pub(super) unit_error: f32,
    pub(super) norm: f32,
    /// `1 / norm`, or 0 for a row that has no direction.
    pub(super) inverse_norm: f32,
}

/// The leading bytes of codes that are scanned at a time.
pub(super) const STEP_BYTES: usize = 16;
/// The rows whose leading bytes lie side by side.
pub(super) const BLOCK_ROWS: usize = 16;

/// The lengths of what a row consists of.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Float32 values, and int8 codes.
    pub(super) dim: usize,
    /// Words of the one-bit code.
    pub(super) words: usize,
    /// Bytes of it that lead: these are kept a second time, [`BLOCK_ROWS`] rows side by side.
    pub(super) lead: usize,
}

impl Shape {
    /// Bytes of a row.
    pub(super) const fn bytes(self) -> usize {
        self.dim * size_of::<f32>() + size_of::<Facts>() + self.codes_bytes()
    }

    /// Bytes of a row's codes.
    const fn codes_bytes(self) -> usize {
        self.dim + self.words * size_of::<u64>() + self.lead
    }
}

/// Rows side by side, one allocation for each kind of data.
///
/// That of floats is written up to the last row that was reserved, so that adding rows touches it once.
/// Codes take theirs when the first of them is derived, and [`owed_bytes`] counts it until then.
pub(super) struct Chunk {
    /// As long as rows were [made ready](Chunk::ready).
    floats: Vec<f32>,
    /// Where the first row starts in `floats`, for alignment.
    start: usize,
    /// Empty, or as long as all rows.
    codes: Vec<i8>,
    /// As `codes`.
    bits: Vec<u64>,
    /// As `codes`: for each [`STEP_BYTES`] of the leading bytes, blocks of [`BLOCK_ROWS`] rows; in them
    /// the first bytes of all rows, then the second ones, and so on.
    leads: Vec<u8>,
    facts: Vec<Facts>,
    shape: Shape,
}

impl Chunk {
    /// Room for rows, whole blocks of them.
    ///
    /// # Errors
    ///
    /// When memory is refused; nothing is kept.
    pub(super) fn new(rows: usize, shape: Shape) -> Result<Self, TryReserveError> {
        let mut floats: Vec<f32> = room_for(rows * shape.dim + ALIGNMENT_BYTES / size_of::<f32>())?;
        let start = floats.as_ptr().align_offset(ALIGNMENT_BYTES);
        let start = if start <= ALIGNMENT_BYTES / size_of::<f32>() { start } else { 0 };
        floats.resize(start, 0.0);
        let facts = defaults(rows)?;
        let (codes, bits, leads) = (Vec::new(), Vec::new(), Vec::new());
        let chunk = Self { floats, start, codes, bits, leads, facts, shape };
        OWED.fetch_add(chunk.codes_bytes(), Ordering::Relaxed);
        Ok(chunk)
    }

    /// Makes the floats of the first `rows` rows addressable; new ones are zeros.
    pub(super) fn ready(&mut self, rows: usize) {
        let end = self.start + rows.min(self.capacity()) * self.shape.dim;
        if end > self.floats.len() {
            self.floats.resize(end, 0.0);
        }
    }

    /// Writes a row that is ready, or the first that is not.
    pub(super) fn write(&mut self, row: usize, values: impl ExactSizeIterator<Item = f32>) {
        if self.floats.len() == self.start + row * self.shape.dim && row < self.capacity() {
            self.floats.extend(values);
        } else {
            for (into, value) in self.floats_mut(row, 1).iter_mut().zip(values) {
                *into = value;
            }
        }
    }

    /// A larger chunk with the same rows first.
    pub(super) fn grown(&self, rows: usize) -> Result<Self, TryReserveError> {
        let mut new = Self::new(rows, self.shape)?;
        if !self.codes.is_empty() {
            new.make_codes()?;
        }
        copy(&mut new.codes, &self.codes);
        copy(&mut new.bits, &self.bits);
        for row in 0..self.capacity() {
            new.write_lead(row);
        }
        copy(&mut new.facts, &self.facts);
        new.floats.extend_from_slice(self.floats.get(self.start..).unwrap_or_default());
        Ok(new)
    }

    pub(super) fn capacity(&self) -> usize {
        self.facts.len()
    }

    #[inline(always)]
    pub(super) fn floats(&self, row: usize) -> &[f32] {
        let from = self.start + row * self.shape.dim;
        self.floats.get(from..from + self.shape.dim).unwrap_or_default()
    }

    pub(super) fn floats_mut(&mut self, row: usize, rows: usize) -> &mut [f32] {
        let from = self.start + row * self.shape.dim;
        self.floats.get_mut(from..from + rows * self.shape.dim).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn codes(&self, row: usize) -> &[i8] {
        self.codes.get(row * self.shape.dim..(row + 1) * self.shape.dim).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn facts(&self, row: usize) -> Facts {
        self.facts.get(row).copied().unwrap_or_default()
    }

    /// The one-bit codes of `rows` rows from `row` on.
    #[inline(always)]
    pub(super) fn bits(&self, row: usize, rows: usize) -> &[u64] {
        self.bits.get(row * self.shape.words..(row + rows) * self.shape.words).unwrap_or_default()
    }

    /// The leading bytes of one-bit codes, in steps of [`STEP_BYTES`]: block after block.
    pub(super) fn leads(&self) -> impl Iterator<Item = &[u8]> {
        self.leads.chunks_exact(self.capacity() * STEP_BYTES)
    }

    /// Makes the codes of all rows addressable, zeros at first.
    fn make_codes(&mut self) -> Result<(), TryReserveError> {
        if self.codes.is_empty() {
            let (rows, Shape { dim, words, lead }) = (self.capacity(), self.shape);
            (self.codes, self.bits, self.leads) =
                (defaults(rows * dim)?, defaults(rows * words)?, defaults(rows * lead)?);
            OWED.fetch_sub(self.codes_bytes(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// What the codes of all rows take.
    fn codes_bytes(&self) -> usize {
        self.capacity() * self.shape.codes_bytes()
    }

    /// A row's values, and where its facts go.
    pub(super) fn check_parts(&mut self, row: usize) -> Option<(&[f32], &mut Facts)> {
        let from = self.start + row * self.shape.dim;
        Some((self.floats.get(from..from + self.shape.dim)?, self.facts.get_mut(row)?))
    }

    /// A row's values, and where its codes and facts go; `None` if memory is refused.
    #[expect(clippy::type_complexity, reason = "three borrows of one chunk at once")]
    pub(super) fn encode_parts(
        &mut self,
        row: usize,
    ) -> Option<(&[f32], &mut [i8], &mut [u64], &mut Facts)> {
        self.make_codes().ok()?;
        let from = self.start + row * self.shape.dim;
        Some((
            self.floats.get(from..from + self.shape.dim)?,
            self.codes.get_mut(row * self.shape.dim..(row + 1) * self.shape.dim)?,
            self.bits.get_mut(row * self.shape.words..(row + 1) * self.shape.words)?,
            self.facts.get_mut(row)?,
        ))
    }

    /// Writes the leading bytes of a row's one-bit code where they are scanned.
    pub(super) fn write_lead(&mut self, row: usize) {
        let step = self.capacity() * STEP_BYTES;
        let words = self.shape.words;
        let (bits, _) = self.bits.as_chunks::<2>();
        let bits = bits.get(row * words / 2..(row + 1) * words / 2).unwrap_or_default();
        let from = row / BLOCK_ROWS * BLOCK_ROWS * STEP_BYTES + row % BLOCK_ROWS;
        for (words, leads) in bits.iter().zip(self.leads.chunks_exact_mut(step)) {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            for (into, byte) in leads.iter_mut().skip(from).step_by(BLOCK_ROWS).zip(bytes) {
                *into = byte;
            }
        }
    }

    /// Overwrites a row and all that was derived from it with zeros.
    pub(super) fn wipe(&mut self, row: usize) {
        self.floats_mut(row, 1).fill(0.0);
        if let Some(facts) = self.facts.get_mut(row) {
            *facts = Facts::default();
        }
        let codes = self.codes.get_mut(row * self.shape.dim..(row + 1) * self.shape.dim);
        codes.unwrap_or_default().fill(0);
        let bits = self.bits.get_mut(row * self.shape.words..(row + 1) * self.shape.words);
        bits.unwrap_or_default().fill(0);
        self.write_lead(row);
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.codes.is_empty() {
            OWED.fetch_sub(self.codes_bytes(), Ordering::Relaxed);
        }
    }
}

fn room_for<T>(length: usize) -> Result<Vec<T>, TryReserveError> {
    let mut values = Vec::new();
    values.try_reserve_exact(length)?;
    Ok(values)
}

fn defaults<T: Clone + Default>(length: usize) -> Result<Vec<T>, TryReserveError> {
    let mut values = room_for(length)?;
    values.resize(length, T::default());
    Ok(values)
}

fn copy<T: Copy>(into: &mut [T], from: &[T]) {
    if let Some(into) = into.get_mut(..from.len()) {
        into.copy_from_slice(from);
    }
}
