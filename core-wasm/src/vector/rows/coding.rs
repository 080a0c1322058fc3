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
            self.derive(row).ok_or(BadVector::NoMemory)?;
        }
        Ok(())
    }

    /// Derives the codes of a row; `None` if memory for them is refused.
    fn derive(&mut self, row: u32) -> Option<()> {
        let (chunk, at) = self.place(row);
        let chunk = self.chunks.get_mut(chunk)?;
        let (values, codes, bits, facts) = chunk.encode_parts(at)?;
        *facts = quantize::row_codes(values, facts.norm, codes);
        self.rotation.rotate(values, &mut self.work);
        rotation::pack(&self.work, bits, f32::is_sign_negative);
        chunk.write_lead(at);
        Some(())
    }

    /// Derives the codes of up to `rows` rows that were committed without; true when none are left for
    /// which there is memory.
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
            if self.derive(row).is_none() {
                break;
            }
            bitmap::set(&mut self.coded, row, true);
            self.coded_count += 1;
            rows -= 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_memory_for_codes_a_row_is_refused_or_stays_behind() {
        let mut rows = Rows::new(Metric::Cosine, 4);
        rows.shape.words = 1 << 40;
        assert_eq!(rows.insert(&[1.0; 4]), Err(BadVector::NoMemory));
        assert_eq!((rows.live_count(), rows.uncoded_count()), (0, 0));
        let row = rows.add_bytes(&[1.0_f32.to_le_bytes(); 4], Codes::Later).unwrap();
        assert!(rows.derive_codes(10));
        assert_eq!((rows.live_count(), rows.uncoded_count()), (1, 1));
        assert_eq!(rows.vector(row), [1.0; 4]);
        rows.erase(row);
        assert_eq!(rows.uncoded_count(), 0);
    }
}
