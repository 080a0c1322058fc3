//! The dictionary: every distinct word, its number, and where its postings are.
//!
//! A hash table finds words; their bytes lie in an [`Arena`]. For prefixes there is a second order of
//! the numbers, by word, made when a search asks for it: words that came since are sorted and merged
//! in, in time linear in the dictionary, unless they are few, when they are looked at one by one.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::NoMemory;
use super::arena::{Arena, Stream};
use super::blocks::{BLOCK_POSTINGS, Block, Extremes};

/// Up to this many words outside the order are looked at one by one.
const LOOSE_WORDS: usize = 1024;

/// A distinct word.
#[derive(Clone, Copy)]
pub(super) struct Term {
    text_at: u32,
    text_length: u16,
    /// The last row in [`Self::rows`].
    pub(super) last_row: u32,
    /// How many rows, of whatever state.
    pub(super) row_count: u32,
    /// For each row, ascending: its distance to the one before, and how often (see
    /// [`super::counts`]).
    pub(super) rows: Stream,
    /// For each of these rows: its positions, ascending, each as its distance to the one before.
    pub(super) positions: Stream,
    /// What bounds the scores of its blocks of postings (see [`super::blocks`]).
    pub(super) blocks: Stream,
    /// The same of the postings behind the last whole block.
    pub(super) open_block: Extremes,
}

impl Term {
    /// Counts the posting that was just written in: of this row, so often, in a document of so many
    /// words.
    ///
    /// # Errors
    /// When memory is refused; the term is as it was.
    pub(super) fn count(
        &mut self,
        arena: &mut Arena,
        row: u32,
        count: u32,
        length: u32,
    ) -> Result<(), NoMemory> {
        let mut extremes = self.open_block;
        extremes.take(count, length);
        if (self.row_count + 1).is_multiple_of(BLOCK_POSTINGS) {
            let block = Block { last_row: row, end: arena.end(self.rows), extremes };
            block.append(arena, &mut self.blocks)?;
            extremes = Extremes::NONE;
        }
        self.open_block = extremes;
        self.last_row = row;
        self.row_count += 1;
        Ok(())
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Terms {
    terms: Vec<Term>,
    by_text: HashTable<u32>,
    texts: Arena,
    /// Numbers by word: of the first so many words.
    order: Vec<u32>,
}

#[inline(always)]
fn hash(text: &[u8]) -> u64 {
    FixedState::with_seed(0x6b6f_7275).hash_one(text)
}

impl Terms {
    pub(super) fn len(&self) -> usize {
        self.terms.len()
    }

    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        self.texts.bytes()
            + self.terms.capacity() * size_of::<Term>()
            + self.order.capacity() * size_of::<u32>()
            + self.by_text.allocation_size()
    }

    #[inline(always)]
    pub(super) fn get(&self, number: u32) -> Option<&Term> {
        self.terms.get(number as usize)
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Term> {
        self.terms.get_mut(number as usize)
    }

    /// The word of a term.
    #[inline(always)]
    pub(super) fn text(&self, number: u32) -> &[u8] {
        self.get(number).map_or(&[], |term| self.text_of(term))
    }

    #[inline(always)]
    fn text_of(&self, term: &Term) -> &[u8] {
        self.texts.get(term.text_at, usize::from(term.text_length))
    }

    /// The number of a word.
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        self.by_text.find(hash(text), |&number| self.text(number) == text).copied()
    }

    /// The number of a word, which is added if it is new. Words have at most 256 bytes.
    ///
    /// # Errors
    /// When memory is refused; nothing is added.
    pub(super) fn intern(&mut self, text: &[u8]) -> Result<u32, NoMemory> {
        let Self { terms, by_text, texts, .. } = self;
        let bytes = |number: u32| {
            let term: Option<&Term> = terms.get(number as usize);
            term.map_or(&[][..], |term| texts.get(term.text_at, usize::from(term.text_length)))
        };
        let hash_of_text = hash(text);
        if let Some(&number) = by_text.find(hash_of_text, |&number| bytes(number) == text) {
            return Ok(number);
        }
        by_text.try_reserve(1, |&number| hash(bytes(number))).map_err(|_| NoMemory)?;
        terms.try_reserve(1)?;
        let text_at = texts.place(text)?;
        let number = u32::try_from(terms.len()).map_err(|_| NoMemory)?;
        terms.push(Term {
            text_at,
            text_length: u16::try_from(text.len()).unwrap_or(u16::MAX),
            last_row: 0,
            row_count: 0,
            rows: Stream::EMPTY,
            positions: Stream::EMPTY,
            blocks: Stream::EMPTY,
            open_block: Extremes::NONE,
        });
        by_text.insert_unique(hash_of_text, number, |_| 0);
        Ok(number)
    }

    /// The numbers of the words that begin with `prefix`, in some order; nothing if they are more than
    /// `most`.
    pub(super) fn with_prefix(&mut self, prefix: &[u8], most: usize) -> Option<Vec<u32>> {
        if self.terms.len() - self.order.len() > LOOSE_WORDS {
            self.sort();
        }
        let from = self.order.partition_point(|&number| self.text(number) < prefix);
        let sorted = self.order.get(from..).unwrap_or_default();
        let loose = (self.order.len()..self.terms.len()).filter_map(|at| u32::try_from(at).ok());
        let found: Vec<u32> = sorted
            .iter()
            .copied()
            .take_while(|&number| self.text(number).starts_with(prefix))
            .chain(loose.filter(|&number| self.text(number).starts_with(prefix)))
            .take(most.saturating_add(1))
            .collect();
        (found.len() <= most).then_some(found)
    }

    /// Brings all words into the order. A merge of what is sorted and what is new.
    fn sort(&mut self) {
        let loose = (self.order.len()..self.terms.len()).filter_map(|at| u32::try_from(at).ok());
        let mut new: Vec<u64> = loose.map(u64::from).collect();
        self.sort_from(&mut new, 0);
        let mut merged = Vec::with_capacity(self.terms.len());
        let mut old = self.order.iter().copied().peekable();
        for number in new {
            let number = low(number);
            while let Some(earlier) = old.next_if(|&old| self.text(old) < self.text(number)) {
                merged.push(earlier);
            }
            merged.push(number);
        }
        merged.extend(old);
        self.order = merged;
    }

    /// Sorts numbers by their words, which are the same up to this byte: by the next four bytes, and
    /// those that have the same four by what follows. No word has a zero byte, so that those that end
    /// come first.
    fn sort_from(&self, numbers: &mut [u64], byte: usize) {
        for number in &mut *numbers {
            let text = self.text(low(*number)).get(byte..).unwrap_or_default();
            let mut four = [0; 4];
            four.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
            *number = u64::from(u32::from_be_bytes(four)) << 32 | u64::from(low(*number));
        }
        numbers.sort_unstable();
        for same in numbers.chunk_by_mut(|a, b| a >> 32 == b >> 32) {
            // Words are distinct: of those that ended there is one.
            if same.len() > 1 {
                self.sort_from(same, byte + 4);
            }
        }
    }

    /// Overwrites all words with zeros, before memory is given back.
    pub(super) fn wipe(&mut self) {
        self.texts.wipe();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
#[inline(always)]
fn low(key: u64) -> u32 {
    key as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_found_whole_and_by_prefix(
            batches in prop::collection::vec(prop::collection::vec("[ab]{0,3}", 0..40), 0..4),
            many in any::<bool>(),
        ) {
            let mut terms = Terms::default();
            let mut model: Vec<String> = Vec::new();
            for (round, batch) in batches.iter().enumerate() {
                let filler = (0..if many { 1500 } else { 0 }).map(|at| format!("c{round}-{at}"));
                for word in batch.iter().cloned().chain(filler) {
                    let number = terms.intern(word.as_bytes()).unwrap();
                    let expected = model.iter().position(|one| *one == word).unwrap_or(model.len());
                    prop_assert_eq!(number as usize, expected);
                    if expected == model.len() {
                        model.push(word);
                    }
                }
                for prefix in ["", "a", "b", "ab", "ba", "aaa", "c0-1", "d"] {
                    let expected: Vec<u32> = (0..).zip(&model)
                        .filter(|(_, word)| word.starts_with(prefix)).map(|(at, _)| at).collect();
                    let least = expected.len();
                    let mut found = terms.with_prefix(prefix.as_bytes(), least).unwrap();
                    found.sort_unstable();
                    prop_assert_eq!(found, expected);
                    if least > 0 {
                        prop_assert_eq!(terms.with_prefix(prefix.as_bytes(), least - 1), None);
                    }
                }
            }
            for (number, word) in (0..).zip(&model) {
                prop_assert_eq!(terms.find(word.as_bytes()), Some(number));
            }
            prop_assert_eq!(terms.find(b"missing"), None);
        }
    }
}
