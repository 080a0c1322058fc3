//! Sorting documents by their keys, whole or only the first of them.
//!
//! Keys lie one after the other in one buffer, and beside each item the first eight bytes of its key,
//! which decide most comparisons. If only the first `k` are wanted, a buffer of up to `2k` is cut
//! back to the best `k` whenever it is full (a selection in linear time), so `n` offers cost
//! O(n + k log k), and those behind the worst of the best in hand cost one comparison.

use core::cmp::Ordering;

use crate::error::{Error, Kind, Result};

/// Collects items with their keys, and returns them in the order of the keys.
///
/// ```
/// use koru_delta_core::query::Sorter;
///
/// let mut sorter = Sorter::new(1, Some(2));
/// for (item, key) in ["pear", "fig", "plum", "apple"].into_iter().enumerate() {
///     sorter.offer(key.as_bytes(), item).unwrap();
/// }
/// assert_eq!(sorter.finish(), [1, 0]); // after apple: fig and pear
/// ```
#[derive(Clone, Debug)]
pub struct Sorter<T> {
    offset: usize,
    /// How many of the best are kept.
    keep: usize,
    keys: Vec<u8>,
    entries: Vec<Entry<T>>,
    /// The key of the worst of the best, once there are enough.
    worst: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    head: u64,
    start: usize,
    length: usize,
    item: T,
}

impl<T> Sorter<T> {
    /// For the items from `offset` on, at most `limit` of them.
    #[must_use]
    pub fn new(offset: usize, limit: Option<usize>) -> Self {
        let keep = limit.map_or(usize::MAX, |limit| offset.saturating_add(limit));
        Self { offset, keep, keys: Vec::new(), entries: Vec::new(), worst: None }
    }

    /// Takes the item if it may be one of those wanted. Keys should differ: of items with equal keys
    /// it is not defined which is first.
    ///
    /// # Errors
    /// `Limit` if memory for it cannot be had.
    pub fn offer(&mut self, key: &[u8], item: T) -> Result<()> {
        if self.keep == 0 || self.worst.as_ref().is_some_and(|worst| key >= worst.as_slice()) {
            return Ok(());
        }
        let room = self.keys.try_reserve(key.len()).and_then(|()| self.entries.try_reserve(1));
        room.map_err(|_| {
            Error::new(
                Kind::Limit,
                format!("no memory to sort more than {} documents", self.entries.len()),
                "give a limit, or narrow the query with where",
            )
        })?;
        let (start, length) = (self.keys.len(), key.len());
        self.keys.extend_from_slice(key);
        self.entries.push(Entry { head: head(key), start, length, item });
        if self.entries.len() >= self.keep.saturating_mul(2).max(64) {
            self.settle();
        }
        Ok(())
    }

    /// The bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.keys.capacity() + self.entries.capacity() * size_of::<Entry<T>>()
    }

    /// The items wanted, in order.
    #[must_use]
    pub fn finish(mut self) -> Vec<T> {
        let keys = &self.keys;
        self.entries.sort_unstable_by(|left, right| order(keys, left, right));
        let wanted = self.keep.saturating_sub(self.offset);
        self.entries.into_iter().skip(self.offset).take(wanted).map(|entry| entry.item).collect()
    }

    /// Cuts back to the best.
    fn settle(&mut self) {
        if self.entries.len() <= self.keep || self.keep == 0 {
            return;
        }
        let keys = &self.keys;
        self.entries.select_nth_unstable_by(self.keep - 1, |left, right| order(keys, left, right));
        self.entries.truncate(self.keep);
        self.worst = self.entries.last().map(|entry| key_of(keys, entry).to_vec());
        // The keys that stay move to the front, lowest first, so none overwrites another.
        self.entries.sort_unstable_by_key(|entry| entry.start);
        let mut end = 0;
        for entry in &mut self.entries {
            self.keys.copy_within(entry.start..entry.start + entry.length, end);
            entry.start = end;
            end += entry.length;
        }
        self.keys.truncate(end);
    }
}

/// The first eight bytes, zeros for those that are not there.
fn head(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (byte, from) in bytes.iter_mut().zip(key) {
        *byte = *from;
    }
    u64::from_be_bytes(bytes)
}

fn key_of<'a, T>(keys: &'a [u8], entry: &Entry<T>) -> &'a [u8] {
    keys.get(entry.start..entry.start + entry.length).unwrap_or_default()
}

fn order<T>(keys: &[u8], left: &Entry<T>, right: &Entry<T>) -> Ordering {
    left.head.cmp(&right.head).then_with(|| key_of(keys, left).cmp(key_of(keys, right)))
}
