//! Sums of a short run of rows.

use super::bitmap;

/// Rows of a window: few enough that bounds are near, enough that looking at them costs little.
pub(super) const WINDOW_ROWS: usize = 512;

/// See the module.
pub(super) struct Window {
    /// The first row: a multiple of 64, as words of bitmaps begin there.
    pub(super) start: u32,
    sums: [f64; WINDOW_ROWS],
    /// Rows that something was added to.
    touched: [u64; WINDOW_ROWS / 64],
}

impl Window {
    pub(super) fn new() -> Self {
        Self { start: 0, sums: [0.0; WINDOW_ROWS], touched: [0; WINDOW_ROWS / 64] }
    }

    /// One past the last row.
    #[inline(always)]
    pub(super) fn end(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
        self.start.saturating_add(WINDOW_ROWS as u32)
    }

    /// Adds to the sum of a row, which is in the window.
    #[inline(always)]
    pub(super) fn add(&mut self, row: u32, part: f64) {
        let at = (row - self.start) as usize;
        if let (Some(sum), Some(touched)) = (self.sums.get_mut(at), self.touched.get_mut(at / 64)) {
            *sum += part;
            *touched |= 1 << (at % 64);
        }
    }

    /// Calls `each` with the rows that something was added to and that are allowed, ascending, and
    /// clears all.
    #[inline(always)]
    pub(super) fn drain(&mut self, allowed: &[u64], each: &mut impl FnMut(u32, f64)) {
        let sums = self.sums.as_chunks_mut::<64>().0;
        for ((first, sums), touched) in (self.start..).step_by(64).zip(sums).zip(&mut self.touched)
        {
            let mut bits = core::mem::take(touched);
            while bits != 0 {
                let at = bits.trailing_zeros();
                bits &= bits - 1;
                let sum = sums.get_mut(at as usize).map_or(0.0, core::mem::take);
                if bitmap::contains(allowed, first + at) {
                    each(first + at, sum);
                }
            }
        }
    }
}
