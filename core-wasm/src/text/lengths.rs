//! For each row its words in the fields that a search is about, remembered from one search to the next.
//!
//! A row's words never change while it can be found, so fields that were asked for last cost only the
//! rows that came since.

use super::fields::{Fields, Weights};

/// The words of rows in some fields.
#[derive(Default)]
pub(super) struct Lengths {
    /// The fields, as the query named them.
    boosts: Vec<(String, f64)>,
    words: Vec<u32>,
}

impl Lengths {
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u32>()
    }

    /// The words of the rows before `end` in the fields that weigh anything, of which `boosts` are the
    /// names.
    pub(super) fn update(
        &mut self,
        boosts: &[(String, f64)],
        weights: &Weights,
        fields: &Fields,
        end: u32,
    ) {
        if self.boosts != boosts {
            self.words.clear();
            self.boosts = boosts.to_vec();
        }
        let known = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.words.extend((known..end).map(|row| fields.words(row, weights)));
    }

    /// What [`Lengths::update`] found, by row.
    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }
}
