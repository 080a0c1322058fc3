//! Recall: the memories that fit a question, by how relevant, how recent and how important they are.
//!
//! A memory is a value with a number `importance`. Its score is
//!
//! ```text
//! relevance * (w1 + w2 * recency + w3 * importance) / (w1 + w2 + w3)
//! ```
//!
//! Relevance is a factor, so recency and importance order what matches and lift nothing that does
//! not: what has none of the words and no near vector is not recalled at all. All parts lie between 0
//! and 1. Relevance by text is BM25 over its ideal, which is the score of a document with every word
//! so often that more would not count. Recency halves with each half-life since the version was
//! written.

use crate::error::{Error, Kind, Result};
use crate::limits::MAX_TOP_K;
use crate::query::Field;

use super::derived::indexed;
use super::versions::Place;
use super::{Database, Similar, TextSearch};
use crate::log::record::Record;

/// A question to memories.
#[derive(Clone, Copy, Debug)]
pub struct Recall<'a> {
    /// Where to look, for which words, and with what filter; `top_k` is how many to recall.
    pub search: TextSearch<'a>,
    /// The question's vector, if it has one.
    pub query: Option<&'a [f32]>,
    /// Model of the vectors; `None` for the one that fits.
    pub model: Option<&'a str>,
    /// Only memories of at least this relevance.
    pub min_relevance: f64,
    /// Time of the question, in microseconds since 1970.
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

/// Candidates of each side, for each memory that is asked for, and at least.
const CANDIDATES_EACH: usize = 8;
const MIN_CANDIDATES: usize = 200;

/// A candidate: its place, its relevance by text, and its cosine.
type Candidate = (Place, f64, Option<f64>);

impl Database {
    /// The memories that fit a question best, best first; equal scores by key.
    ///
    /// # Errors
    /// As [`Database::search`] and [`Database::similar`].
    pub fn recall(&mut self, recall: &Recall<'_>) -> Result<Vec<Recalled<'_>>> {
        recall.check()?;
        let candidates = self.recall_candidates(recall)?;
        let importance = Field::new("importance");
        let mut found: Vec<Recalled<'_>> = Vec::with_capacity(candidates.len());
        for (place, by_text, cosine) in candidates {
            let Some(record) = self.versions.record(place) else { continue };
            let share = if recall.query.is_some() { recall.vector_share } else { 0.0 };
            let cosine = cosine.unwrap_or(0.0).clamp(0.0, 1.0);
            let relevance = (1.0 - share) * by_text + share * cosine;
            let matches = by_text > 0.0 || cosine >= recall.min_cosine;
            if !matches || relevance <= 0.0 || relevance < recall.min_relevance {
                continue;
            }
            let fields = record.fields();
            #[expect(clippy::cast_precision_loss, reason = "an age, for its half-lives")]
            let age = recall.now_us.saturating_sub(fields.timestamp) as f64;
            let recency = (-age / recall.half_life_us).exp2();
            let importance = importance.number(indexed(record)).unwrap_or(0.0).clamp(0.0, 1.0);
            let [first, second, third] = recall.weights;
            let lift = first + second * recency + third * importance;
            found.push(Recalled {
                score: relevance * lift / (first + second + third),
                relevance,
                recency,
                importance,
                created_us: 0,
                record,
            });
        }
        found.sort_unstable_by(|one, other| {
            let keys = || one.record.fields().key.cmp(other.record.fields().key);
            other.score.total_cmp(&one.score).then_with(keys)
        });
        found.truncate(recall.search.top_k);
        for recalled in &mut found {
            recalled.created_us = self.created(recall.search.namespace, recalled.record);
        }
        Ok(found)
    }

    /// When a key was first written.
    fn created(&self, namespace: &str, record: &Record) -> u64 {
        let fields = record.fields();
        let chain = self.keyspace.chain(namespace, fields.key);
        let first = chain.and_then(|chain| chain.places().first().copied());
        first
            .and_then(|place| self.versions.get(place))
            .map_or(fields.timestamp, |version| version.timestamp)
    }

    /// What may be recalled: the best by text and the best by vector, each once, with both measures.
    fn recall_candidates(&mut self, recall: &Recall<'_>) -> Result<Vec<Candidate>> {
        let top_k = recall.search.top_k.saturating_mul(CANDIDATES_EACH);
        let top_k = top_k.clamp(MIN_CANDIDATES, MAX_TOP_K);
        let search = TextSearch { top_k, ..recall.search };
        let query = search.query()?;
        let (by_text, ideal) = self.search_places(&search, &query)?;
        let by_text = by_text.into_iter().map(|(score, place)| {
            (place, (f64::from(score) / ideal.max(f64::MIN_POSITIVE)).min(1.0))
        });
        let mut candidates: Vec<Candidate> = Vec::new();
        match recall.query {
            None => candidates.extend(by_text.map(|(place, relevance)| (place, relevance, None))),
            Some(vector) => {
                candidates.extend(by_text.map(|(place, relevance)| {
                    (place, relevance, self.cosine(place, recall.model, vector))
                }));
                candidates.sort_unstable_by_key(|(place, ..)| *place);
                let known = candidates.len();
                for (_, place) in self.similar_places(&recall.similar(top_k, vector))? {
                    let texts = candidates.get(..known).unwrap_or_default();
                    if texts.binary_search_by_key(&place, |(place, ..)| *place).is_err() {
                        candidates.push((place, 0.0, self.cosine(place, recall.model, vector)));
                    }
                }
            }
        }
        Ok(candidates)
    }

    /// The cosine of a version's vector and another, if it has one of that model and dimension.
    fn cosine(&self, place: Place, model: Option<&str>, vector: &[f32]) -> Option<f64> {
        let held = self.versions.get(place)?.vector?;
        self.vectors.cosine(held, model, vector)
    }
}

impl<'a> Recall<'a> {
    fn similar(&self, top_k: usize, query: &'a [f32]) -> Similar<'a> {
        Similar {
            namespace: Some(self.search.namespace),
            model: self.model,
            query,
            top_k,
            threshold: None,
            filter: self.search.filter,
            at: self.search.at,
            exact: false,
        }
    }

    fn check(&self) -> Result<()> {
        let fits = self.weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
            && self.weights.iter().sum::<f64>() > 0.0
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
