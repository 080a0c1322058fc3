//! Where the links of a graph are kept.
//!
//! A row has [`GROUND_LINKS`] slots on level 0 and [`UPPER_LINKS`] on each level above that it
//! reaches; unused slots hold [`NONE`] and come last. Level 0 lives in blocks of [`BLOCK_ROWS`]
//! rows, so growth never copies it. A row's level follows from its number alone, so a number that
//! is given out again finds the slots of the row before it.

use std::collections::TryReserveError;

/// Links on each level above the ground: the `M` of the paper.
pub(super) const UPPER_LINKS: usize = 16;
/// Links on level 0: twice as many, as the paper advises.
pub(super) const GROUND_LINKS: usize = 2 * UPPER_LINKS;
/// The highest level: at 16^8 rows one row in expectation.
const MAX_LEVEL: u32 = 7;
/// Marks an unused slot.
pub(super) const NONE: u32 = u32::MAX;
const BLOCK_ROWS: usize = 256;

/// The slots of all rows.
#[derive(Default)]
pub(super) struct Links {
    ground: Vec<Vec<u32>>,
    /// Where a row's upper slots start in `upper`, or [`NONE`].
    upper_at: Vec<u32>,
    upper: Vec<u32>,
}

/// The level that a row reaches: one row in 16 reaches level 1, one in 256 level 2, and so on,
/// as a hash of its number decides (the finaliser of SplitMix64).
pub(super) fn level_of(row: u32) -> u32 {
    let mut z = u64::from(row).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)).leading_zeros() / UPPER_LINKS.ilog2()).min(MAX_LEVEL)
}

/// The slots on a level.
pub(super) const fn slots(level: u32) -> usize {
    if level == 0 { GROUND_LINKS } else { UPPER_LINKS }
}

impl Links {
    /// Makes room for the row's slots.
    ///
    /// # Errors
    ///
    /// When memory is refused. What there was is as it was.
    pub(super) fn make_room(&mut self, row: u32) -> Result<(), TryReserveError> {
        let row_index = row as usize;
        while self.ground.len() * BLOCK_ROWS <= row_index {
            self.ground.try_reserve(1)?;
            let mut block = Vec::new();
            block.try_reserve_exact(BLOCK_ROWS * GROUND_LINKS)?;
            block.resize(BLOCK_ROWS * GROUND_LINKS, NONE);
            self.ground.push(block);
        }
        if self.upper_at.len() <= row_index {
            self.upper_at.try_reserve(row_index + 1 - self.upper_at.len())?;
            self.upper_at.resize(row_index + 1, NONE);
        }
        let wanted = level_of(row) as usize * UPPER_LINKS;
        if wanted > 0 && self.upper_at.get(row_index) == Some(&NONE) {
            self.upper.try_reserve(wanted)?;
            let start = u32::try_from(self.upper.len()).unwrap_or(NONE);
            if let Some(at) = self.upper_at.get_mut(row_index) {
                *at = start;
            }
            self.upper.resize(self.upper.len() + wanted, NONE);
        }
        Ok(())
    }

    /// The rows that a row links to; none where it has no slots.
    #[inline(always)]
    pub(super) fn of(&self, row: u32, level: u32) -> impl Iterator<Item = u32> + '_ {
        self.all(row, level).iter().copied().take_while(|&link| link != NONE)
    }

    #[inline(always)]
    fn all(&self, row: u32, level: u32) -> &[u32] {
        let row = row as usize;
        if level == 0 {
            let start = row % BLOCK_ROWS * GROUND_LINKS;
            let block = self.ground.get(row / BLOCK_ROWS);
            return block.and_then(|b| b.get(start..start + GROUND_LINKS)).unwrap_or_default();
        }
        self.upper_range(row, level).and_then(|range| self.upper.get(range)).unwrap_or_default()
    }

    fn all_mut(&mut self, row: u32, level: u32) -> &mut [u32] {
        let row = row as usize;
        if level == 0 {
            let start = row % BLOCK_ROWS * GROUND_LINKS;
            let block = self.ground.get_mut(row / BLOCK_ROWS);
            return block.and_then(|b| b.get_mut(start..start + GROUND_LINKS)).unwrap_or_default();
        }
        match self.upper_range(row, level) {
            Some(range) => self.upper.get_mut(range).unwrap_or_default(),
            None => &mut [],
        }
    }

    #[inline(always)]
    fn upper_range(&self, row: usize, level: u32) -> Option<core::ops::Range<usize>> {
        let start = self.upper_at.get(row).filter(|&&at| at != NONE)?;
        let start = *start as usize + (level as usize - 1) * UPPER_LINKS;
        Some(start..start + UPPER_LINKS)
    }

    /// Replaces the row's links.
    pub(super) fn set(&mut self, row: u32, level: u32, links: &[u32]) {
        let padded = links.iter().copied().chain(core::iter::repeat(NONE));
        for (slot, link) in self.all_mut(row, level).iter_mut().zip(padded) {
            *slot = link;
        }
    }

    /// Adds a link in a free slot; false if there is none.
    pub(super) fn add(&mut self, row: u32, level: u32, link: u32) -> bool {
        match self.all_mut(row, level).iter_mut().find(|slot| **slot == NONE) {
            Some(slot) => {
                *slot = link;
                true
            }
            None => false,
        }
    }

    /// Bytes of linear memory in use, reserved room included.
    pub(super) fn bytes(&self) -> usize {
        let ground: usize = self.ground.iter().map(Vec::capacity).sum();
        (ground + self.upper_at.capacity() + self.upper.capacity()) * size_of::<u32>()
            + self.ground.capacity() * size_of::<Vec<u32>>()
    }
}
