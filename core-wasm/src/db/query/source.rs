//! Where the candidates of a selection come from.

use crate::index::{FieldIndex, Places};
use crate::query::{Filter, Indexes, Lookup, Order, Plan, equality};

use super::super::Database;
use super::super::derived::Space;
use super::super::versions::Place;
use super::Select;

/// A scan looks at values one after the other as they lie; candidates of an index are scattered and
/// have to be sorted. So an index is used if it leaves at most this part of the keys.
const INDEX_GAIN: usize = 4;
/// Candidates of an index that are few however little is asked for.
const MIN_NARROW: usize = 64;

/// Where candidates come from, and whether all of them match the filter.
pub(super) type Candidates<'a> = (Source<'a>, bool);

/// Places that an index leaves.
pub(in crate::db) struct Narrowed {
    /// The fields of the indexes.
    pub(super) fields: String,
    /// Each once, ascending. Some may not be visible.
    pub(in crate::db) places: Vec<Place>,
    /// Whether all of them match the filter.
    pub(in crate::db) is_exact: bool,
}

/// Where candidates come from.
pub(super) enum Source<'a> {
    /// All keys, in their order.
    Scan,
    /// Those that an index names, in no order.
    Index(String, Vec<Place>),
    /// Those that stand at one value of an index.
    Value {
        /// The field of the index.
        field: &'a str,
        /// By key.
        places: &'a Places,
        /// Whether they are equal in the field.
        equal: bool,
    },
    /// All that an index has, in its order: ascending or descending.
    Ordered(&'a str, &'a FieldIndex, bool, Option<Lookup>),
}

/// How documents that are equal in a field come one after the other, if by their keys: whether
/// descending.
pub(super) fn by_key(order: &Order, equal: Option<&str>) -> Option<bool> {
    let mut parts = order.parts();
    let mut next = parts.next();
    if equal.is_some() && next.map(|(path, _)| path) == equal {
        next = parts.next();
    }
    match next {
        None => Some(false),
        Some(("$key", descending)) => Some(descending),
        Some(_) => None,
    }
}

impl Database {
    /// Chooses where candidates come from.
    pub(super) fn source(
        &self,
        select: &Select<'_>,
        filter: Option<&Filter>,
        order: &Order,
    ) -> Candidates<'_> {
        let present = select.at >= self.visible_timestamp;
        let space = self.derived.space(select.namespace).filter(|_| present);
        let leading = order.parts().next().filter(|_| select.limit.is_some());
        let ordered = leading.zip(space).and_then(|((path, descending), space)| {
            let (field, index) = space.index(path)?;
            index.is_single_valued().then_some((field, index, descending))
        });
        if let Some((field, index, descending)) = ordered
            && let Some(plan) =
                filter.and_then(|filter| filter.plan(&Only(field, index), usize::MAX))
            && let [(_, range @ Lookup::Range(..))] = plan.parts.as_slice()
            && !self.is_narrow(select, filter)
        {
            let range = Some(range.clone());
            return (Source::Ordered(field, index, descending, range), plan.is_exact);
        }
        if let Some((space, plan)) = self.narrowing(select, filter, self.few(select.namespace)) {
            if let [(path, lookup)] = plan.parts.as_slice()
                && let Some((field, index)) = space.index(path)
                && let Some(run) = index.run(lookup)
            {
                let equal = run.is_whole && index.is_single_valued();
                return (Source::Value { field, places: run.places, equal }, plan.is_exact);
            }
            let Narrowed { fields, places, is_exact } = collected(space, &plan);
            return (Source::Index(fields, places), is_exact);
        }
        let found = ordered
            .map(|(field, index, descending)| Source::Ordered(field, index, descending, None));
        (found.unwrap_or(Source::Scan), false)
    }

    /// The field and the places of a filter that asks for one value alone, in no order but that of
    /// keys, of which an index leaves few: what [`Self::source`] and the filter come to, but sooner.
    pub(super) fn one_value(&self, select: &Select<'_>) -> Option<(&str, &Places)> {
        if select.order != b"[]" || select.at < self.visible_timestamp {
            return None;
        }
        let space = self.derived.space(select.namespace)?;
        let (field, value) = equality(select.filter?)?;
        let (field, index) = space.index(&field)?;
        let run = index.run_of(&value).filter(|run| run.is_whole)?;
        (run.places.len() < self.few(select.namespace)).then_some((field, run.places))
    }

    /// Whether an index leaves so little that it costs less to sort than to walk another in order.
    fn is_narrow(&self, select: &Select<'_>, filter: Option<&Filter>) -> bool {
        let wanted = select.offset.saturating_add(select.limit.unwrap_or(usize::MAX));
        let most = wanted.saturating_mul(INDEX_GAIN).max(MIN_NARROW);
        let space = self.derived.space(select.namespace);
        let plan = filter.zip(space).and_then(|(filter, space)| filter.plan(space, most));
        plan.is_some()
    }

    /// One more than how many of a namespace's values are few.
    fn few(&self, namespace: &str) -> usize {
        self.keyspace.len(namespace) / INDEX_GAIN + 1
    }

    /// What the most selective indexes leave of a namespace's values of the present, if that is less
    /// than `at_most`.
    fn narrowing<'f>(
        &self,
        select: &Select<'_>,
        filter: Option<&'f Filter>,
        at_most: usize,
    ) -> Option<(&Space, Plan<'f>)> {
        if select.at < self.visible_timestamp {
            return None;
        }
        let space = self.derived.space(select.namespace)?;
        Some((space, filter?.plan(space, at_most)?))
    }

    /// The places that indexes leave, if they are few.
    pub(in crate::db) fn narrowed(
        &self,
        select: &Select<'_>,
        filter: Option<&Filter>,
    ) -> Option<Narrowed> {
        let (space, plan) = self.narrowing(select, filter, self.few(select.namespace))?;
        Some(collected(space, &plan))
    }

    /// How many values match, if an index tells without looking at them.
    pub(super) fn counted(
        &self,
        select: &Select<'_>,
        filter: Option<&Filter>,
        horizon: u64,
    ) -> Option<usize> {
        let (space, plan) = self.narrowing(select, filter, usize::MAX)?;
        let [(path, lookup)] = plan.parts.as_slice() else { return None };
        let (_, index) = space.index(path)?;
        let visible = |place: &Place| self.versions.is_visible_value(*place, horizon);
        (plan.is_exact && index.gives_each_once(lookup))
            .then(|| index.places(lookup).filter(visible).count())
    }
}

/// What a plan finds.
fn collected(space: &Space, plan: &Plan<'_>) -> Narrowed {
    let mut places: Vec<Place> = Vec::with_capacity(plan.documents);
    let mut fields: Vec<&str> = Vec::new();
    for (path, lookup) in &plan.parts {
        if let Some((field, index)) = space.index(path) {
            places.extend(index.places(lookup));
            fields.push(field);
        }
    }
    places.sort_unstable();
    places.dedup();
    fields.dedup();
    Narrowed { fields: fields.join(", "), places, is_exact: plan.is_exact }
}

/// One index, as if there were no other.
struct Only<'a>(&'a str, &'a FieldIndex);

impl Indexes for Only<'_> {
    fn count(&self, field: &str, lookup: &Lookup, at_most: usize) -> Option<usize> {
        (field == self.0).then(|| self.1.count(lookup, at_most))
    }

    fn is_single_valued(&self, field: &str) -> bool {
        field == self.0 && self.1.is_single_valued()
    }

    fn is_exact(&self, field: &str, lookup: &Lookup) -> bool {
        field == self.0 && self.1.is_exact(lookup)
    }
}

impl Indexes for Space {
    fn count(&self, field: &str, lookup: &Lookup, at_most: usize) -> Option<usize> {
        Some(self.index(field)?.1.count(lookup, at_most))
    }

    fn is_single_valued(&self, field: &str) -> bool {
        self.index(field).is_some_and(|(_, index)| index.is_single_valued())
    }

    fn is_exact(&self, field: &str, lookup: &Lookup) -> bool {
        self.index(field).is_some_and(|(_, index)| index.is_exact(lookup))
    }
}
