//! BM25: what a match adds to a document's score.

use crate::float::larger;

/// How fast more occurrences of a word stop to matter.
const K1: f64 = 1.2;
/// How much long documents are held back.
const B: f64 = 0.75;

/// BM25 of a collection, for a clause once it has its weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    documents: f64,
    per_word: f64,
    most: f64,
    /// Added and taken away again, it rounds parts to whole multiples of one small number.
    rounder: f64,
}

impl Measure {
    /// Of this many documents that have so many words together.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub(super) fn new(documents: u64, words: u64) -> Self {
        let documents = documents as f64;
        // A match means that there is a word, so where it counts the average is not zero.
        let per_word = K1 * B / (words as f64 / larger(documents, 1.0));
        Self { documents, per_word, most: 0.0, rounder: 0.0 }
    }

    /// The most that a clause can add that is so often in the query and matches so many documents.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub(super) fn most(&self, times: u32, frequency: usize) -> f64 {
        let frequency = frequency as f64;
        let rarity = (1.0 + (self.documents - frequency + 0.5) / (frequency + 0.5)).ln();
        f64::from(times) * rarity * (K1 + 1.0)
    }

    /// Has parts rounded so that sums up to `ideal` are exact, in whatever order they are added: to
    /// multiples of 2^-50 of it, or a little more. That is below what `f32` can show of any score
    /// that is not a hundred-millionth of the ideal one.
    pub(super) fn round_for(&mut self, ideal: f64) {
        const EXPONENT: u64 = 0x7FF0_0000_0000_0000;
        // The power of two that is over `ideal`, doubled: sums with it have all one exponent.
        self.rounder = 4.0 * f64::from_bits(ideal.to_bits() & EXPONENT);
    }

    /// The same for a clause that can add so much.
    pub(super) fn of(self, most: f64) -> Self {
        Self { most, ..self }
    }

    /// What a document of so many words gets in which the clause is so often.
    #[inline(always)]
    pub(super) fn part(&self, count: f64, length: u32) -> f64 {
        self.part_of_numbers(count, f64::from(length))
    }

    /// [`Self::part`] of any numbers: grows with the count and falls with the length.
    #[inline(always)]
    pub(super) fn part_of_numbers(&self, count: f64, length: f64) -> f64 {
        let held_back = K1 * (1.0 - B) + self.per_word * length;
        let part = self.most * count / (count + held_back);
        (part + self.rounder) - self.rounder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_do_not_depend_on_the_order(
            parts in prop::collection::vec((1_u32..6, 1_usize..100_000, 1_u32..5, 1_u32..400), 1..40),
            words in 100_000_u64..10_000_000,
        ) {
            let mut measure = Measure::new(100_000, words);
            let most = parts.iter().map(|(times, frequency, ..)| measure.most(*times, *frequency));
            measure.round_for(most.sum());
            let part = |&(times, frequency, count, length): &(u32, usize, u32, u32)| {
                measure.of(measure.most(times, frequency)).part(f64::from(count), length)
            };
            let forward: f64 = parts.iter().map(part).fold(0.0, |sum, part| sum + part);
            let backward: f64 = parts.iter().rev().map(part).fold(0.0, |sum, part| sum + part);
            prop_assert_eq!(forward.to_bits(), backward.to_bits());
        }
    }
}
