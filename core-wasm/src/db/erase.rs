//! Erasing a key: its versions are gone from memory at once, and from the file with the next
//! compaction.

use crate::error::Result;
use crate::log::chain::{Link, digest};
use crate::log::frame::FrameType;
use crate::log::record::Erasure;

use super::{Database, Write};

impl Database {
    /// Removes every version of a key and returns how many there were. Linear in them.
    ///
    /// # Errors
    /// `Invalid` if a time past the year 9999 arrived.
    pub fn erase(&mut self, write: Write, namespace: &str, key: &str) -> Result<usize> {
        if self.keyspace.chain(namespace, key, &self.versions).is_none() {
            return Ok(0);
        }
        let timestamp = self.begin(write)?;
        let (namespace, key) = (namespace.to_owned(), key.to_owned());
        let erasure = Erasure { timestamp, namespace, key };
        let bytes = erasure.to_bytes();
        self.journal.write(FrameType::Erasure, &[&bytes]);
        let mut link = Link::after(&self.head);
        link.add(&digest(&bytes));
        let erased = self.forget(&erasure.namespace, &erasure.key);
        self.remember_erasure(erasure);
        self.finish(1, timestamp, &link);
        self.chain_start = (self.head, self.versions.len());
        Ok(erased)
    }

    /// Drops a key's versions from memory.
    pub(super) fn forget(&mut self, namespace: &str, key: &str) -> usize {
        let places = self.keyspace.remove(namespace, key);
        for place in &places {
            self.derived.forget(namespace, *place, &self.versions);
            if let Some(vector) = self.versions.erase(*place) {
                self.vectors.erase(vector);
            }
        }
        places.len()
    }
}
