//! Recall: the memories that fit a question, by how relevant, how recent and how important they are.
//!
//! A memory is a value with a number `importance`. Its score is `relevance * lift`, with
//!
//! ```text
//! relevance = (1 - share) * text + share * max(0, cosine)
//! lift = (w1 + w2 * recency + w3 * importance) / (w1 + w2 + w3)
//! ```
//!
//! Relevance is a factor, so recency and importance order what matches and lift nothing that does
//! not: what has none of the words and no near vector is not recalled at all. All parts lie between 0
//! and 1. Relevance by text is BM25 over its ideal, which is the score of a document with every word
//! so often that more would not count. Recency halves with each half-life since the version was
//! written.
//!
//! # Theory of operation
//!
//! Every memory that could be among the best is looked at, and hardly any other. "Could" is proven,
//! but for what one-bit codes tell, of which the odds are known: see [`shortlist`](crate::vector::shortlist).
//!
//! 1. A search by vector ranks by `cosine * lift`, which is at most the cosine, so its bounds hold. It
//!    finds the best [`NEAR_EACH`] for each memory that is wanted. What it leaves out has at most the
//!    last one's `cosine * lift`, or a cosine too small to match without a word.
//! 2. The index of the memories' contents says how well the near ones fit by their words. The best
//!    of them are what others have to reach.
//! 3. So it is known what share of the ideal score by text another memory needs at least, with what
//!    vectors can add at most to one that is not among the near ones. The index leaves out the rows
//!    and words that cannot come to that, as it does in searches. Most of the others cannot be among
//!    the best either, by age and importance, or are too far away for that: the first step has the
//!    lead distances of all. The rest wait, and are looked at by what they can reach, the best first,
//!    until no other can be among the best.
//!
//! Since words only add to a score, what is near but left out in the first step, and has no word, is
//! behind as many as are wanted. The text index knows each row's importance, so that no value is read
//! for it ([`Text::find_importances`](super::derived::Text::find_importances)).

use core::ops::{Range, RangeInclusive};

use crate::error::{Error, Kind, Result};
use crate::float::{larger, smaller};
use crate::limits::MAX_TOP_K;
use crate::log::record::Record;
use crate::query::{Field, Filter};
use crate::text::{Among, Query};

use super::derived::{Strings, indexed};
use super::lift::Lift;
use super::vectors::{Near, Weighing};
use super::versions::Place;
use super::{Database, Similar, TextSearch};

mod best;
mod ranking;

use best::Ranked;
use ranking::{Asked, Ranking};

/// A question to memories.
#[derive(Clone, Debug)]
pub struct Recall<'a> {
    /// Where to look, for which words, and with what filter; `top_k` is how many to recall.
    pub search: TextSearch<'a>,
    /// The question's vector, if it has one.
    pub query: Option<&'a [f32]>,
    /// Model of the vectors; `None` for the one that fits.
    pub model: Option<&'a str>,
    /// Only memories that were written at these times, in microseconds since 1970.
    pub written: RangeInclusive<u64>,
    /// Only memories of at least this relevance.
    pub min_relevance: f64,
    /// Time of the question, in microseconds since 1970. What it sees counts as written by then.
    pub now_us: u64,
    /// Time in which recency halves, in microseconds.
    pub half_life_us: f64,
    /// Weights of relevance, recency and importance.
    pub weights: [f64; 3],
    /// Share of the vectors in relevance, from 0 to 1.
    pub vector_share: f64,
    /// Least cosine of a memory that has none of the words.
    pub min_cosine: f64,
}

/// A memory that was recalled.
#[derive(Clone, Copy, Debug)]
pub struct Recalled<'a> {
    /// What it is ordered by.
    pub score: f64,
    /// How well it fits the question.
    pub relevance: f64,
    /// How recent it is.
    pub recency: f64,
    /// Its importance.
    pub importance: f64,
    /// When its key was first written, in microseconds since 1970.
    pub created_us: u64,
    /// Its record.
    pub record: &'a Record,
}

/// Near memories that a search by vector finds, for each one that is wanted, and at least.
const NEAR_EACH: usize = 2;
const MIN_NEAR: usize = 20;
/// More than rounding to float32 takes from a product.
const SLACK: f64 = 1.0 + 1e-6;

impl Database {
    /// The memories that fit a question best, best first; equal scores by key.
    ///
    /// # Errors
    /// `Invalid` for weights or shares out of their range, and as [`Database::search`] and
    /// [`Database::similar`].
    pub fn recall(&mut self, recall: &Recall<'_>) -> Result<Vec<Recalled<'_>>> {
        recall.check()?;
        // Versions of one millisecond of a coarse clock are later than it says; so they are after the
        // clock went back. Their ages have to differ all the same.
        let now_us = recall.now_us.max(self.horizon(recall.search.at));
        let recall = &Recall { now_us, ..recall.clone() };
        let search = &recall.search;
        let query = search.query()?;
        let filter = search.filter.map(Filter::parse).transpose()?;
        if !self.keyspace.has(search.namespace) {
            return Ok(Vec::new());
        }
        let places = self.places_written(&recall.written);
        let seen = self.text_rows(search.namespace, Strings::Contents, search.at)?;
        let Self { derived, versions, .. } = self;
        if let Some(text) = derived.text_mut(search.namespace, Strings::Contents) {
            text.find_importances(seen.as_deref(), versions).map_err(|_| no_room())?;
        }
        let near = self.near(recall, &places)?;
        let ranked = self.rank(recall, &query, filter.as_ref(), (seen, places), near)?;
        let recalled = ranked.into_iter().filter_map(|ranked| {
            let record = self.versions.record(ranked.place)?;
            let Ranked { score, relevance, recency, importance, .. } = ranked;
            let created_us = self.created(search.namespace, record);
            Some(Recalled { score, relevance, recency, importance, created_us, record })
        });
        Ok(recalled.collect())
    }

    /// The places of versions that were written at these times.
    fn places_written(&self, written: &RangeInclusive<u64>) -> Range<Place> {
        let after = |time: Option<u64>| time.map_or(0, |time| self.versions.first_after(time));
        let end = if *written.end() == u64::MAX { Place::MAX } else { after(Some(*written.end())) };
        after(written.start().checked_sub(1))..end
    }

    /// What is near by vector, whether or not it has a word; `None` without vectors to compare.
    fn near(&mut self, recall: &Recall<'_>, places: &Range<Place>) -> Result<Option<Near>> {
        let Some(vector) = recall.query.filter(|_| recall.share() > 0.0) else { return Ok(None) };
        let namespace = recall.search.namespace;
        if recall.model.is_some_and(|model| !self.vectors.has_model(namespace, model)) {
            return Ok(None);
        }
        let similar = recall.similar(vector);
        let Some(seen) = self.seen_rows(&similar)? else { return Ok(None) };
        let Self { vectors, versions, derived, .. } = self;
        let text = derived.text(namespace, Strings::Contents);
        let number = |place: Place| {
            let known = text.and_then(|text| text.importance(text.row(place)?));
            known.or_else(|| versions.record(place).map(importance))
        };
        let weighing = Weighing {
            places: places.clone(),
            least: recall.least_cosine(),
            number: &number,
            lift: &recall.lift(),
        };
        vectors.search_weighed(seen, &similar, &weighing, versions)
    }

    /// The best of those that have a word or are near, best first.
    fn rank(
        &mut self,
        recall: &Recall<'_>,
        query: &Query,
        filter: Option<&Filter>,
        (seen, places): (Option<Vec<u64>>, Range<Place>),
        near: Option<Near>,
    ) -> Result<Vec<Ranked>> {
        let Self { derived, versions, vectors, .. } = self;
        let namespace = recall.search.namespace;
        let Some(text) = derived.text_mut(namespace, Strings::Contents) else {
            return Ok(Vec::new());
        };
        let asked = Asked { recall, filter, places: &places };
        let (index, columns) = text.columns();
        let mut ranking = Ranking::new(asked, near.as_ref(), columns, (versions, vectors));
        let near_rows = ranking.near_rows();
        let among = seen.as_deref().map_or(Among::Current, Among::Bitmap);
        index.rank(query, among, &near_rows, &mut ranking)?;
        Ok(ranking.finish())
    }

    /// When a key was first written.
    fn created(&self, namespace: &str, record: &Record) -> u64 {
        let fields = record.fields();
        if fields.previous.is_none() {
            return fields.timestamp;
        }
        let chain = self.keyspace.chain(namespace, fields.key, &self.versions);
        let first = chain.and_then(|chain| chain.places().first().copied());
        first
            .and_then(|place| self.versions.get(place))
            .map_or(fields.timestamp, |version| version.timestamp)
    }
}

impl<'a> Recall<'a> {
    /// The vectors' share of relevance.
    fn share(&self) -> f64 {
        if self.query.is_some() { self.vector_share } else { 0.0 }
    }

    /// What a memory that has none of the words must have for a cosine.
    fn least_cosine(&self) -> f64 {
        // A little less, so that rounding leaves out none of the relevance that is asked for.
        let relevant = self.min_relevance / larger(self.share(), f64::MIN_POSITIVE) / SLACK;
        larger(self.min_cosine, smaller(relevant, 2.0))
    }

    fn lift(&self) -> Lift {
        Lift::new(self.weights, self.now_us, self.half_life_us)
    }

    fn similar(&self, query: &'a [f32]) -> Similar<'a> {
        #[expect(clippy::cast_possible_truncation, reason = "a threshold below the least")]
        let threshold = (self.least_cosine() / SLACK) as f32;
        let top_k = self.search.top_k.saturating_mul(NEAR_EACH).clamp(MIN_NEAR, MAX_TOP_K);
        Similar {
            namespace: Some(self.search.namespace),
            model: self.model,
            query,
            top_k,
            threshold: Some(threshold),
            filter: self.search.filter,
            at: self.search.at,
            exact: false,
        }
    }

    fn check(&self) -> Result<()> {
        let fits = self.weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
            && (f64::MIN_POSITIVE..f64::INFINITY).contains(&self.weights.iter().sum())
            && self.half_life_us > 0.0
            && (0.0..=1.0).contains(&self.vector_share)
            && (-1.0..=1.0).contains(&self.min_cosine)
            && (0.0..=1.0).contains(&self.min_relevance);
        if fits {
            return Ok(());
        }
        Err(Error::new(
            Kind::Invalid,
            "a weight, half-life or share of the recall is out of its range",
            "give weights that are not negative, a positive half-life, and shares from 0 to 1",
        ))
    }
}

/// A memory's importance: its value's number of that name, brought into 0 to 1.
fn importance(record: &Record) -> f64 {
    Field::new("importance").number(indexed(record)).unwrap_or(0.0).clamp(0.0, 1.0)
}

fn no_room() -> Error {
    Error::new(
        Kind::Limit,
        "there is no memory for the importance of memories",
        "raise Config.max_memory_mb, or give agents databases of their own",
    )
}

#[cfg(test)]
mod tests;
