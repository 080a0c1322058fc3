//! Full text: an inverted index of the words in documents, and searches ranked by BM25.
//!
//! # Queries
//!
//! | part of a query | finds documents with |
//! |---|---|
//! | `word` | the word: any of several will do, and more of them rank higher |
//! | `"some words"` | the words one behind the other, in one string; without its end it goes to the end |
//! | `prefix*` | a word that begins so; the star directly behind the word, and not inside quotes |
//! | `+part` | the part, for certain |
//! | `-part` | anything but that |
//!
//! A sign counts at the start of the query or behind a space. A part without spaces that is several
//! words, as `os.path` or `don't`, is these words, any of them; behind a sign it is a phrase. A query
//! without a part that has a word and is not excluded finds nothing.
//!
//! # Words
//!
//! A word is a longest run of letters and digits, without case and accents, cut after 64 characters;
//! `words.rs` and `fold.rs` have all the rules. For ASCII text the words are
//! `[w[:64] for w in re.findall(r"[a-z0-9]+", text.lower())]`. Han, kana, Hangul, Thai and other
//! scripts that are searched without spaces give pairs of characters.
//!
//! # Scores
//!
//! BM25, with k1 = 1.2 and b = 0.75. Each part of the query that is not excluded adds
//! `idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average_length))` with
//! `idf = ln(1 + (N - df + 0.5) / (df + 0.5))`, as often as it is in the query.
//!
//! - `N` counts the documents of the collection ([`Among`]), those without text too; `df` those that
//!   the part matches; lengths are numbers of words in the searched fields.
//! - `tf` is how often: of a word, its occurrences, each times the boost of its field; of a phrase, the
//!   places where it begins, so too; of a prefix, the sum over its words.
//! - Where all fields weigh the same, parts are rounded to some 2^-50 of the most that the query
//!   allows, so that sums are exact.
//!
//! # Theory of operation
//!
//! [`Index`] gives each document a row and each distinct word a term (`terms.rs`). A term has two byte
//! streams in an arena (`arena.rs`): rows with counts (`counts.rs`), and positions. Scoring reads the
//! first only; phrases read both. A search adds up scores for a few hundred rows at a time and leaves
//! out what cannot come to a hit (`windows.rs`), by what is known of blocks of postings (`blocks.rs`).
//! Searches of the past and of the present differ in nothing but the bitmap of rows they see.

mod arena;
mod blocks;
mod counts;
mod cursor;
mod fields;
mod fold;
mod index;
mod lengths;
mod matches;
mod measure;
mod query;
mod search;
mod snippet;
mod terms;
#[cfg(test)]
mod tests;
mod walk;
mod window;
mod windows;
mod words;

pub use crate::vector::{Hit, Tie};
use crate::vector::{TopK, bitmap};
pub use index::Index;
pub use query::{Fields, Query};
pub use search::{Answer, Judge};
pub use snippet::{Snippet, snippet};

/// Memory was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl From<std::collections::TryReserveError> for NoMemory {
    fn from(_: std::collections::TryReserveError) -> Self {
        Self
    }
}

impl From<hashbrown::TryReserveError> for NoMemory {
    fn from(_: hashbrown::TryReserveError) -> Self {
        Self
    }
}

/// The collection of a search: what may be found, and what the statistics are about. Erased rows are
/// in none.
#[derive(Clone, Copy, Debug)]
pub enum Among<'a> {
    /// The current rows.
    Current,
    /// Rows by bitmap, current or not.
    Bitmap(&'a [u64]),
}
