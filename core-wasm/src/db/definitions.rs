//! Definitions of indexes and views: values of the engine's own namespace, so that they are logged,
//! chained and replayed as everything else.

use serde::{Deserialize, Serialize};

use crate::codec::names;
use crate::error::{Error, Kind, Result};
use crate::index::FieldIndex;
use crate::limits::{MAX_DEFINITIONS, MAX_NAME_BYTES, MAX_VIEW_KEY_BYTES};
use crate::log::record::ValueKind;
use crate::query::{Filter, Order};
use crate::sort::{sort, sort_by};

use super::commit::{Reserve, out_of_memory};
use super::derived::{View, indexed};
use super::versions::Place;
use super::{Database, Draft, Write};

/// A definition as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Definition {
    Index { namespace: String, field: String },
    View { name: String, namespace: String, filter: Option<String>, order_by: String },
}

/// An index, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndexInfo<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Dotted path of its field.
    pub field: &'a str,
    /// Memory that it takes.
    pub bytes: usize,
}

/// What a view selects, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct ViewSource<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// JSON of its filter.
    pub filter: Option<&'a [u8]>,
    /// JSON of its order.
    pub order: &'a [u8],
}

impl Definition {
    /// The key that it is stored under. Names have no NUL.
    fn key(&self) -> String {
        match self {
            Self::Index { namespace, field } => format!("index\0{namespace}\0{field}"),
            Self::View { name, .. } => format!("view\0{name}"),
        }
    }
}

impl Database {
    /// Keeps an index of a field from now on; `false` if there is one. Linear in the namespace's
    /// values.
    ///
    /// # Errors
    /// `Invalid` for a bad name or field, `Limit` if there is no memory or there are too many.
    pub fn create_index(&mut self, write: Write, namespace: &str, field: &str) -> Result<bool> {
        check_field(field)?;
        let space = self.derived.space(namespace);
        if space.is_some_and(|space| space.fields.contains_key(field)) {
            return Ok(false);
        }
        check_count("indexes", space.map_or(0, |space| space.fields.len()))?;
        let index = self.build_index(namespace, field)?;
        let definition = Definition::Index { namespace: namespace.into(), field: field.into() };
        self.define(write, &definition)?;
        self.derived.space_mut(namespace).fields.insert(field.into(), Some(Box::new(index)));
        Ok(true)
    }

    /// Drops an index; `false` if there is none.
    ///
    /// # Errors
    /// `Invalid` if a time past the year 9999 arrived.
    pub fn drop_index(&mut self, write: Write, namespace: &str, field: &str) -> Result<bool> {
        if self.derived.space(namespace).is_none_or(|space| !space.fields.contains_key(field)) {
            return Ok(false);
        }
        let definition = Definition::Index { namespace: namespace.into(), field: field.into() };
        self.undefine(write, &definition)?;
        self.derived.space_mut(namespace).fields.remove(field);
        Ok(true)
    }

    /// The indexes of a namespace, or of all, by namespace and field.
    #[must_use]
    pub fn list_indexes(&self, namespace: Option<&str>) -> Vec<IndexInfo<'_>> {
        let spaces = self.derived.spaces();
        let spaces = spaces.filter(|(name, _)| namespace.is_none_or(|wanted| wanted == *name));
        spaces
            .flat_map(|(namespace, space)| {
                space.fields.iter().map(move |(field, index)| IndexInfo {
                    namespace,
                    field,
                    bytes: index.as_deref().map_or(0, FieldIndex::bytes),
                })
            })
            .collect()
    }

    /// Defines a view, in place of one of the same name. Linear in the namespace's values.
    ///
    /// # Errors
    /// `Invalid` for a bad name, filter or order, `Limit` if there is no memory or there are too
    /// many.
    pub fn create_view(&mut self, write: Write, name: &str, source: &ViewSource<'_>) -> Result<()> {
        let mut view = source.view()?;
        let others = self
            .derived
            .space(source.namespace)
            .map_or(0, |space| space.views.keys().filter(|other| ***other != *name).count());
        check_count("views", others)?;
        let text = |json: &[u8]| String::from_utf8_lossy(json).into_owned();
        let definition = Definition::View {
            name: name.into(),
            namespace: source.namespace.into(),
            filter: source.filter.map(text),
            order_by: text(source.order),
        };
        self.fill_view(source.namespace, &mut view)?;
        self.define(write, &definition)?;
        self.remove_view(name);
        self.derived.space_mut(source.namespace).views.insert(name.into(), Box::new(view));
        Ok(())
    }

    /// Drops a view; `false` if there is none.
    ///
    /// # Errors
    /// `Invalid` if a time past the year 9999 arrived.
    pub fn drop_view(&mut self, write: Write, name: &str) -> Result<bool> {
        let Some((namespace, _)) = self.find_view(name) else { return Ok(false) };
        let definition = Definition::View {
            name: name.into(),
            namespace: namespace.into(),
            filter: None,
            order_by: String::new(),
        };
        self.undefine(write, &definition)?;
        self.remove_view(name);
        Ok(true)
    }

    /// The views with their sources, by name.
    #[must_use]
    pub fn list_views(&self) -> Vec<(&str, ViewSource<'_>)> {
        let views = self.derived.spaces().flat_map(|(namespace, space)| {
            space.views.iter().map(move |(name, view)| {
                let filter = view.filter.as_deref();
                (&**name, ViewSource { namespace, filter, order: &view.order })
            })
        });
        let mut views: Vec<_> = views.collect();
        sort_by(&mut views, |one, other| one.0.cmp(other.0));
        views
    }

    /// A view and its namespace.
    pub(super) fn find_view(&self, name: &str) -> Option<(&str, &View)> {
        let found = self
            .derived
            .spaces()
            .map(|(namespace, space)| space.views.get(name).map(|view| (namespace, &**view)));
        found.flatten().next()
    }

    /// Makes what is defined, once the log has been replayed.
    ///
    /// # Errors
    /// `Corrupt` for a definition that cannot be read, `Limit` if there is no memory for it.
    pub(super) fn restore_definitions(&mut self) -> Result<()> {
        let stored: Vec<Vec<u8>> = self
            .get_all(names::SYSTEM, u64::MAX)
            .into_iter()
            .map(|record| record.value().to_vec())
            .collect();
        for json in stored {
            let unreadable = || Error::corrupt(0, "a definition of an index or view is not one");
            match serde_json::from_slice(&json).map_err(|_| unreadable())? {
                Definition::Index { namespace, field } => {
                    // What is stored must open, if need be without what only makes it faster.
                    let index = self.build_index(&namespace, &field).ok();
                    self.derived
                        .space_mut(&namespace)
                        .fields
                        .insert(field.into(), index.map(Box::new));
                }
                Definition::View { name, namespace, filter, order_by } => {
                    let source = ViewSource {
                        namespace: &namespace,
                        filter: filter.as_deref().map(str::as_bytes),
                        order: order_by.as_bytes(),
                    };
                    let mut view = source.view().map_err(|_| unreadable())?;
                    if self.fill_view(&namespace, &mut view).is_err() {
                        view.give_up();
                    }
                    self.derived.space_mut(&namespace).views.insert(name.into(), Box::new(view));
                }
            }
        }
        self.derived.set_restored();
        Ok(())
    }

    fn build_index(&mut self, namespace: &str, field: &str) -> Result<FieldIndex> {
        let mut index = FieldIndex::new(field)?;
        self.for_each_present(namespace, |database, place| {
            if let Some(record) = database.versions.record(place) {
                index.insert(place, indexed(record), &database.versions);
            }
            Ok(())
        })?;
        Ok(index)
    }

    fn fill_view(&mut self, namespace: &str, view: &mut View) -> Result<()> {
        self.for_each_present(namespace, |database, place| {
            if let Some(record) = database.versions.record(place) {
                view.add(place, record);
            }
            Ok(())
        })
    }

    /// Calls with every version of a namespace that holds a value now or once everything is
    /// acknowledged. Those that will be overwritten then are set to leave what they are taken into.
    ///
    /// # Errors
    /// `Limit` when memory runs short meanwhile; whatever `each` returns.
    pub(super) fn for_each_present(
        &mut self,
        namespace: &str,
        mut each: impl FnMut(&Self, Place) -> Result<()>,
    ) -> Result<()> {
        let mut overwritten = Vec::new();
        for chain in self.keyspace.chains(namespace) {
            let acknowledged = chain.until(self.visible_timestamp, &self.versions).len();
            let places = chain.places().get(acknowledged.saturating_sub(1)..).unwrap_or_default();
            for (index, place) in places.iter().enumerate() {
                let record = self.versions.record(*place);
                if let Some(record) = record.filter(|record| record.kind() != ValueKind::Deleted) {
                    self.check_budget(1, record.value().len(), Reserve::Whole)?;
                    each(self, *place)?;
                }
                let next = places.get(index + 1).and_then(|next| self.versions.get(*next));
                overwritten.extend(next.map(|next| (next.timestamp, *place)));
            }
        }
        // One may wait behind a later one of another namespace, and leave a little late.
        sort(&mut overwritten);
        for (timestamp, place) in overwritten {
            self.derived.retire_later(timestamp, place);
        }
        Ok(())
    }

    fn remove_view(&mut self, name: &str) {
        if let Some(namespace) = self.find_view(name).map(|(namespace, _)| namespace.to_owned()) {
            self.derived.space_mut(&namespace).views.remove(name);
        }
    }

    fn define(&mut self, write: Write, definition: &Definition) -> Result<()> {
        let json = serde_json::to_vec(definition).map_err(|_| out_of_memory())?;
        self.check_budget(1, json.len(), Reserve::Whole)?;
        self.commit_own(write, &Draft::json(names::SYSTEM, &definition.key(), &json))
    }

    fn undefine(&mut self, write: Write, definition: &Definition) -> Result<()> {
        self.commit_own(write, &Draft::deleted(names::SYSTEM, &definition.key()))
    }

    /// Commits a draft of the engine's own namespace, whose names nobody else could give.
    fn commit_own(&mut self, write: Write, draft: &Draft<'_>) -> Result<()> {
        self.keyspace.reserve(1)?;
        self.versions.reserve(1)?;
        self.commit_checked(write, core::slice::from_ref(draft), &[None]).map(drop)
    }
}

impl ViewSource<'_> {
    fn view(&self) -> Result<View> {
        let filter = self.filter.map(Filter::parse).transpose()?;
        let order = Order::parse(self.order)?;
        let order = order.with_keys_within(MAX_VIEW_KEY_BYTES);
        Ok(View::new((self.filter, filter), (self.order, order)))
    }
}

fn check_field(field: &str) -> Result<()> {
    let problem = if field.is_empty() {
        "the field is empty".to_owned()
    } else if field.starts_with('$') {
        format!("the field {field:?} begins with $")
    } else if field.len() > MAX_NAME_BYTES {
        format!("the field is {} bytes long; the limit is {MAX_NAME_BYTES}", field.len())
    } else if field.contains('\0') {
        "the field contains a NUL character".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Invalid, problem, "give a dotted path such as address.city"))
}

fn check_count(what: &str, count: usize) -> Result<()> {
    if count < MAX_DEFINITIONS {
        return Ok(());
    }
    Err(Error::new(
        Kind::Limit,
        format!("the namespace has {count} {what}; the limit is {MAX_DEFINITIONS}"),
        "drop one that is not needed",
    ))
}
