//! Fields by path, and for each document how many words it has in each.

use core::ops::Bound;
use std::collections::BTreeMap;

use super::NoMemory;
use super::arena::{Arena, Stream, Varints};

/// A field's part of a document. The positions of a document's words are numbered field by field,
/// with one left out between strings, so that no phrase reaches from one into the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) field: u32,
    /// The words of the document in this field.
    pub(super) words: u32,
    /// The positions that they take: the words and what is left out between strings.
    pub(super) span: u32,
}

/// Paths and their numbers, and the parts of documents.
#[derive(Default)]
pub(super) struct Fields {
    by_path: BTreeMap<Box<str>, u32>,
    /// For each number, the words of all current documents.
    current_words: Vec<u64>,
    arena: Arena,
    /// For each row.
    parts: Vec<Stream>,
}

/// What a field weighs in a search.
#[derive(Clone, Debug)]
pub(super) enum Weights {
    /// Each 1.
    All,
    /// By number; 0 for those that are not searched.
    Some(Vec<f64>),
}

impl Weights {
    #[inline]
    pub(super) fn of(&self, field: u32) -> f64 {
        match self {
            Self::All => 1.0,
            Self::Some(weights) => weights.get(field as usize).copied().unwrap_or(0.0),
        }
    }
}

impl Fields {
    /// Bytes taken, but for the paths' tree.
    pub(super) fn bytes(&self) -> usize {
        self.arena.bytes()
            + self.parts.capacity() * size_of::<Stream>()
            + self.current_words.capacity() * size_of::<u64>()
            + self.by_path.keys().map(|path| path.len() + 32).sum::<usize>()
    }

    /// Overwrites what is known of documents with zeros, before memory is given back.
    pub(super) fn wipe(&mut self) {
        self.arena.wipe();
        for (path, _) in core::mem::take(&mut self.by_path) {
            let mut bytes = path.into_boxed_bytes();
            bytes.fill(0);
            core::hint::black_box(bytes);
        }
    }

    /// The number of a path, which is added if it is new.
    pub(super) fn intern(&mut self, path: &str) -> Result<u32, NoMemory> {
        if let Some(&number) = self.by_path.get(path) {
            return Ok(number);
        }
        let number = u32::try_from(self.current_words.len()).unwrap_or(u32::MAX);
        self.current_words.try_reserve(1)?;
        let mut owned = String::new();
        owned.try_reserve_exact(path.len())?;
        owned.push_str(path);
        self.current_words.push(0);
        self.by_path.insert(owned.into_boxed_str(), number);
        Ok(number)
    }

    /// Makes room for a row's place; its parts may need more.
    pub(super) fn reserve_row(&mut self) -> Result<(), NoMemory> {
        Ok(self.parts.try_reserve(1)?)
    }

    /// Adds the parts of the next row, for which there is a place.
    ///
    /// # Errors
    /// When memory is refused; then the row has no parts.
    pub(super) fn push(&mut self, parts: &[Part]) -> Result<(), NoMemory> {
        let stream = self.write(parts);
        self.parts.push(*stream.as_ref().unwrap_or(&Stream::EMPTY));
        stream.map(|_| ())
    }

    fn write(&mut self, parts: &[Part]) -> Result<Stream, NoMemory> {
        let mut stream = Stream::EMPTY;
        for part in parts {
            let gaps = part.span - part.words;
            let values = [part.field << 1 | u32::from(gaps > 0), part.words, gaps];
            let values = values.get(..if gaps > 0 { 3 } else { 2 }).unwrap_or_default();
            self.arena.append(&mut stream, Varints::of(values).bytes())?;
        }
        Ok(stream)
    }

    /// The parts of a row, in the order of positions.
    pub(super) fn parts(&self, row: u32) -> impl Iterator<Item = Part> + '_ {
        let stream = self.parts.get(row as usize).copied().unwrap_or(Stream::EMPTY);
        let mut reader = self.arena.read(stream);
        core::iter::from_fn(move || {
            let head = reader.varint()?;
            let words = reader.varint()?;
            let gaps = if head & 1 == 1 { reader.varint()? } else { 0 };
            Some(Part { field: head >> 1, words, span: words + gaps })
        })
    }

    /// Counts a row's words as those of a current document, or takes them back.
    pub(super) fn count_current(&mut self, row: u32, current: bool) {
        let stream = self.parts.get(row as usize).copied().unwrap_or(Stream::EMPTY);
        let mut reader = self.arena.read(stream);
        while let (Some(head), Some(words)) = (reader.varint(), reader.varint()) {
            if head & 1 == 1 {
                reader.varint();
            }
            if let Some(total) = self.current_words.get_mut((head >> 1) as usize) {
                let words = u64::from(words);
                *total = if current { *total + words } else { total.saturating_sub(words) };
            }
        }
    }

    /// The words of all current documents in the fields that weigh anything.
    pub(super) fn current_words(&self, weights: &Weights) -> u64 {
        (0..)
            .zip(&self.current_words)
            .filter(|&(field, _)| weights.of(field) > 0.0)
            .map(|(_, words)| words)
            .sum()
    }

    /// A row's words in the fields that weigh anything.
    #[inline]
    pub(super) fn words(&self, row: u32, weights: &Weights) -> u32 {
        self.parts(row).filter(|part| weights.of(part.field) > 0.0).map(|part| part.words).sum()
    }

    /// Weights by path: a path stands for the field and all below it, and where several do, the
    /// longest decides.
    pub(super) fn weights(&self, boosts: &[(String, f64)]) -> Weights {
        let mut weights = vec![0.0; self.current_words.len()];
        let mut by_length: Vec<&(String, f64)> = boosts.iter().collect();
        by_length.sort_by_key(|(path, _)| path.len());
        for (path, boost) in by_length {
            let mut set = |number: &u32| {
                if let Some(weight) = weights.get_mut(*number as usize) {
                    *weight = *boost;
                }
            };
            self.by_path.get(path.as_str()).into_iter().for_each(&mut set);
            let below = format!("{path}.");
            let from = (Bound::Included(below.as_str()), Bound::Unbounded);
            let range = self.by_path.range::<str, _>(from);
            range
                .take_while(|(path, _)| path.starts_with(&below))
                .map(|(_, number)| number)
                .for_each(set);
        }
        Weights::Some(weights)
    }

    /// The same without the rows that are not kept, and without paths that no row is left of.
    /// Numbers of fields and rows stay.
    pub(super) fn compacted(&self, keep: impl Fn(u32) -> bool) -> Result<Self, NoMemory> {
        let mut new = Self::default();
        new.current_words.try_reserve_exact(self.current_words.len())?;
        new.current_words.extend_from_slice(&self.current_words);
        let mut used = vec![false; self.current_words.len()];
        let mut parts = Vec::new();
        for row in (0..).take(self.parts.len()) {
            parts.clear();
            parts.extend(self.parts(row).filter(|_| keep(row)));
            for part in &parts {
                if let Some(place) = used.get_mut(part.field as usize) {
                    *place = true;
                }
            }
            new.reserve_row()?;
            new.push(&parts)?;
        }
        let is_used = |number: u32| used.get(number as usize) == Some(&true);
        let kept = self.by_path.iter().filter(|&(_, &number)| is_used(number));
        new.by_path = kept.map(|(path, &number)| (path.clone(), number)).collect();
        Ok(new)
    }
}
