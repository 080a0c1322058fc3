//! Names in order, each with a number.
//!
//! Most names come in their order, and whole files of them when one is opened: adding the last one takes
//! a single comparison, where a search tree's way down took a tenth of an opening. Others move a part of
//! a block, whose size is bounded.

use core::ops::Bound;

/// Most names in a block; one that is full is split.
const BLOCK: usize = 256;

type Entry = (Box<[u8]>, u32);

/// Names and their numbers, by the bytes of the names.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// One after the other and in order, none of them empty.
    blocks: Vec<Vec<Entry>>,
    count: usize,
}

/// A place among the names: block, and place in it.
type Place = (usize, usize);

/// No names.
pub(super) static NOTHING: Sorted = Sorted { blocks: Vec::new(), count: 0 };

impl Sorted {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The numbers, by name.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.blocks.iter().flatten().map(|(_, number)| *number)
    }

    /// Adds a name that is not there. Constant time for one after all others, else logarithmic, but for
    /// moving a part of a block, or of the list of blocks.
    pub(super) fn insert(&mut self, name: &[u8], number: u32) {
        let entry = (name.into(), number);
        self.count += 1;
        let is_last = self
            .blocks
            .last()
            .and_then(|block| block.last())
            .is_none_or(|(last, _)| **last < *name);
        if is_last {
            match self.blocks.last_mut() {
                Some(block) if block.len() < BLOCK => block.push(entry),
                _ => self.blocks.push(vec![entry]),
            }
            return;
        }
        let (mut at, mut within) = self.place(|other| other < name);
        if let Some(block) = self.blocks.get_mut(at).filter(|block| block.len() >= BLOCK) {
            let upper = block.split_off(BLOCK / 2);
            self.blocks.insert(at + 1, upper);
            if within > BLOCK / 2 {
                (at, within) = (at + 1, within - BLOCK / 2);
            }
        }
        if let Some(block) = self.blocks.get_mut(at) {
            block.insert(within, entry);
        }
    }

    /// Removes a name and returns its number, if it is there. Time as for adding one.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<u32> {
        let (at, within) = self.place(|other| other < name);
        let block = self.blocks.get_mut(at)?;
        block.get(within).filter(|(found, _)| **found == *name)?;
        let (_, number) = block.remove(within);
        self.count -= 1;
        if block.is_empty() {
            self.blocks.remove(at);
        } else if block.len() <= block.capacity() / 4 {
            block.shrink_to(2 * block.len());
        }
        Some(number)
    }

    /// What lies between two names, in order. Finding where it begins and ends takes logarithmic time.
    pub(super) fn range<'a>(
        &'a self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&'a [u8], u32)> + use<'a> {
        let start = match from {
            Bound::Included(name) => self.place(|other| other < name),
            Bound::Excluded(name) => self.place(|other| other <= name),
            Bound::Unbounded => (0, 0),
        };
        let end = match to {
            Bound::Included(name) => self.place(|other| other <= name),
            Bound::Excluded(name) => self.place(|other| other < name),
            Bound::Unbounded => (self.blocks.len(), 0),
        };
        let entries = self.blocks.iter().enumerate().take(end.0 + 1).skip(start.0).flat_map(
            move |(at, block)| {
                let from = if at == start.0 { start.1 } else { 0 };
                let to = if at == end.0 { end.1 } else { block.len() };
                block.get(from..to).unwrap_or_default()
            },
        );
        entries.map(|(name, number)| (&**name, *number))
    }

    /// Where the first name is of which `is_before` does not hold; it holds of all before it.
    fn place(&self, is_before: impl Fn(&[u8]) -> bool) -> Place {
        let at = self
            .blocks
            .partition_point(|block| block.last().is_some_and(|(last, _)| is_before(last)));
        let within = self
            .blocks
            .get(at)
            .map_or(0, |block| block.partition_point(|(name, _)| is_before(name)));
        (at, within)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn bound(kind: u8, name: &[u8]) -> Bound<&[u8]> {
        match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(name),
            _ => Bound::Excluded(name),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn it_is_a_map_by_name(
            in_order in 0_u32..1500,
            steps in prop::collection::vec((any::<bool>(), 0_u32..2000), 0..4000),
            ranges in prop::collection::vec((0_u8..3, 0_u32..2100, 0_u8..3, 0_u32..2100), 20),
        ) {
            let (mut sorted, mut expected) = (Sorted::default(), BTreeMap::new());
            let name = |number: u32| format!("{number:04}").into_bytes();
            let first = (0..in_order).map(|number| (true, number));
            let emptied = (0..2000).map(|number| (false, number));
            for (step, (add, number)) in first.chain(steps).enumerate() {
                let name = name(number);
                if !add {
                    prop_assert_eq!(sorted.remove(&name), expected.remove(&name));
                } else if expected.insert(name.clone(), number).is_none() {
                    sorted.insert(&name, number);
                }
                prop_assert_eq!(sorted.len(), expected.len());
                prop_assert!(step % 500 != 0 || sorted.numbers().eq(expected.values().copied()));
            }
            prop_assert!(sorted.blocks.iter().all(|block| (1..=BLOCK).contains(&block.len())));
            for (from_kind, from, to_kind, to) in ranges {
                let (from, to) = (name(from.min(to)), name(from.max(to) + 1));
                let bounds = (bound(from_kind, &from), bound(to_kind, &to));
                let range = expected.range::<[u8], _>(bounds).map(|(name, number)| (&**name, *number));
                prop_assert!(sorted.range(bounds.0, bounds.1).eq(range.clone()));
                prop_assert!(sorted.range(bounds.0, bounds.1).rev().eq(range.rev()));
            }
            prop_assert!(sorted.range(Bound::Included(b"9"), Bound::Excluded(b"1")).next().is_none());
            for (_, number) in emptied {
                prop_assert_eq!(sorted.remove(&name(number)), expected.remove(&name(number)));
            }
            prop_assert!(sorted.is_empty() && sorted.blocks.is_empty());
        }
    }
}
