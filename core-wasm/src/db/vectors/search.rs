//! Search by vector: in one namespace or all, now or as of a time, among what matches a filter.

use core::cmp::Ordering;

use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_DIMENSION, MAX_TOP_K};
use crate::log::record::Record;
use crate::query;
use crate::sort::{sort, sort_by};
use crate::vector::{self, Filter, Hit, Mode, Query, bitmap};

use super::super::Database;
use super::super::query::{Narrowed, Select, is_selected};
use super::super::versions::{Place, Version, Versions};
use super::weighing::Weighing;
use super::{At, Set, Vectors, other_dimension, refuse};

/// What to search for.
#[derive(Clone, Copy, Debug)]
pub struct Similar<'a> {
    /// Namespace to search; `None` for all.
    pub namespace: Option<&'a str>,
    /// Model to search; `None` for the one that fits.
    pub model: Option<&'a str>,
    /// The query's components.
    pub query: &'a [f32],
    /// How many hits at most.
    pub top_k: usize,
    /// Only hits that score at least this.
    pub threshold: Option<f32>,
    /// JSON of a filter on the values.
    pub filter: Option<&'a [u8]>,
    /// As of this time.
    pub at: u64,
    /// Without loss, whatever the database is set to.
    pub exact: bool,
}

/// A version that was found, and how near it is: higher is nearer.
pub type Found<'a> = (f32, &'a Record);

/// What a weighed search found, and what tells the cosines of others.
pub(in crate::db) struct Near {
    set: usize,
    query: Query,
    /// Places and cosines, best first.
    pub(in crate::db) hits: Vec<(Place, f32)>,
    /// What no version that was left out is ranked above; `None` if none was for want of room.
    pub(in crate::db) beyond: Option<f32>,
}

impl Database {
    /// The versions whose vectors are nearest, best first; equal scores by namespace and key.
    ///
    /// # Errors
    /// `Invalid` for a query of a dimension or model that is not there, with NaN or without
    /// direction, for `top_k` outside 1 to [`MAX_TOP_K`], a NaN threshold, or a bad filter.
    pub fn similar(&mut self, similar: &Similar<'_>) -> Result<Vec<Found<'_>>> {
        let found = self.similar_places(similar)?;
        let record = |(score, place)| Some((score, self.versions.record(place)?));
        Ok(found.into_iter().filter_map(record).collect())
    }

    /// [`Database::similar`], with the versions' places.
    pub(in crate::db) fn similar_places(
        &mut self,
        similar: &Similar<'_>,
    ) -> Result<Vec<(f32, Place)>> {
        let filter = check(similar)?;
        let chosen = self.vectors.choose(similar)?;
        let mut hits: Vec<(usize, Hit)> = Vec::new();
        for index in chosen {
            let past = self.visible_rows(index, similar.at)?;
            let narrowed = self.narrowed_rows(index, similar, filter.as_ref());
            let seen = (past, narrowed);
            let (found, _) = self.vectors.search(index, similar, seen, None, &self.versions)?;
            hits.extend(found.into_iter().map(|hit| (index, hit)));
        }
        let place = |(index, hit): (usize, Hit)| {
            Some((hit.score, self.vectors.sets.get(index)?.place(hit.row)?))
        };
        let mut found: Vec<(f32, Place)> = hits.into_iter().filter_map(place).collect();
        if similar.namespace.is_none() {
            let names = |place: Place| {
                let fields = self.versions.record(place).map(Record::fields);
                fields.map(|fields| (fields.namespace, fields.key))
            };
            sort_by(&mut found, |one, other| {
                other.0.total_cmp(&one.0).then_with(|| names(one.1).cmp(&names(other.1)))
            });
            found.truncate(similar.top_k);
        }
        Ok(found)
    }

    /// The rows that a search of one namespace is about: their set, and what [`Vectors::search`] takes;
    /// `None` if there are no vectors.
    pub(in crate::db) fn seen_rows(&self, similar: &Similar<'_>) -> Result<Option<(usize, Seen)>> {
        let filter = check(similar)?;
        let Some(index) = self.vectors.choose(similar)?.first().copied() else { return Ok(None) };
        let narrowed = self.narrowed_rows(index, similar, filter.as_ref());
        let seen = (self.visible_rows(index, similar.at)?, narrowed);
        Ok(Some((index, seen)))
    }

    /// The rows of a set that match the filter, where an index leaves few to look at.
    fn narrowed_rows(
        &self,
        index: usize,
        similar: &Similar<'_>,
        filter: Option<&query::Filter>,
    ) -> Option<Vec<u32>> {
        let set = self.vectors.sets.get(index)?;
        let select = Select {
            namespace: &set.namespace,
            filter: similar.filter,
            order: b"[]",
            offset: 0,
            limit: None,
            at: similar.at,
        };
        let Narrowed { places, is_exact, .. } = self.narrowed(&select, filter)?;
        let row = |place: Place| {
            let held = self.versions.get(place)?.vector().filter(|held| held.set == index)?;
            // An index has present values, none of which is set aside.
            let matches = is_exact || is_selected(filter, self.versions.record(place)?);
            matches.then_some(held.row)
        };
        Some(places.into_iter().filter_map(row).collect())
    }

    /// The vector of a key's value as of `at`, as float32 bytes; `None` if it has none.
    ///
    /// # Errors
    /// `NotFound` for a key without a value.
    pub fn vector(&self, namespace: &str, key: &str, at: u64) -> Result<Option<Vec<u8>>> {
        let horizon = self.horizon(at);
        let chain = self.keyspace.chain(namespace, key, &self.versions);
        let place = chain.and_then(|chain| chain.value_at(horizon, &self.versions));
        let place = place.ok_or_else(|| self.missing(namespace, key, at))?;
        let held = self.versions.get(place).and_then(Version::vector);
        Ok(held.map(|held| self.vectors.bytes(held)))
    }

    /// The rows of a set that a search sees, if they are not simply the current ones.
    fn visible_rows(&self, index: usize, at: u64) -> Result<Option<Vec<u64>>> {
        let Some(set) = self.vectors.sets.get(index) else { return Ok(None) };
        let length = usize::try_from(set.rows.end()).unwrap_or(usize::MAX);
        let mut visible = Vec::new();
        if at >= self.visible_timestamp {
            let pending = &self.vectors.pending;
            if pending.iter().all(|change| change.at.set != index) {
                return Ok(None);
            }
            visible.extend_from_slice(set.rows.current());
            // Latest first: a row that was added and retired since is not seen.
            for change in pending.iter().rev().filter(|change| change.at.set == index) {
                bitmap::set(&mut visible, change.at.row, !change.added);
            }
            return Ok(Some(visible));
        }
        bitmap::resize(&mut visible, length).map_err(|_| super::out_of_memory())?;
        let chains = self.keyspace.chains(&set.namespace);
        for place in chains.filter_map(|chain| chain.value_at(at, &self.versions)) {
            let held = self.versions.get(place).and_then(Version::vector);
            if let Some(held) = held.filter(|held| held.set == index) {
                bitmap::set(&mut visible, held.row, true);
            }
        }
        Ok(Some(visible))
    }
}

/// Rows that are visible, if they are not simply the current ones, and those that match a filter, if
/// an index told.
pub(in crate::db) type Seen = (Option<Vec<u64>>, Option<Vec<u32>>);

impl Vectors {
    /// The sets to search.
    fn choose(&self, similar: &Similar<'_>) -> Result<Vec<usize>> {
        let dimension = similar.query.len();
        let held = self.sets.iter().enumerate().filter(|(_, set)| {
            set.rows.live_count() > 0
                && similar.namespace.is_none_or(|name| *set.namespace == *name)
        });
        let held: Vec<(usize, &Set)> = held.collect();
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let named: Vec<(usize, &Set)> = match similar.model {
            Some(model) => held.iter().filter(|(_, set)| *set.model == *model).copied().collect(),
            None => held.clone(),
        };
        let models = |sets: &[(usize, &Set)]| {
            let mut models: Vec<String> =
                sets.iter().map(|(_, set)| format!("{:?}", set.model)).collect();
            sort(&mut models);
            models.dedup();
            models
        };
        let Some((_, first)) = named.first() else {
            let message =
                format!("there are no vectors of model {:?}", similar.model.unwrap_or(""));
            let suggestion = format!("name a model that is there: {}", models(&held).join(", "));
            return Err(Error::new(Kind::Invalid, message, suggestion));
        };
        let fitting: Vec<(usize, &Set)> =
            named.iter().filter(|(_, set)| set.rows.dim() == dimension).copied().collect();
        if fitting.is_empty() {
            return Err(other_dimension(
                &first.namespace,
                &first.model,
                first.rows.dim(),
                dimension,
            ));
        }
        // Also in all namespaces: scores of different models cannot be compared.
        let models = models(&fitting);
        if models.len() > 1 {
            let message = format!("several models have vectors of {dimension} components");
            let suggestion = format!("name one with model=: {}", models.join(", "));
            return Err(Error::new(Kind::Invalid, message, suggestion));
        }
        Ok(fitting.into_iter().map(|(index, _)| index).collect())
    }

    /// Searches a set by cosine, ranking by more than that.
    pub(in crate::db) fn search_weighed(
        &mut self,
        (index, seen): (usize, Seen),
        similar: &Similar<'_>,
        weighing: &Weighing<'_>,
        versions: &Versions,
    ) -> Result<Option<Near>> {
        let (hits, query) = self.search(index, similar, seen, Some(weighing), versions)?;
        let Some((query, set)) = query.zip(self.sets.get(index)) else { return Ok(None) };
        let last = hits.last().filter(|_| hits.len() == similar.top_k);
        let beyond = last.map(|hit| hit.score);
        let near = |hit: Hit| Some((set.place(hit.row)?, query.score(&set.rows, hit.row)));
        let hits = hits.into_iter().filter_map(near).collect();
        Ok(Some(Near { set: index, query, hits, beyond }))
    }

    /// The cosine of a vector and that of a weighed search, if it is one of those searched.
    pub(in crate::db) fn cosine(&self, at: At, near: &Near) -> Option<f32> {
        let set = self.sets.get(at.set).filter(|_| at.set == near.set)?;
        Some(near.query.score(&set.rows, at.row))
    }

    /// What [`Self::cosine`] cannot exceed, read from a quarter of the bytes.
    pub(in crate::db) fn cosine_at_most(&self, at: At, near: &Near) -> Option<f32> {
        let set = self.sets.get(at.set).filter(|_| at.set == near.set)?;
        Some(near.query.score_at_most(&set.rows, at.row))
    }

    /// What [`Self::cosine`] hardly ever exceeds, if the weighed search told: it has to be the last one.
    #[inline]
    pub(in crate::db) fn cosine_hardly_over(&self, at: At, near: &Near) -> f32 {
        if at.set == near.set { self.scratch.cosine_hardly_over(at.row) } else { f32::INFINITY }
    }

    fn search(
        &mut self,
        index: usize,
        similar: &Similar<'_>,
        (past, narrowed): Seen,
        weighing: Option<&Weighing<'_>>,
        versions: &Versions,
    ) -> Result<(Vec<Hit>, Option<Query>)> {
        let mode = if similar.exact { Mode::Exact } else { self.mode };
        let Self { sets, scratch, .. } = self;
        let Some(set) = sets.get_mut(index) else { return Ok((Vec::new(), None)) };
        let Set { rows, graph, places, filters, known, path, .. } = set;
        let weigher = weighing.map(|weighing| known.weigher(weighing, places, versions));
        let query = if weighing.is_some() { Query::cosine } else { Query::new };
        let query = query(rows, similar.query).map_err(|bad| refuse(&bad))?;
        let mut visible = past;
        if let Some(Weighing { places: among, .. }) = weighing.filter(|one| !one.is_of_all()) {
            let seen = visible.get_or_insert_with(|| rows.current().to_vec());
            for (word, places) in seen.iter_mut().zip(places.chunks(64)) {
                for (bit, place) in places.iter().enumerate() {
                    *word &= !(u64::from(!among.contains(place)) << bit);
                }
            }
        }
        let list = narrowed.map(|mut list| {
            let seen = visible.as_deref().unwrap_or(rows.current());
            list.retain(|row| bitmap::contains(seen, *row));
            list
        });
        let few = list.as_deref().filter(|list| vector::are_few(rows, list.len(), mode));
        if few.is_none()
            && let Some(json) = similar.filter
        {
            let mut matching = Vec::new();
            let matching = match &list {
                Some(list) => {
                    bitmap::resize(&mut matching, usize::try_from(rows.end()).unwrap_or_default())
                        .map_err(|_| super::out_of_memory())?;
                    list.iter().for_each(|row| bitmap::set(&mut matching, *row, true));
                    &matching
                }
                None => filters.matching(json, (rows, places), visible.as_deref(), versions)?,
            };
            let seen = visible.get_or_insert_with(|| rows.current().to_vec());
            for (word, matching) in seen.iter_mut().zip(matching) {
                *word &= matching;
            }
        }
        let seen = visible.as_deref().map_or(Filter::Current, Filter::Bitmap);
        let tie = |one: u32, other: u32| key_order(places, versions, one, other);
        let answer = vector::search(
            rows,
            &query,
            &vector::Request {
                k: similar.top_k,
                threshold: similar.threshold,
                filter: few.map_or(seen, Filter::List),
                mode,
                tie: &tie,
                weigh: weigher.as_ref().map(|weigher| weigher as &dyn vector::Weigh),
                // It knows the metric of the rows only.
                graph: graph.as_ref().filter(|_| weighing.is_none()),
            },
            scratch,
        );
        *path = Some(answer.path);
        Ok((answer.hits, Some(query)))
    }
}

impl Set {
    fn place(&self, row: u32) -> Option<u32> {
        self.places.get(usize::try_from(row).ok()?).copied()
    }
}

fn key_order(places: &[u32], versions: &Versions, one: u32, other: u32) -> Ordering {
    let key = |row: u32| {
        let place = places.get(usize::try_from(row).ok()?)?;
        Some(versions.record(*place)?.fields().key)
    };
    key(one).cmp(&key(other))
}

/// Refuses what cannot be searched for; the filter, if there is one.
fn check(similar: &Similar<'_>) -> Result<Option<query::Filter>> {
    let refuse = |message: String, suggestion: &str| {
        Err(Error::new(Kind::Invalid, message, suggestion.to_owned()))
    };
    let dimension = similar.query.len();
    if dimension == 0 || dimension > MAX_DIMENSION {
        return refuse(
            format!("the query has {dimension} components; the limit is {MAX_DIMENSION}"),
            "give a vector of the model that made those to be searched",
        );
    }
    if similar.top_k == 0 || similar.top_k > MAX_TOP_K {
        let top_k = similar.top_k;
        return refuse(
            format!("top_k is {top_k}; it must be 1 to {MAX_TOP_K}"),
            "ask for that many hits",
        );
    }
    if similar.threshold.is_some_and(f32::is_nan) {
        return refuse("the threshold is NaN".to_owned(), "give a number, or None");
    }
    similar.filter.map(query::Filter::parse).transpose()
}
