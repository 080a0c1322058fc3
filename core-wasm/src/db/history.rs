//! The versions of a key, and a version by its id.

use crate::codec::hex::{self, VersionId};
use crate::error::{Error, Kind, Result};
use crate::log::record::Record;

use super::Database;

impl Database {
    /// The versions of a key, oldest first, deletions included: all of them, or the newest
    /// `limit`. Linear in what is returned.
    #[must_use]
    pub fn history(&self, namespace: &str, key: &str, limit: Option<usize>) -> Vec<&Record> {
        let Some(chain) = self.keyspace.chain(namespace, key) else { return Vec::new() };
        let places = chain.until(self.visible_timestamp, &self.versions);
        let skipped = places.len().saturating_sub(limit.unwrap_or(usize::MAX));
        places.iter().skip(skipped).filter_map(|place| self.versions.record(*place)).collect()
    }

    /// The version with an id. Constant time.
    ///
    /// # Errors
    /// `NotFound` for an id that no durable version has.
    pub fn version(&self, id: &VersionId) -> Result<&Record> {
        let place = self.versions.find(id);
        let visible = |place: &u32| {
            self.versions.get(*place).is_some_and(|found| found.timestamp <= self.visible_timestamp)
        };
        place.filter(visible).and_then(|place| self.versions.record(place)).ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                format!("no version {}", hex::encode(id)),
                "take an id from what put or history returned; erased versions are gone for good",
            )
        })
    }
}
