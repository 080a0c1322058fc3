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
use crate::sort::sort_by;

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
const MIN_CANDIDATES: usize = 100;
/// Candidates of each side, if so many are needed to be sure of the order: what is beyond them is
/// less relevant than each of them, and not looked at for being newer or more important.
const MAX_CANDIDATES: usize = 2000;

/// A candidate with its score.
struct Ranked {
    place: Place,
    score: f64,
    relevance: f64,
    recency: f64,
    importance: f64,
}

/// A candidate: its place, its relevance by text, and its cosine.
type Candidate = (Place, f64, Option<f64>);

impl Database {
    /// The memories that fit a question best, best first; equal scores by key.
    ///
    /// # Errors
    /// As [`Database::search`] and [`Database::similar`].
    pub fn recall(&mut self, recall: &Recall<'_>) -> Result<Vec<Recalled<'_>>> {
        recall.check()?;
        let wanted = recall.search.top_k;
        let mut depth = wanted.saturating_mul(CANDIDATES_EACH).clamp(MIN_CANDIDATES, MAX_TOP_K);
        let ranked = loop {
            let (candidates, missed) = self.recall_candidates(recall, depth)?;
            let ranked = self.rank(recall, candidates);
            let worst = wanted.checked_sub(1).and_then(|last| ranked.get(last));
            // What was not looked at has at most this score, were it new and important.
            let decided = missed <= 0.0 || worst.is_some_and(|worst| worst.score >= missed);
            if decided || depth >= MAX_CANDIDATES {
                break ranked;
            }
            depth = MAX_CANDIDATES;
        };
        let namespace = recall.search.namespace;
        let recalled = ranked.into_iter().take(wanted).filter_map(|ranked| {
            let record = self.versions.record(ranked.place)?;
            let Ranked { score, relevance, recency, importance, .. } = ranked;
            let created_us = self.created(namespace, record);
            Some(Recalled { score, relevance, recency, importance, created_us, record })
        });
        Ok(recalled.collect())
    }

    /// The candidates that match, best first.
    fn rank(&self, recall: &Recall<'_>, candidates: Vec<Candidate>) -> Vec<Ranked> {
        let field = Field::new("importance");
        let share = recall.share();
        let [first, second, third] = recall.weights;
        let rank = |(place, by_text, cosine): Candidate| {
            let record = self.versions.record(place)?;
            let cosine = cosine.unwrap_or(0.0).clamp(0.0, 1.0);
            let relevance = (1.0 - share) * by_text + share * cosine;
            let matches = by_text > 0.0 || cosine >= recall.min_cosine;
            if !matches || relevance <= 0.0 || relevance < recall.min_relevance {
                return None;
            }
            #[expect(clippy::cast_precision_loss, reason = "an age, for its half-lives")]
            let age = recall.now_us.saturating_sub(record.fields().timestamp) as f64;
            let recency = (-age / recall.half_life_us).exp2();
            let importance = field.number(indexed(record)).unwrap_or(0.0).clamp(0.0, 1.0);
            let lift = first + second * recency + third * importance;
            let score = relevance * lift / (first + second + third);
            Some(Ranked { place, score, relevance, recency, importance })
        };
        let mut ranked: Vec<Ranked> = candidates.into_iter().filter_map(rank).collect();
        let key = |place: Place| self.versions.record(place).map(|record| record.fields().key);
        sort_by(&mut ranked, |one, other| {
            let keys = || key(one.place).cmp(&key(other.place));
            other.score.total_cmp(&one.score).then_with(keys)
        });
        ranked
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

    /// What may be recalled: the best by text and the best by vector, each once, with both measures;
    /// and the relevance that nothing beyond them exceeds.
    fn recall_candidates(
        &mut self,
        recall: &Recall<'_>,
        depth: usize,
    ) -> Result<(Vec<Candidate>, f64)> {
        let search = TextSearch { top_k: depth, ..recall.search };
        let query = search.query()?;
        let (by_text, ideal) = self.search_places(&search, &query)?;
        let relevance = |score: f32| (f64::from(score) / ideal.max(f64::MIN_POSITIVE)).min(1.0);
        let share = recall.share();
        let beyond = |hits: &[(f32, Place)]| match hits.last() {
            Some((score, _)) if hits.len() == depth => Some(*score),
            _ => None,
        };
        let mut missed = beyond(&by_text).map_or(0.0, |score| (1.0 - share) * relevance(score));
        let by_text = by_text.into_iter().map(|(score, place)| (place, relevance(score)));
        let Some(vector) = recall.query else {
            let candidates = by_text.map(|(place, relevance)| (place, relevance, None));
            return Ok((candidates.collect(), missed));
        };
        let cosine = |place| self.cosine(place, recall.model, vector);
        let mut candidates: Vec<Candidate> =
            by_text.map(|(place, relevance)| (place, relevance, cosine(place))).collect();
        candidates.sort_unstable_by_key(|(place, ..)| *place);
        let known = candidates.len();
        let namespace = recall.search.namespace;
        let has_model = recall.model.is_none_or(|model| self.vectors.has_model(namespace, model));
        if has_model {
            let by_vector = self.similar_places(&recall.similar(depth, vector))?;
            let last = beyond(&by_vector).and_then(|_| by_vector.last().copied());
            let least = last.and_then(|(_, place)| self.cosine(place, recall.model, vector));
            missed += share * least.map_or(0.0, |cosine| cosine.clamp(0.0, 1.0));
            for (_, place) in by_vector {
                let texts = candidates.get(..known).unwrap_or_default();
                if texts.binary_search_by_key(&place, |(place, ..)| *place).is_err() {
                    candidates.push((place, 0.0, self.cosine(place, recall.model, vector)));
                }
            }
        }
        Ok((candidates, missed))
    }

    /// The cosine of a version's vector and another, if it has one of that model and dimension.
    fn cosine(&self, place: Place, model: Option<&str>, vector: &[f32]) -> Option<f64> {
        let held = self.versions.get(place)?.vector?;
        self.vectors.cosine(held, model, vector)
    }
}

impl<'a> Recall<'a> {
    /// The vectors' share of relevance.
    fn share(&self) -> f64 {
        if self.query.is_some() { self.vector_share } else { 0.0 }
    }

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
