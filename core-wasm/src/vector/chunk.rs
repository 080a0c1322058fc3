//! A fixed number of rows: their float32 values and what is derived from them.

use std::collections::TryReserveError;

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

/// The bytes a row of this shape takes.
pub(super) const fn bytes_per_row(dim: usize, words: usize) -> usize {
    dim * 5 + words * 8 + size_of::<Facts>()
}

/// Rows side by side, one allocation for each kind of data.
pub(super) struct Chunk {
    floats: Vec<f32>,
    /// Where the first row starts in `floats`, for alignment.
    start: usize,
    codes: Vec<i8>,
    bits: Vec<u64>,
    facts: Vec<Facts>,
    dim: usize,
    words: usize,
}

impl Chunk {
    /// Zeroed rows.
    ///
    /// # Errors
    ///
    /// When memory is refused; nothing is kept.
    pub(super) fn new(rows: usize, dim: usize, words: usize) -> Result<Self, TryReserveError> {
        let floats: Vec<f32> = zeroed(rows * dim + ALIGNMENT_BYTES / size_of::<f32>())?;
        let start = floats.as_ptr().align_offset(ALIGNMENT_BYTES);
        let start = if start <= ALIGNMENT_BYTES / size_of::<f32>() { start } else { 0 };
        Ok(Self {
            floats,
            start,
            codes: zeroed(rows * dim)?,
            bits: zeroed(rows * words)?,
            facts: zeroed(rows)?,
            dim,
            words,
        })
    }

    /// A larger chunk with the same rows first.
    pub(super) fn grown(&self, rows: usize) -> Result<Self, TryReserveError> {
        let mut new = Self::new(rows, self.dim, self.words)?;
        copy(&mut new.codes, &self.codes);
        copy(&mut new.bits, &self.bits);
        copy(&mut new.facts, &self.facts);
        let kept = self.capacity();
        copy(new.floats_mut(0, kept), self.floats.get(self.start..).unwrap_or_default());
        Ok(new)
    }

    pub(super) fn capacity(&self) -> usize {
        self.facts.len()
    }

    #[inline(always)]
    pub(super) fn floats(&self, row: usize) -> &[f32] {
        let from = self.start + row * self.dim;
        self.floats.get(from..from + self.dim).unwrap_or_default()
    }

    pub(super) fn floats_mut(&mut self, row: usize, rows: usize) -> &mut [f32] {
        let from = self.start + row * self.dim;
        self.floats.get_mut(from..from + rows * self.dim).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn codes(&self, row: usize) -> &[i8] {
        self.codes.get(row * self.dim..(row + 1) * self.dim).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn facts(&self, row: usize) -> Facts {
        self.facts.get(row).copied().unwrap_or_default()
    }

    /// The one-bit codes of `rows` rows from `row` on.
    #[inline(always)]
    pub(super) fn bits(&self, row: usize, rows: usize) -> &[u64] {
        self.bits.get(row * self.words..(row + rows) * self.words).unwrap_or_default()
    }

    /// A row's values, and where its codes and facts go.
    #[expect(clippy::type_complexity, reason = "three borrows of one chunk at once")]
    pub(super) fn encode_parts(
        &mut self,
        row: usize,
    ) -> Option<(&[f32], &mut [i8], &mut [u64], &mut Facts)> {
        let from = self.start + row * self.dim;
        Some((
            self.floats.get(from..from + self.dim)?,
            self.codes.get_mut(row * self.dim..(row + 1) * self.dim)?,
            self.bits.get_mut(row * self.words..(row + 1) * self.words)?,
            self.facts.get_mut(row)?,
        ))
    }

    /// Overwrites a row and all that was derived from it with zeros.
    pub(super) fn wipe(&mut self, row: usize) {
        self.floats_mut(row, 1).fill(0.0);
        if let Some((_, codes, bits, facts)) = self.encode_parts(row) {
            codes.fill(0);
            bits.fill(0);
            *facts = Facts::default();
        }
    }
}

fn zeroed<T: Clone + Default>(length: usize) -> Result<Vec<T>, TryReserveError> {
    let mut values = Vec::new();
    values.try_reserve_exact(length)?;
    values.resize(length, T::default());
    Ok(values)
}

fn copy<T: Copy>(into: &mut [T], from: &[T]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into = *from;
    }
}
