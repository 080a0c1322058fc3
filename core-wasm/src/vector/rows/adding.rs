//! Adding one row at a time, as opening a file does: a row of its own is written once, and takes no
//! list of places.

use std::collections::TryReserveError;

use super::super::BadVector;
use super::{Codes, Rows};

impl Rows {
    /// Adds one vector: [`reserve`](Self::reserve), copy and [`commit`](Self::commit).
    ///
    /// # Errors
    ///
    /// [`BadVector`], of which `NoMemory` and `Dimension` are among the kinds. Nothing is added.
    pub fn insert(&mut self, vector: &[f32]) -> Result<u32, BadVector> {
        self.add(vector.iter().copied(), Codes::Now)
    }

    /// Adds one vector, given as little-endian float32 bytes; amortised constant time, and linear in
    /// the dimension.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn add_bytes(&mut self, vector: &[[u8; 4]], codes: Codes) -> Result<u32, BadVector> {
        self.add(vector.iter().map(|bytes| f32::from_le_bytes(*bytes)), codes)
    }

    fn add(
        &mut self,
        vector: impl ExactSizeIterator<Item = f32>,
        codes: Codes,
    ) -> Result<u32, BadVector> {
        if vector.len() != self.shape.dim {
            return Err(BadVector::Dimension { expected: self.shape.dim, found: vector.len() });
        }
        let row = self.reserve_one().map_err(|_| BadVector::NoMemory)?;
        let (chunk, at) = self.place(row);
        if let Some(chunk) = self.chunks.get_mut(chunk) {
            chunk.write(at, vector);
        }
        if let Err(bad) = self.check(row, codes) {
            self.wipe(row);
            return Err(bad);
        }
        self.show(row, codes);
        Ok(row)
    }

    /// A row to be written. Most often it is the next one, and there is room for all that it needs.
    fn reserve_one(&mut self) -> Result<u32, TryReserveError> {
        let next = self.end as usize;
        let room = self.capacity().min(64 * self.live.len()).min(self.free.capacity());
        if self.free.is_empty() && next < room {
            self.end += 1;
            return Ok(self.end - 1);
        }
        let segments = self.reserve(1)?;
        Ok(segments.first().map_or(self.end, |segment| segment.first))
    }
}
