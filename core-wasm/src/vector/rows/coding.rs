//! From a row's float32 values to its codes.

use super::super::rotation;
use super::super::{BadVector, Metric, bitmap, quantize};
use super::{Codes, Rows};

impl Rows {
    /// Checks a reserved row, and derives its codes if that is wanted now.
    pub(super) fn check(&mut self, row: u32, when: Codes) -> Result<(), BadVector> {
        let (chunk, at) = self.place(row);
        let Some((values, facts)) =
            self.chunks.get_mut(chunk).and_then(|chunk| chunk.check_parts(at))
        else {
            return Err(BadVector::NoMemory);
        };
        let norm = quantize::norm(values)?;
        if norm < quantize::MIN_NORM && self.metric == Metric::Cosine {
            return Err(BadVector::NoDirection { norm });
        }
        *facts = quantize::facts(norm);
        if when == Codes::Now {
            self.derive(row);
        }
        Ok(())
    }

    fn derive(&mut self, row: u32) {
        let (chunk, at) = self.place(row);
        if let Some((values, codes, bits, facts)) =
            self.chunks.get_mut(chunk).and_then(|chunk| chunk.encode_parts(at))
        {
            *facts = quantize::row_codes(values, facts.norm, codes);
            self.rotation.rotate(values, &mut self.work);
            rotation::pack(&self.work, bits, f32::is_sign_negative);
        }
        if let Some(chunk) = self.chunks.get_mut(chunk) {
            chunk.write_lead(at);
        }
    }

    /// Derives the codes of up to `rows` rows that were committed without; true when none are left.
    pub fn derive_codes(&mut self, mut rows: usize) -> bool {
        while self.coded_count < self.live_count {
            let at = self.coded_from;
            let (Some(&live), Some(&coded)) = (self.live.get(at), self.coded.get(at)) else {
                break;
            };
            let left = live & !coded;
            if left == 0 {
                self.coded_from += 1;
                continue;
            }
            if rows == 0 {
                return false;
            }
            #[expect(clippy::cast_possible_truncation, reason = "row numbers are u32")]
            let row = (at * 64) as u32 + left.trailing_zeros();
            self.derive(row);
            bitmap::set(&mut self.coded, row, true);
            self.coded_count += 1;
            rows -= 1;
        }
        true
    }
}
