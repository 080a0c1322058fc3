//! Search by text, and by text and vector together.

use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_SNIPPET_CHARS, MAX_TOP_K};
use crate::log::record::Record;
use crate::query::Filter;
use crate::sort::sort_by;
use crate::text::{self, Among, Fields, Hit, Query, Snippet};
use crate::vector::bitmap;

use super::derived::{Strings, Text, indexed};
use super::query::is_selected;
use super::versions::Place;
use super::{Database, Similar};

/// What to search for.
#[derive(Clone, Copy, Debug)]
pub struct TextSearch<'a> {
    /// Namespace to search.
    pub namespace: &'a str,
    /// The query's text.
    pub text: &'a str,
    /// Fields to search, each with its boost; `None` for all.
    pub fields: Option<&'a [(String, f64)]>,
    /// How many hits at most.
    pub top_k: usize,
    /// JSON of a filter on the values.
    pub filter: Option<&'a [u8]>,
    /// As of this time.
    pub at: u64,
}

/// A value that was found.
#[derive(Clone, Debug)]
pub struct TextFound<'a> {
    /// How well it fits: higher is better.
    pub score: f32,
    /// Its record.
    pub record: &'a Record,
    /// Text around what was found, if it was found by text.
    pub snippet: Option<Snippet>,
}

/// Hits of each side that are fused, at least.
const MIN_FUSED_HITS: usize = 100;

impl Database {
    /// The values whose text fits best, best first, by BM25; equal scores by key. The first search
    /// of a namespace makes its index, which is linear in all its text.
    ///
    /// # Errors
    /// `Invalid` for a bad filter, field or `top_k`; `Limit` for a long text, or if there is no
    /// memory for the index.
    pub fn search(&mut self, search: &TextSearch<'_>) -> Result<Vec<TextFound<'_>>> {
        let query = search.query()?;
        let (found, _) = self.search_places(search, &query)?;
        self.found(found, &query)
    }

    /// The values that fit a text and a vector best: a sum of the scores of both searches, each
    /// brought to 0 to 1. `weight` is the share of the vectors.
    ///
    /// Scores of text are divided by the best one. Those of vectors are stretched so that the worst of
    /// the candidates has 0, since how near unrelated vectors are depends on the model. What one side
    /// did not find has 0 there. On questions about real documents this ranks better than fusing by
    /// reciprocal ranks, which forgets how much better the first hit is.
    ///
    /// # Errors
    /// As [`Database::search`] and [`Database::similar`].
    pub fn hybrid(
        &mut self,
        search: &TextSearch<'_>,
        similar: &Similar<'_>,
        weight: f64,
    ) -> Result<Vec<TextFound<'_>>> {
        let query = search.query()?;
        let top_k = search.top_k.saturating_mul(2).clamp(MIN_FUSED_HITS, MAX_TOP_K);
        let (by_text, _) = self.search_places(&TextSearch { top_k, ..*search }, &query)?;
        let by_vector = self.similar_places(&Similar { top_k, ..*similar })?;
        let mut fused: Vec<(Place, f64)> = Vec::new();
        if weight < 1.0 {
            let best = by_text.first().map_or(1.0, |(score, _)| *score);
            fused.extend(shares(&by_text, (0.0, best), 1.0 - weight));
        }
        if weight > 0.0 {
            let scores = || by_vector.iter().map(|(score, _)| *score);
            let worst = scores().fold(f32::INFINITY, f32::min);
            let best = scores().fold(f32::NEG_INFINITY, f32::max);
            fused.extend(shares(&by_vector, (worst, best), weight));
        }
        let mut fused = sums(fused);
        let key = |place: Place| self.versions.record(place).map(|record| record.fields().key);
        sort_by(&mut fused, |one, other| {
            other.1.total_cmp(&one.1).then_with(|| key(one.0).cmp(&key(other.0)))
        });
        fused.truncate(search.top_k);
        #[expect(clippy::cast_possible_truncation, reason = "scores are float32")]
        let found = fused.into_iter().map(|(place, score)| (score as f32, place)).collect();
        self.found(found, &query)
    }

    fn found(&self, found: Vec<(f32, Place)>, query: &Query) -> Result<Vec<TextFound<'_>>> {
        let found = found.into_iter().filter_map(|(score, place)| {
            let record = self.versions.record(place)?;
            Some(self.check_room_to_work(0).map(|()| {
                let snippet = text::snippet(indexed(record), query, MAX_SNIPPET_CHARS);
                TextFound { score, record, snippet }
            }))
        });
        found.collect()
    }

    /// The places of the best, with their scores, and the score of an ideal document.
    pub(super) fn search_places(
        &mut self,
        search: &TextSearch<'_>,
        query: &Query,
    ) -> Result<(Vec<(f32, Place)>, f64)> {
        let filter = search.filter.map(Filter::parse).transpose()?;
        if !self.keyspace.has(search.namespace) {
            return Ok((Vec::new(), 0.0));
        }
        let seen = self.text_rows(search.namespace, Strings::All, search.at)?;
        let Self { derived, versions, .. } = self;
        let Some(text) = derived.text_mut(search.namespace, Strings::All) else {
            return Ok((Vec::new(), 0.0));
        };
        let (index, places) = text.parts();
        let record = |row: u32| versions.record(places.get(row as usize).copied()?);
        let tie = |one: u32, other: u32| {
            let key = |row| record(row).map(|record| record.fields().key);
            key(one).cmp(&key(other))
        };
        let accept = |row: u32| match &filter {
            Some(filter) => record(row).is_some_and(|record| is_selected(Some(filter), record)),
            None => true, // Without a look at the value: it may be in the file.
        };
        let among = seen.as_deref().map_or(Among::Current, Among::Bitmap);
        let answer = index.search(query, among, &accept, search.top_k, &tie)?;
        let place = |hit: Hit| Some((hit.score, places.get(hit.row as usize).copied()?));
        Ok((answer.hits.into_iter().filter_map(place).collect(), answer.ideal))
    }

    /// The rows of a namespace's text index that a search sees, if they are not simply the current
    /// ones. Makes the index, and the rows of a past moment, if they are not there.
    pub(super) fn text_rows(
        &mut self,
        namespace: &str,
        strings: Strings,
        at: u64,
    ) -> Result<Option<Vec<u64>>> {
        if self.derived.text(namespace, strings).is_none() {
            self.make_text(namespace, strings)?;
        }
        if at < self.visible_timestamp {
            return self.past_rows(namespace, strings, at).map(Some);
        }
        let horizon = self.horizon(at);
        let versions = &self.versions;
        let Some(text) = self.derived.text(namespace, strings) else { return Ok(None) };
        if text.is_settled(self.visible_timestamp) {
            return Ok(None);
        }
        let mut seen = Vec::new();
        let rows = text.index.end();
        bitmap::resize(&mut seen, rows as usize).map_err(|_| no_memory(namespace))?;
        for row in 0..rows {
            let visible = text.place(row).is_some_and(|place| versions.is_visible(place, horizon));
            bitmap::set(&mut seen, row, visible);
        }
        Ok(Some(seen))
    }

    /// Makes a text index of a namespace that has keys and no such index yet.
    ///
    /// # Errors
    /// `Limit` if there is no memory for it.
    pub(super) fn prepare_text(&mut self, namespace: &str, strings: Strings) -> Result<()> {
        let has_text = self.derived.text(namespace, strings).is_some();
        if has_text || !self.keyspace.has(namespace) {
            return Ok(());
        }
        self.make_text(namespace, strings)
    }

    fn make_text(&mut self, namespace: &str, strings: Strings) -> Result<()> {
        match self.try_make_text(namespace, strings) {
            // Values of the past may still take what it needs.
            Err(_) if self.set_all_aside(self.visible_timestamp) => {
                self.try_make_text(namespace, strings)
            }
            made => made,
        }
    }

    fn try_make_text(&mut self, namespace: &str, strings: Strings) -> Result<()> {
        let mut text = Text::new(strings, self.timestamp);
        self.for_each_present(namespace, |database, place| {
            let Some(record) = database.versions.record(place) else { return Ok(()) };
            let row = text.add(place, record).map_err(|_| no_memory(namespace))?;
            if !database.versions.is_visible(place, u64::MAX) {
                text.retire_row(row);
            }
            Ok(())
        })
        .map_err(|_| no_memory(namespace))?;
        *self.derived.space_mut(namespace).texts.slot(strings) = Some(text);
        Ok(())
    }

    /// The rows of the values as of a past time; those that are not there are added, as far as their
    /// values are at hand. Linear in the keys, unless the last such search saw the same.
    fn past_rows(&mut self, namespace: &str, strings: Strings, at: u64) -> Result<Vec<u64>> {
        let versions = &self.versions;
        let before = versions.first_after(at);
        let Some(text) = self.derived.text(namespace, strings) else { return Ok(Vec::new()) };
        if let Some(rows) = text.past(before) {
            return Ok(rows.to_vec());
        }
        let at_a_time = self.fetched_at_a_time();
        let chains = self.keyspace.chains(namespace);
        let (mut rows, mut missing) = (Vec::new(), Vec::new());
        for place in chains.filter_map(|chain| chain.value_at(at, versions)) {
            match text.row(place) {
                Some(row) => rows.push(row),
                None => missing.push(place),
            }
        }
        for (count, place) in missing.into_iter().enumerate() {
            if count % 1024 == 0 {
                self.check_room(1 << 20)?;
            }
            let Self { derived, versions, .. } = self;
            let Some(text) = derived.text_mut(namespace, strings) else { break };
            if !versions.is_here(place) && versions.wanted().bytes() >= at_a_time {
                break;
            }
            if let Some(record) = versions.record(place) {
                let row = text.add(place, record).map_err(|_| no_memory(namespace))?;
                text.retire_row(row);
                rows.push(row);
            }
        }
        if !self.versions.wanted().is_empty() {
            self.versions.release_fetched(); // Their words are in the index now.
            return Ok(Vec::new());
        }
        let mut seen = Vec::new();
        if let Some(text) = self.derived.text_mut(namespace, strings) {
            let end = text.index.end() as usize;
            bitmap::resize(&mut seen, end).map_err(|_| no_memory(namespace))?;
            rows.into_iter().for_each(|row| bitmap::set(&mut seen, row, true));
            text.keep_past(before, seen.clone());
        }
        Ok(seen)
    }
}

/// What each hit gets of a share of the score, by where its own score lies between two others.
fn shares(
    hits: &[(f32, Place)],
    (worst, best): (f32, f32),
    share: f64,
) -> impl Iterator<Item = (Place, f64)> {
    let (worst, span) = (f64::from(worst), f64::from(best) - f64::from(worst));
    hits.iter().map(move |(score, place)| {
        let part = if span > 0.0 { (f64::from(*score) - worst) / span } else { 1.0 };
        (*place, share * part)
    })
}

/// Adds up what belongs to one place.
fn sums(mut parts: Vec<(Place, f64)>) -> Vec<(Place, f64)> {
    sort_by(&mut parts, |one, other| one.0.cmp(&other.0));
    parts.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            first.1 += later.1;
        }
        same
    });
    parts
}

impl TextSearch<'_> {
    pub(super) fn query(&self) -> Result<Query> {
        if self.top_k == 0 || self.top_k > MAX_TOP_K {
            let message = format!("top_k is {}; it must be 1 to {MAX_TOP_K}", self.top_k);
            return Err(Error::new(Kind::Invalid, message, "ask for that many hits"));
        }
        let fields: Option<Vec<(&str, f64)>> = self
            .fields
            .map(|fields| fields.iter().map(|(path, boost)| (path.as_str(), *boost)).collect());
        Query::parse(self.text, fields.as_deref().map_or(Fields::All, Fields::Some))
    }
}

fn no_memory(namespace: &str) -> Error {
    Error::new(
        Kind::Limit,
        format!("there is no memory for the text index of namespace {namespace:?}"),
        "raise Config.max_memory_mb, or spread the texts over several namespaces or databases",
    )
}
