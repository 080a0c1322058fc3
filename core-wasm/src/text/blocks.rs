//! Blocks of postings: what a search may know of a stretch of a term's rows without reading it.
//!
//! Of every [`BLOCK_POSTINGS`] postings of a term, 16 bytes in a stream of their own tell where they
//! end and how well any of them can score at most. BM25 grows with a word's count and falls with the
//! document's length, so the shortest document with the word once, and the most occurrences together
//! with the shortest document of those that have it more often, bound all of them. (Block-max
//! indexes: Ding and Suel, 2011.)

use crate::float::larger;

use super::NoMemory;
use super::arena::{Arena, Spot, Stream};

/// Postings of a block.
pub(super) const BLOCK_POSTINGS: u32 = 64;
/// The bytes of a block that is complete.
const BLOCK_BYTES: usize = 16;

/// What bounds the scores of some postings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extremes {
    /// The words of the shortest document that has the term once; the most that fits if it has more.
    once: u16,
    /// The same of those that have it more often.
    more: u16,
    /// How often it is in one document at most; what does not fit is without bound.
    most: u16,
}

fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

impl Extremes {
    /// Those of no postings.
    pub(super) const NONE: Self = Self { once: u16::MAX, more: u16::MAX, most: 0 };

    /// Takes a posting in.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32, length: u32) {
        let shortest = if count > 1 { &mut self.more } else { &mut self.once };
        *shortest = narrow(length).min(*shortest);
        self.most = self.most.max(narrow(count));
    }

    /// No less than `score` of any of the postings; it is called with counts and lengths, grows with
    /// the count and falls with the length.
    pub(super) fn bound(self, score: impl Fn(f64, f64) -> f64) -> f64 {
        let once = score(1.0, f64::from(self.once));
        if self.most <= 1 {
            return once;
        }
        let most = if self.most == u16::MAX { f64::MAX } else { f64::from(self.most) };
        larger(once, score(most, f64::from(self.more)))
    }
}

/// A stretch of postings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The row of its last posting.
    pub(super) last_row: u32,
    /// Where it ends in the stream of rows.
    pub(super) end: Spot,
    pub(super) extremes: Extremes,
}

impl Block {
    /// Appends it to a term's stream of blocks.
    ///
    /// # Errors
    /// When memory is refused; the stream is as it was.
    pub(super) fn append(self, arena: &mut Arena, stream: &mut Stream) -> Result<(), NoMemory> {
        let Extremes { once, more, most } = self.extremes;
        let mut bytes = [0; BLOCK_BYTES];
        let words = [self.last_row.to_le_bytes(), self.end.slice.to_le_bytes()];
        let halves = [self.end.used, once, more, most].map(u16::to_le_bytes);
        let all = words.as_flattened().iter().chain(halves.as_flattened());
        bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = *byte);
        arena.append(stream, &bytes)
    }

    fn of(bytes: [u8; BLOCK_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
        let [used, once, more, most] =
            [[rest[0], rest[1]], [rest[2], rest[3]], [rest[4], rest[5]], [rest[6], rest[7]]]
                .map(u16::from_le_bytes);
        Self {
            last_row: u32::from_le_bytes([a, b, c, d]),
            end: Spot { slice: u32::from_le_bytes([e, f, g, h]), used },
            extremes: Extremes { once, more, most },
        }
    }

    /// The blocks of a stream, in order.
    pub(super) fn all(arena: &Arena, stream: Stream) -> impl Iterator<Item = Self> {
        let mut reader = arena.read(stream);
        core::iter::from_fn(move || reader.array::<BLOCK_BYTES>().map(Self::of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As BM25 does.
    fn score(count: f64, length: f64) -> f64 {
        count / (count + 0.3 + 0.01 * length)
    }

    proptest! {
        #[test]
        fn no_posting_scores_more_than_its_bound(
            postings in prop::collection::vec((1_u32..4, 1_u32..50), 1..10),
            large in prop::collection::vec((1_u32..100_000, 1_u32..100_000), 0..3),
        ) {
            let mut extremes = Extremes::NONE;
            let all: Vec<(u32, u32)> = postings.into_iter().chain(large).collect();
            for &(count, length) in &all {
                extremes.take(count, length);
            }
            let bound = extremes.bound(score);
            for (count, length) in all {
                prop_assert!(score(f64::from(count), f64::from(length)) <= bound);
            }
        }
    }

    #[test]
    fn blocks_are_read_as_they_were_written() {
        let (mut arena, mut stream) = (Arena::default(), Stream::EMPTY);
        let blocks: Vec<Block> = (0..300)
            .map(|number| {
                let mut extremes = Extremes::NONE;
                extremes.take(1 + number % 3, number);
                let end = Spot { slice: number * 7, used: narrow(number) };
                Block { last_row: number << 20, end, extremes }
            })
            .collect();
        for block in &blocks {
            block.append(&mut arena, &mut stream).unwrap();
        }
        assert_eq!(Block::all(&arena, stream).collect::<Vec<_>>(), blocks);
    }
}
