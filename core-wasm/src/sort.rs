//! Sorting what is short or sorted rarely, by one copy of the code for all types.
//!
//! The standard library's sort is compiled anew for each type and each comparison, which in a module
//! takes some eight kilobytes each. This one sorts numbers of items by a comparison that is called
//! through a pointer, and moves the items afterwards. Inner loops use the standard library's.

use core::cmp::Ordering;

/// Sorts by a comparison; equal items stay in their order. O(n log n) comparisons, and memory for a
/// number each.
///
/// ```
/// let mut words = ["pear", "fig", "plum", "apple"];
/// koru_delta_core::sort::sort_by(&mut words, |one, other| one.len().cmp(&other.len()));
/// assert_eq!(words, ["fig", "pear", "plum", "apple"]);
/// ```
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).collect();
    let at = |number: u32| items.get(number as usize);
    sort_numbers(&mut order, &|one, other| match (at(one), at(other)) {
        (Some(one), Some(other)) => compare(one, other),
        _ => Ordering::Equal,
    });
    arrange(order, &mut |one, other| items.swap(one, other));
}

/// Sorts keys, the largest first, by the standard library's sort, for whoever is in a hurry.
#[inline(never)]
pub fn descending(keys: &mut [u64]) {
    keys.sort_unstable_by(|one, other| other.cmp(one));
}

/// [`sort_by`] the natural order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

fn sort_numbers(order: &mut [u32], compare: &dyn Fn(u32, u32) -> Ordering) {
    order.sort_by(|one, other| compare(*one, *other));
}

/// Brings items into an order, which says for each place which item goes there.
fn arrange(mut order: Vec<u32>, swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..order.len() {
        let mut place = start;
        // Follows a cycle of places; each is swapped into once, and marked as done.
        while let Some(next) = order.get_mut(place) {
            let from = core::mem::replace(next, u32::try_from(place).unwrap_or(u32::MAX)) as usize;
            if from == start || from == place {
                break;
            }
            swap(place, from);
            place = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_stable_sort(items: Vec<(u8, u32)>) {
            let (mut found, mut expected) = (items.clone(), items);
            sort_by(&mut found, |one, other| one.0.cmp(&other.0));
            expected.sort_by_key(|item| item.0);
            prop_assert_eq!(found, expected);
        }
    }
}
