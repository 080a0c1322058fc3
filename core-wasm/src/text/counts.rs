//! How often a word is in each field of a document, as a number.
//!
//! Most documents have a word once or twice, in one field or two: few distinct ways. Each gets a
//! number when it first comes, so that a posting is two small integers, and a search with boosts
//! needs one look at a table of weights, as one without does. A way that comes when there are
//! [`MOST_NUMBERED`] already, or that has many fields, is written out.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::NoMemory;
use super::arena::{Arena, Reader, Stream, Varints};

const MOST_NUMBERED: usize = 1 << 16;
const MOST_FIELDS: usize = 8;

/// A field and how often a word is in it.
pub(super) type Count = (u32, u32);

/// See the module.
#[derive(Default)]
pub(super) struct Counts {
    all: Vec<Box<[Count]>>,
    by_value: HashTable<u32>,
    /// For each number, how often over all fields.
    totals: Vec<f64>,
    /// The number of "once in this field", plus one.
    once: Vec<u32>,
}

fn hash(counts: &[Count]) -> u64 {
    FixedState::with_seed(0x6b6f_7275).hash_one(counts)
}

impl Counts {
    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        let each = size_of::<Box<[Count]>>() + 2 * size_of::<Count>() + size_of::<f64>();
        self.all.capacity() * each
            + self.by_value.allocation_size()
            + self.once.capacity() * size_of::<u32>()
    }

    /// What each number weighs if fields weigh this: the sum of weights times counts.
    pub(super) fn weights(&self, weight: impl Fn(u32) -> f64) -> Vec<f64> {
        self.all.iter().map(|counts| weigh(counts.iter().copied(), &weight)).collect()
    }

    /// [`Self::weights`] where all fields weigh 1.
    pub(super) fn totals(&self) -> &[f64] {
        &self.totals
    }

    /// Appends a posting: the distance of its row to the one before, and its counts.
    pub(super) fn write(
        &mut self,
        arena: &mut Arena,
        stream: &mut Stream,
        distance: u32,
        counts: &[Count],
    ) -> Result<(), NoMemory> {
        if let Some(number) = self.number(counts)? {
            return arena.append(stream, Varints::of(&[distance, number + 1]).bytes());
        }
        let fields = u32::try_from(counts.len()).unwrap_or(u32::MAX);
        arena.append(stream, Varints::of(&[distance, 0, fields]).bytes())?;
        for &(field, count) in counts {
            arena.append(stream, Varints::of(&[field, count]).bytes())?;
        }
        Ok(())
    }

    fn number(&mut self, counts: &[Count]) -> Result<Option<u32>, NoMemory> {
        if let [(field, 1)] = counts
            && let Some(&number @ 1..) = self.once.get(*field as usize)
        {
            return Ok(Some(number - 1));
        }
        if counts.len() > MOST_FIELDS {
            return Ok(None);
        }
        let Self { all, by_value, totals, once } = self;
        let value = |number: u32| all.get(number as usize).map(|counts| &**counts);
        let hash_of_counts = hash(counts);
        if let Some(&number) =
            by_value.find(hash_of_counts, |&number| value(number) == Some(counts))
        {
            return Ok(Some(number));
        }
        if all.len() >= MOST_NUMBERED {
            return Ok(None);
        }
        by_value.try_reserve(1, |&number| value(number).map_or(0, hash))?;
        all.try_reserve(1)?;
        totals.try_reserve(1)?;
        let number = u32::try_from(all.len()).unwrap_or(u32::MAX);
        if let [(field, 1)] = counts {
            let field = *field as usize;
            once.try_reserve((field + 1).saturating_sub(once.len()))?;
            once.resize(once.len().max(field + 1), 0);
            if let Some(place) = once.get_mut(field) {
                *place = number + 1;
            }
        }
        totals.push(weigh(counts.iter().copied(), &|_| 1.0));
        all.push(counts.into());
        by_value.insert_unique(hash_of_counts, number, |_| 0);
        Ok(Some(number))
    }

    /// The counts of a posting whose row was read: `each` is called with each.
    pub(super) fn read(&self, reader: &mut Reader<'_>, mut each: impl FnMut(Count)) {
        match reader.varint().and_then(|number| number.checked_sub(1)) {
            Some(number) => {
                let counts = self.all.get(number as usize).map_or(&[][..], |counts| counts);
                counts.iter().copied().for_each(each);
            }
            None => {
                for _ in 0..reader.varint().unwrap_or(0) {
                    let (Some(field), Some(count)) = (reader.varint(), reader.varint()) else {
                        return;
                    };
                    each((field, count));
                }
            }
        }
    }

    /// What the posting whose row was read weighs, by the table of [`Self::weights`].
    #[inline(always)]
    pub(super) fn read_weight(
        reader: &mut Reader<'_>,
        weights: &[f64],
        weight: &impl Fn(u32) -> f64,
    ) -> Option<f64> {
        match reader.varint()?.checked_sub(1) {
            Some(number) => weights.get(number as usize).copied(),
            None => {
                let fields = reader.varint()?;
                let mut sum = 0.0;
                for _ in 0..fields {
                    let (field, count) = (reader.varint()?, reader.varint()?);
                    sum += weight(field) * f64::from(count);
                }
                Some(sum)
            }
        }
    }
}

fn weigh(counts: impl Iterator<Item = Count>, weight: &impl Fn(u32) -> f64) -> f64 {
    // Not `sum`, which starts at -0.0.
    counts.fold(0.0, |sum, (field, count)| sum + weight(field) * f64::from(count))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "small constants")]

    use super::*;

    #[test]
    fn counts_are_read_as_they_were_written() {
        let (mut counts, mut arena, mut stream) =
            (Counts::default(), Arena::default(), Stream::EMPTY);
        let long: Vec<Count> =
            (0..MOST_FIELDS as u32 + 1).map(|field| (field, field + 1)).collect();
        let mut written =
            vec![vec![(0, 1)], vec![(3, 1)], vec![(0, 1)], vec![(0, 2), (3, 1)], long];
        // More ways than are numbered.
        written.extend((0..MOST_NUMBERED as u32 + 10).map(|count| vec![(7, count)]));
        for (row, value) in (0..).zip(&written) {
            counts.write(&mut arena, &mut stream, row, value).unwrap();
        }
        assert_eq!(counts.all.len(), MOST_NUMBERED);
        let weight = |field| f64::from(field) + 0.5;
        let weights = counts.weights(weight);
        let (mut reader, mut weigher) = (arena.read(stream), arena.read(stream));
        for (row, value) in (0..).zip(&written) {
            assert_eq!((reader.varint(), weigher.varint()), (Some(row), Some(row)));
            let mut found = Vec::new();
            counts.read(&mut reader, |count| found.push(count));
            assert_eq!(found, *value);
            let expected = weigh(value.iter().copied(), &weight);
            assert_eq!(Counts::read_weight(&mut weigher, &weights, &weight), Some(expected));
        }
        assert_eq!(reader.varint(), None);
        assert_eq!(counts.totals()[..2], [1.0, 1.0]);
    }
}
