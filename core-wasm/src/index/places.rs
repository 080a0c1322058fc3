//! Sets of places: one in place, several in a sorted vector, many in blocks of bounded size, so that
//! taking one in or out moves a block at most.
//!
//! They are sorted by the names of the documents, and places of one name by their numbers: whoever
//! wants the first few by name need not look at the others. Names are not kept: taking a place in or
//! out asks for those of a logarithmic number of others.

/// Most places in a block; one that is full is split.
const BLOCK: usize = 1024;

/// The names of documents, by their places.
pub trait Names {
    /// The name of a document that is in an index, or is about to be. It never changes.
    fn name(&self, place: u32) -> &[u8];
}

/// A set of places, never empty.
#[derive(Clone, Debug)]
pub struct Places(Form);

#[derive(Clone, Debug)]
enum Form {
    One(u32),
    /// In their order.
    Few(Vec<u32>),
    Many(Box<Blocks>),
}

#[derive(Clone, Debug)]
struct Blocks {
    count: usize,
    /// One after the other and in order, none of them empty.
    blocks: Vec<Vec<u32>>,
}

/// Where a place stands in the order.
#[derive(Clone, Copy)]
struct Rank<'n> {
    names: &'n dyn Names,
    name: &'n [u8],
    place: u32,
}

impl<'n> Rank<'n> {
    fn of(place: u32, names: &'n dyn Names) -> Self {
        Self { names, name: names.name(place), place }
    }

    /// Whether another place comes before it.
    fn is_after(self, other: u32) -> bool {
        other != self.place && (self.names.name(other), other) < (self.name, self.place)
    }

    /// Where the place is in a block, or belongs.
    fn index_in(self, block: &[u32]) -> usize {
        match block.last() {
            // They mostly come in their order.
            Some(&last) if self.is_after(last) => block.len(),
            _ => block.partition_point(|&other| self.is_after(other)),
        }
    }
}

impl Places {
    pub(super) fn one(place: u32) -> Self {
        Self(Form::One(place))
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "it never is empty")]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::One(_) => 1,
            Form::Few(places) => places.len(),
            Form::Many(many) => many.count,
        }
    }

    /// The places, by name.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + use<'_> {
        let (one, few, many): (_, &[u32], &[Vec<u32>]) = match &self.0 {
            Form::One(place) => (Some(*place), &[], &[]),
            Form::Few(places) => (None, places, &[]),
            Form::Many(many) => (None, &[], &many.blocks),
        };
        one.into_iter().chain(few.iter().copied()).chain(many.iter().flatten().copied())
    }

    /// Takes a place in; whether it is new.
    pub(super) fn insert(&mut self, place: u32, names: &dyn Names) -> bool {
        let rank = Rank::of(place, names);
        match &mut self.0 {
            Form::One(one) if *one == place => false,
            Form::One(one) => {
                let one = *one;
                let pair = if rank.is_after(one) { vec![one, place] } else { vec![place, one] };
                self.0 = Form::Few(pair);
                true
            }
            Form::Few(places) if places.len() < BLOCK => insert_sorted(places, rank),
            Form::Few(places) => {
                let mut many =
                    Blocks { count: places.len(), blocks: vec![core::mem::take(places)] };
                let new = many.insert(rank);
                self.0 = Form::Many(Box::new(many));
                new
            }
            Form::Many(many) => many.insert(rank),
        }
    }

    /// Takes a place out. Returns whether it was there, and whether it was all there was; then the
    /// set must not be used any more.
    pub(super) fn remove(&mut self, place: u32, names: &dyn Names) -> (bool, bool) {
        match &mut self.0 {
            Form::One(one) => (*one == place, *one == place),
            Form::Few(places) => {
                let removed = remove_from(places, place);
                if let [last] = places.as_slice() {
                    self.0 = Form::One(*last);
                }
                (removed, false)
            }
            Form::Many(many) => {
                let removed = many.remove(Rank::of(place, names));
                if many.count <= BLOCK / 4 {
                    self.0 = Form::Few(many.blocks.concat());
                }
                (removed, false)
            }
        }
    }
}

impl Blocks {
    /// The number of the block that a place belongs to: the last that does not begin behind it.
    fn block_of(&self, rank: Rank<'_>) -> usize {
        let begins = |block: &Vec<u32>| {
            block.first().is_none_or(|&first| first == rank.place || rank.is_after(first))
        };
        self.blocks.partition_point(begins).saturating_sub(1)
    }

    fn insert(&mut self, rank: Rank<'_>) -> bool {
        let mut number = self.block_of(rank);
        let Some(block) = self.blocks.get_mut(number) else { return false };
        if block.len() >= BLOCK {
            // Places mostly come in their order, and so leave full blocks behind.
            let append = block.last().is_some_and(|&last| rank.is_after(last));
            let upper = if append { vec![rank.place] } else { block.split_off(BLOCK / 2) };
            self.blocks.insert(number + 1, upper);
            if append {
                self.count += 1;
                return true;
            }
            number = self.block_of(rank);
        }
        let new = self.blocks.get_mut(number).is_some_and(|block| insert_sorted(block, rank));
        self.count += usize::from(new);
        new
    }

    fn remove(&mut self, rank: Rank<'_>) -> bool {
        let number = self.block_of(rank);
        let Some(block) = self.blocks.get_mut(number) else { return false };
        let removed = remove_from(block, rank.place);
        self.count -= usize::from(removed);
        if block.is_empty() {
            self.blocks.remove(number);
        }
        removed
    }
}

fn insert_sorted(places: &mut Vec<u32>, rank: Rank<'_>) -> bool {
    let index = rank.index_in(places);
    if places.get(index) == Some(&rank.place) {
        return false;
    }
    places.insert(index, rank.place);
    true
}

/// Numbers are compared faster than names are found.
fn remove_from(places: &mut Vec<u32>, place: u32) -> bool {
    let index = places.iter().position(|&other| other == place);
    if let Some(index) = index {
        places.remove(index);
    }
    index.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Some names are shared, and their order is not that of the places.
    struct Shuffled(Vec<[u8; 2]>);

    impl Shuffled {
        fn new(salt: u16) -> Self {
            let name = |place: u16| (place.wrapping_mul(40_503) ^ salt).to_be_bytes();
            Self((0..8000).map(|place| name(place / 2)).collect())
        }
    }

    impl Names for Shuffled {
        fn name(&self, place: u32) -> &[u8] {
            &self.0[place as usize]
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn it_is_a_set_sorted_by_name_and_place(
            steps in prop::collection::vec((any::<bool>(), 0_u32..4000), 1..9000),
            in_order in 0_u32..5000,
            salt in any::<u16>(),
        ) {
            let names = Shuffled::new(salt);
            let rank = |place: u32| (names.0[place as usize], place);
            let mut places = Places::one(0);
            let mut expected = BTreeSet::from([rank(0)]);
            let mut first: Vec<u32> = (1..in_order).collect();
            first.sort_by_key(|place| rank(*place));
            let first = first.into_iter().map(|place| (true, place));
            let emptied = (1..4000).map(|place| (false, place));
            for (insert, place) in first.chain(steps).chain(emptied) {
                if insert {
                    prop_assert_eq!(places.insert(place, &names), expected.insert(rank(place)));
                } else if expected.len() > 1 {
                    let removed = expected.remove(&rank(place));
                    prop_assert_eq!(places.remove(place, &names), (removed, false));
                }
                prop_assert_eq!(places.len(), expected.len());
            }
            prop_assert!(places.iter().eq(expected.iter().map(|(_, place)| *place)));
            prop_assert!(places.iter().rev().eq(expected.iter().rev().map(|(_, place)| *place)));
            for (_, place) in expected {
                let last = places.len() == 1;
                prop_assert_eq!(places.remove(place, &names), (true, last));
            }
        }
    }
}
