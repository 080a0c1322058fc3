//! The versions of a key, and a version by its id.

use crate::codec::hex::{self, VersionId};
use crate::error::{Error, Kind, Result};
use crate::log::record::Record;

use super::Database;
use super::versions::Place;

impl Database {
    /// The versions of a key as of `at`, oldest first, deletions included: all of them, or the newest
    /// `limit`. Linear in what is returned.
    #[must_use]
    pub fn history(
        &self,
        namespace: &str,
        key: &str,
        limit: Option<usize>,
        at: u64,
    ) -> Vec<&Record> {
        let Some(chain) = self.keyspace.chain(namespace, key, &self.versions) else {
            return Vec::new();
        };
        let places = chain.until(self.horizon(at), &self.versions);
        let skipped = places.len().saturating_sub(limit.unwrap_or(usize::MAX));
        places.iter().skip(skipped).filter_map(|place| self.versions.record(*place)).collect()
    }

    /// The version with an id. Constant time.
    ///
    /// # Errors
    /// `NotFound` for an id that no durable version has.
    pub fn version(&self, id: &VersionId) -> Result<&Record> {
        self.versions.record(self.version_place(id)?).ok_or_else(|| no_version(id))
    }

    /// [`Database::version`]'s place.
    pub(super) fn version_place(&self, id: &VersionId) -> Result<Place> {
        let visible = |place: &Place| {
            self.versions.get(*place).is_some_and(|found| found.timestamp <= self.visible_timestamp)
        };
        self.versions.find(id).filter(visible).ok_or_else(|| no_version(id))
    }
}

fn no_version(id: &VersionId) -> Error {
    Error::new(
        Kind::NotFound,
        format!("no version {}", hex::encode(id)),
        "take an id from what put or history returned; erased versions are gone for good",
    )
}
