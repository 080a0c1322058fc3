//! The write operations, each a small group for [`super::commit`].

use crate::codec::{hex, names};
use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_CAUSES, MAX_DIMENSION};
use crate::log::record::{Record, ValueKind};

use super::commit::{Reserve, out_of_memory};
use super::keyspace::Chain;
use super::{Database, Draft, Strings, Write};

/// Ids that are taken in while a row's codes are made.
const IDS_FOR_A_ROW: usize = 4;

/// What a conditional write expects of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The key must not hold a value.
    Nothing,
    /// The key's latest version must be this one.
    Version(hex::VersionId),
}

impl Database {
    /// Writes one version and returns its record. See [`Database::put_batch`] for the cost.
    ///
    /// # Errors
    /// `Invalid`, `Serialization` and `Limit` for what is wrong with the draft, `Conflict` with
    /// the current id if the key is not as `expected`.
    pub fn put(
        &mut self,
        write: Write,
        draft: &Draft<'_>,
        expected: Option<Expected>,
    ) -> Result<&[u8]> {
        if let Some(expected) = expected {
            draft.check()?;
            self.check_expected(draft, expected)?;
        }
        let place = self.commit(write, core::slice::from_ref(draft))?;
        Ok(self.versions.record(place).map(Record::as_bytes).unwrap_or_default())
    }

    /// Writes several versions at one time, all or none. Linear in their bytes, logarithmic in
    /// the number of keys.
    ///
    /// # Errors
    /// As [`Database::put`]; the error's `index` says which draft is at fault.
    pub fn put_batch(&mut self, write: Write, drafts: &[Draft<'_>]) -> Result<()> {
        if drafts.is_empty() {
            return Ok(());
        }
        self.commit(write, drafts).map(drop)
    }

    /// Deletes a key by writing a deleted version; `false`, with nothing written, if there was no
    /// value. Logarithmic in the number of keys.
    ///
    /// # Errors
    /// `Invalid` if a time past the year 9999 arrived.
    pub fn delete(&mut self, write: Write, namespace: &str, key: &str) -> Result<bool> {
        if self.latest_value(namespace, key).is_none() {
            return Ok(false);
        }
        self.commit(write, &[Draft::deleted(namespace, key)])?;
        Ok(true)
    }

    /// Writes the value and vector of an old version as a new version, caused by the old one.
    ///
    /// # Errors
    /// `NotFound` for an unknown id; `Invalid` if it is a version of another key, or a deletion.
    pub fn restore(
        &mut self,
        write: Write,
        namespace: &str,
        key: &str,
        id: &hex::VersionId,
    ) -> Result<&[u8]> {
        let record = self.version(id)?.clone();
        let old = record.fields();
        let text = hex::encode(id);
        let refused = |problem: String| {
            Error::new(Kind::Invalid, problem, "take an id from the history of this key")
        };
        if (old.namespace, old.key) != (namespace, key) {
            let (namespace, key) = (old.namespace, old.key);
            return Err(refused(format!("version {text} belongs to {namespace:?}/{key:?}")));
        }
        if old.kind == ValueKind::Deleted {
            return Err(refused(format!(
                "version {text} is a deletion: it has no value to restore"
            )));
        }
        let held = self.versions.find(id).and_then(|place| self.versions.get(place)?.vector());
        let vector = held.map(|held| self.vectors.bytes(held)).unwrap_or_default();
        let (kind, value, model) = (old.kind, old.value, old.model);
        let (namespace, key) = (namespace.as_bytes(), key.as_bytes());
        let draft = Draft { namespace, key, kind, value, model, causes: id, vector: &vector };
        self.put(write, &draft, None)
    }

    /// Whether a key has a value, durable or not.
    #[must_use]
    pub fn holds_value(&self, namespace: &[u8], key: &[u8]) -> bool {
        let namespace = core::str::from_utf8(namespace).unwrap_or_default();
        let key = core::str::from_utf8(key).unwrap_or_default();
        self.latest_value(namespace, key).is_some()
    }

    /// The key's present value, to be kept under a new vector; null if it has none.
    ///
    /// # Errors
    /// `Limit` if there is no memory for a copy of it.
    pub fn kept_value(&self, namespace: &[u8], key: &[u8]) -> Result<(ValueKind, Vec<u8>)> {
        let namespace = core::str::from_utf8(namespace).unwrap_or_default();
        let key = core::str::from_utf8(key).unwrap_or_default();
        let latest = self.latest_value(namespace, key);
        let (kind, value) = latest.map_or((ValueKind::Json, b"null".as_slice()), |record| {
            (record.kind(), record.value())
        });
        let mut copy = Vec::new();
        copy.try_reserve_exact(value.len()).map_err(|_| out_of_memory())?;
        copy.extend_from_slice(value);
        Ok((kind, copy))
    }

    /// Makes room for vectors that the host fills in place: address and bytes of each stretch.
    ///
    /// # Errors
    /// `Invalid` for a bad name or dimension, `Limit` if there is no memory for them.
    pub fn reserve_vectors(
        &mut self,
        namespace: &str,
        model: &str,
        dimension: usize,
        count: u32,
    ) -> Result<Vec<(usize, usize)>> {
        if dimension == 0 || dimension > MAX_DIMENSION {
            let message = format!(
                "the vectors have {dimension} components; 1 to {MAX_DIMENSION} are allowed"
            );
            return Err(Error::new(Kind::Invalid, message, "use a model of fewer dimensions"));
        }
        if !model.is_empty() {
            names::check("model", model.as_bytes())?;
        }
        let rows = usize::try_from(count).unwrap_or(usize::MAX);
        self.check_budget(rows, rows.saturating_mul(4 * dimension), Reserve::Whole)?;
        self.vectors.reserve((namespace.as_bytes(), model.as_bytes()), dimension, count)
    }

    /// Writes drafts, of which those that take a vector get the reserved ones, in order. All reserved
    /// vectors are checked before the first is written.
    ///
    /// # Errors
    /// As [`Database::put_batch`]; `Invalid` for the first bad vector, whose place among all is the
    /// error's `index`. Then nothing of the reservation was written.
    pub fn embed_batch(
        &mut self,
        write: Write,
        drafts: &[Draft<'_>],
        takes: &[bool],
    ) -> Result<()> {
        let count = takes.iter().filter(|takes| **takes).count();
        let vectors = count * self.vectors.reserved_row_bytes();
        if let Err(error) = self.check_drafts(drafts, vectors) {
            self.vectors.cancel();
            return Err(error);
        }
        let mut taken = self.vectors.take_reserved(count)?.into_iter();
        let vectors: Vec<_> =
            takes.iter().map(|takes| if *takes { taken.next().flatten() } else { None }).collect();
        self.commit_checked(write, drafts, &vectors).map(drop)
    }

    /// Gives back reserved vectors that were not written.
    pub fn cancel_vectors(&mut self) {
        self.vectors.cancel();
    }

    /// Namespace and model of the reserved vectors.
    #[must_use]
    pub fn reserved_names(&self) -> Option<(String, String)> {
        let (namespace, model) = self.vectors.reserved_names()?;
        Some((namespace.to_owned(), model.to_owned()))
    }

    /// Does a slice of deferred work; whether none is left. Makes the text indexes that are named, if there is memory for them; a search makes them as well.
    pub fn maintain(&mut self, budget: usize, texts: &[(String, Strings)]) -> bool {
        if budget > 0 {
            self.derived.compact_texts();
        }
        for (namespace, strings) in texts {
            if self.prepare_text(namespace, *strings).is_err() {
                break; // Without memory for it: the search that needs it says so.
            }
        }
        self.versions.catch_up(IDS_FOR_A_ROW * budget) && self.vectors.maintain(budget)
    }

    /// The latest version of a key that holds a value, durable or not.
    fn latest_value(&self, namespace: &str, key: &str) -> Option<&Record> {
        let place = self.keyspace.chain(namespace, key, &self.versions).and_then(Chain::latest)?;
        self.versions.record(place).filter(|record| record.kind() != ValueKind::Deleted)
    }

    fn check_expected(&self, draft: &Draft<'_>, expected: Expected) -> Result<()> {
        let namespace = core::str::from_utf8(draft.namespace).unwrap_or_default();
        let key = core::str::from_utf8(draft.key).unwrap_or_default();
        let latest = self.keyspace.chain(namespace, key, &self.versions).and_then(Chain::latest);
        let latest = latest.and_then(|place| self.versions.id(place));
        let value = self.latest_value(namespace, key).map(Record::id);
        let (met, wanted) = match expected {
            Expected::Nothing => (value.is_none(), "no value".to_owned()),
            Expected::Version(id) => (latest == Some(id), format!("version {}", hex::encode(&id))),
        };
        if met {
            return Ok(());
        }
        let current = latest.map(|id| hex::encode(&id));
        let found =
            current.as_deref().map_or("no version".to_owned(), |id| format!("version {id}"));
        Err(Error::new(
            Kind::Conflict,
            format!("{namespace:?}/{key:?} is at {found}; {wanted} was expected"),
            "read the key again, decide anew, and write with its current version id",
        )
        .with("current", current))
    }

    /// Checks that ids are of known versions and returns them one after the other, each once.
    ///
    /// # Errors
    /// `Invalid` that names the first unknown id.
    pub fn check_causes(&self, ids: &[hex::VersionId]) -> Result<Vec<u8>> {
        if ids.len() > MAX_CAUSES {
            return Err(super::commit::too_large("causes", ids.len(), MAX_CAUSES));
        }
        let mut causes = Vec::with_capacity(16 * ids.len());
        for (index, id) in ids.iter().enumerate() {
            if self.versions.find(id).is_none() {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("caused_by names an unknown version {}", hex::encode(id)),
                    "take ids from what put, history or version returned",
                ));
            }
            if ids.iter().take(index).all(|earlier| earlier != id) {
                causes.extend_from_slice(id);
            }
        }
        Ok(causes)
    }
}
