//! Fields by path, and for each document how many words it has in each.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

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
    /// By number. Empty for those that no document has any more.
    paths: Vec<Box<str>>,
    by_path: HashTable<u32>,
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

/// Whether a path of a query is a field or leads to it.
pub(super) fn covers(path: &str, field: &str) -> bool {
    let below = field.strip_prefix(path);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn hash(path: &str) -> u64 {
    FixedState::with_seed(0x6b6f_7275).hash_one(path.as_bytes())
}

impl Fields {
    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        self.arena.bytes()
            + self.parts.capacity() * size_of::<Stream>()
            + self.current_words.capacity() * size_of::<u64>()
            + self.paths.iter().map(|path| path.len() + size_of::<Box<str>>()).sum::<usize>()
            + self.by_path.allocation_size()
    }

    /// Overwrites what is known of documents with zeros, before memory is given back.
    pub(super) fn wipe(&mut self) {
        self.arena.wipe();
        for path in core::mem::take(&mut self.paths) {
            let mut bytes = path.into_boxed_bytes();
            bytes.fill(0);
            core::hint::black_box(bytes);
        }
    }

    /// The number of a path, which is added if it is new.
    pub(super) fn intern(&mut self, path: &str) -> Result<u32, NoMemory> {
        let Self { paths, by_path, current_words, .. } = self;
        let of = |number: u32| paths.get(number as usize).map_or("", AsRef::as_ref);
        let hash_of_path = hash(path);
        let found = by_path.find(hash_of_path, |&number| of(number) == path);
        if let Some(&number) = found {
            return Ok(number);
        }
        by_path.try_reserve(1, |&number| hash(of(number)))?;
        paths.try_reserve(1)?;
        current_words.try_reserve(1)?;
        let mut owned = String::new();
        owned.try_reserve_exact(path.len())?;
        owned.push_str(path);
        let number = u32::try_from(paths.len()).map_err(|_| NoMemory)?;
        current_words.push(0);
        paths.push(owned.into_boxed_str());
        by_path.insert_unique(hash_of_path, number, |_| 0);
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
        let weight = |field: &str| {
            let covering = boosts.iter().filter(|(path, _)| covers(path, field));
            covering.max_by_key(|(path, _)| path.len()).map_or(0.0, |(_, boost)| *boost)
        };
        Weights::Some(self.paths.iter().map(|field| weight(field)).collect())
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
        new.paths.try_reserve_exact(self.paths.len())?;
        new.by_path.try_reserve(self.paths.len(), |_| 0)?;
        for ((number, path), used) in (0..).zip(&self.paths).zip(used) {
            if used {
                new.by_path.insert_unique(hash(path), number, |_| 0);
            }
            new.paths.push(if used { path.clone() } else { Box::default() });
        }
        Ok(new)
    }
}
