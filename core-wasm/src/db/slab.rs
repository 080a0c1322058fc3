//! Things by numbers that stay theirs until they are removed. Chunks keep growth from copying what is
//! there.

use std::alloc::{Layout, handle_alloc_error};
use std::collections::TryReserveError;

pub(super) const CHUNK: usize = 4096;

/// Things by numbers from 0 on. What is not said to takes constant time.
#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    /// Numbers of what was removed, to be given again.
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// How many numbers there are, those to be given again included.
    pub(super) fn len(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1);
        full * CHUNK + self.chunks.last().map_or(0, Vec::len)
    }

    /// Everything, by rising number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// How many come first that `is_first` holds of, if it holds of none after them. Logarithmic.
    pub(super) fn partition_point(&self, is_first: impl Fn(&T) -> bool) -> usize {
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(&is_first));
        let within = self.chunks.get(chunk).map(|chunk| chunk.partition_point(is_first));
        within.map_or_else(|| self.len(), |within| chunk * CHUNK + within)
    }

    #[inline(always)]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let index = index_of(number);
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let index = index_of(number);
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    /// Takes a thing in, and gives it a number.
    ///
    /// # Errors
    /// If memory has no room for it.
    pub(super) fn try_add(&mut self, thing: T) -> Result<u32, TryReserveError> {
        if let Some(number) = self.free.pop()
            && let Some(room) = self.get_mut(number)
        {
            *room = thing;
            return Ok(number);
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.try_reserve(1)?;
            self.chunks.push(Vec::new());
        }
        let before = CHUNK * (self.chunks.len() - 1);
        let Some(chunk) = self.chunks.last_mut() else { unreachable!("a chunk was just made") };
        if chunk.len() == chunk.capacity() {
            // The first chunk grows as needed: a small database stays small.
            let more = if before == 0 { chunk.len().max(16) } else { CHUNK };
            chunk.try_reserve_exact(more.min(CHUNK - chunk.len()))?;
        }
        chunk.push(thing);
        Ok(u32::try_from(before + chunk.len() - 1).unwrap_or(u32::MAX))
    }

    /// Takes a thing in, for which there is memory, and gives it a number.
    #[inline(always)]
    pub(super) fn add(&mut self, thing: T) -> u32 {
        let number = self.len();
        if self.free.is_empty()
            && let Some(chunk) = self.chunks.last_mut()
            && chunk.len() < chunk.capacity()
        {
            chunk.push(thing);
            return u32::try_from(number).unwrap_or(u32::MAX);
        }
        self.try_add(thing).unwrap_or_else(|_| handle_alloc_error(Layout::new::<T>()))
    }

    /// Takes a thing out; its number is given again. `in_its_place` is what stays there until then.
    pub(super) fn remove(&mut self, number: u32, in_its_place: T) -> Option<T> {
        let removed = core::mem::replace(self.get_mut(number)?, in_its_place);
        self.free.push(number);
        Some(removed)
    }
}

/// Numbers are indices in a 32-bit memory.
#[inline(always)]
pub(super) fn index_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Slab};

    #[test]
    fn numbers_stay_until_they_are_given_again() {
        let mut slab = Slab::default();
        assert_eq!((slab.len(), slab.partition_point(|_: &usize| true)), (0, 0));
        let numbers: Vec<u32> = (0..2 * CHUNK + 3).map(|thing| slab.add(thing)).collect();
        for (thing, number) in numbers.iter().enumerate() {
            assert_eq!(slab.get(*number), Some(&thing));
        }
        assert_eq!(slab.get(u32::MAX), None);
        assert_eq!(slab.len(), numbers.len());
        assert!(slab.iter().copied().eq(0..numbers.len()));
        for end in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, numbers.len(), numbers.len() + 1] {
            assert_eq!(slab.partition_point(|thing| *thing < end), end.min(numbers.len()));
        }
        let number = numbers[CHUNK];
        assert_eq!(slab.remove(number, usize::MAX), Some(CHUNK));
        assert_eq!(slab.remove(u32::MAX, 0), None);
        assert_eq!(slab.add(7), number);
        assert_eq!(slab.get(number), Some(&7));
        assert_eq!(slab.get(numbers[CHUNK + 1]), Some(&(CHUNK + 1)));
    }
}
