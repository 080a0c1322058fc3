//! Sets of places: one in place, several in a sorted vector, many in blocks of bounded size, so that
//! taking one in or out moves a block at most.

/// Most places in a block; one that is full is split.
const BLOCK: usize = 1024;

/// A set of places, never empty.
#[derive(Clone, Debug)]
pub struct Places(Form);

#[derive(Clone, Debug)]
enum Form {
    One(u32),
    /// Ascending.
    Few(Vec<u32>),
    Many(Box<Blocks>),
}

#[derive(Clone, Debug)]
struct Blocks {
    count: usize,
    /// One after the other and ascending, none of them empty.
    blocks: Vec<Vec<u32>>,
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

    /// The places, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'_> {
        let (one, few, many): (_, &[u32], &[Vec<u32>]) = match &self.0 {
            Form::One(place) => (Some(*place), &[], &[]),
            Form::Few(places) => (None, places, &[]),
            Form::Many(many) => (None, &[], &many.blocks),
        };
        one.into_iter().chain(few.iter().copied()).chain(many.iter().flatten().copied())
    }

    /// Takes a place in; whether it is new.
    pub(super) fn insert(&mut self, place: u32) -> bool {
        match &mut self.0 {
            Form::One(one) if *one == place => false,
            Form::One(one) => {
                self.0 = Form::Few(vec![place.min(*one), place.max(*one)]);
                true
            }
            Form::Few(places) if places.len() < BLOCK => insert_sorted(places, place),
            Form::Few(places) => {
                let mut many =
                    Blocks { count: places.len(), blocks: vec![core::mem::take(places)] };
                let new = many.insert(place);
                self.0 = Form::Many(Box::new(many));
                new
            }
            Form::Many(many) => many.insert(place),
        }
    }

    /// Takes a place out. Returns whether it was there, and whether it was all there was; then the
    /// set must not be used any more.
    pub(super) fn remove(&mut self, place: u32) -> (bool, bool) {
        match &mut self.0 {
            Form::One(one) => (*one == place, *one == place),
            Form::Few(places) => {
                let removed = remove_sorted(places, place);
                if let [last] = places.as_slice() {
                    self.0 = Form::One(*last);
                }
                (removed, false)
            }
            Form::Many(many) => {
                let removed = many.remove(place);
                if many.count <= BLOCK / 4 {
                    self.0 = Form::Few(many.blocks.concat());
                }
                (removed, false)
            }
        }
    }
}

impl Blocks {
    /// The number of the block that a place belongs to: the last that begins at or below it.
    fn block_of(&self, place: u32) -> usize {
        self.blocks.partition_point(|block| block.first() <= Some(&place)).saturating_sub(1)
    }

    fn insert(&mut self, place: u32) -> bool {
        let mut number = self.block_of(place);
        let Some(block) = self.blocks.get_mut(number) else { return false };
        if block.len() >= BLOCK {
            // Places mostly come in ascending, and so leave full blocks behind.
            let append = block.last() < Some(&place);
            let upper = if append { vec![place] } else { block.split_off(BLOCK / 2) };
            self.blocks.insert(number + 1, upper);
            if append {
                self.count += 1;
                return true;
            }
            number = self.block_of(place);
        }
        let new = self.blocks.get_mut(number).is_some_and(|block| insert_sorted(block, place));
        self.count += usize::from(new);
        new
    }

    fn remove(&mut self, place: u32) -> bool {
        let number = self.block_of(place);
        let Some(block) = self.blocks.get_mut(number) else { return false };
        let removed = remove_sorted(block, place);
        self.count -= usize::from(removed);
        if block.is_empty() {
            self.blocks.remove(number);
        }
        removed
    }
}

fn insert_sorted(places: &mut Vec<u32>, place: u32) -> bool {
    if places.last() < Some(&place) {
        places.push(place);
        return true;
    }
    let position = places.binary_search(&place);
    if let Err(position) = position {
        places.insert(position, place);
    }
    position.is_err()
}

fn remove_sorted(places: &mut Vec<u32>, place: u32) -> bool {
    let position = places.binary_search(&place);
    if let Ok(position) = position {
        places.remove(position);
    }
    position.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn it_is_a_sorted_set(steps in prop::collection::vec((any::<bool>(), 0_u32..4000), 1..9000), ascending in 0_u32..5000) {
            let mut places = Places::one(0);
            let mut expected = BTreeSet::from([0]);
            let first = (1..ascending).map(|place| (true, place));
            let emptied = (1..4000).map(|place| (false, place));
            for (insert, place) in first.chain(steps).chain(emptied) {
                if insert {
                    prop_assert_eq!(places.insert(place), expected.insert(place));
                } else if expected.len() > 1 {
                    prop_assert_eq!(places.remove(place), (expected.remove(&place), false));
                }
                prop_assert_eq!(places.len(), expected.len());
            }
            prop_assert!(places.iter().eq(expected.iter().copied()));
            for place in expected {
                let last = places.len() == 1;
                prop_assert_eq!(places.remove(place), (true, last));
            }
        }
    }
}
