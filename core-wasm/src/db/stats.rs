//! Sizes and counts.

use serde::Serialize;

use crate::codec::names;

use super::keyspace::Chain;
use super::{Database, SetStats};

/// What a database holds, as far as it is durable for keys and namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Keys that hold a value.
    pub keys: usize,
    /// Namespaces that hold a key with a value.
    pub namespaces: usize,
    /// Versions held, deletions included.
    pub versions: usize,
    /// Commits since the database was made.
    pub commits: u64,
    /// Versions that retention has dropped since then.
    pub dropped: u64,
    /// Bytes of the versions' records.
    pub record_bytes: u64,
    /// Versions whose records are in the file only.
    pub aside: usize,
    /// Bytes of their records.
    pub aside_bytes: u64,
    /// Bytes of memory in use by the engine.
    pub memory_used: usize,
    /// Time of the last commit in microseconds since 1970; 0 for none.
    pub timestamp: u64,
    /// Sequence of the last frame.
    pub sequence: u64,
    /// The file's epoch.
    pub epoch: u32,
    /// Sets of vectors.
    pub vectors: Vec<SetStats>,
    /// Indexes of fields and of text, by namespace.
    pub indexes: Vec<IndexStats>,
}

/// What is reported of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndexStats {
    /// Namespace of the index.
    pub namespace: String,
    /// `field` or `text`.
    pub kind: &'static str,
    /// Dotted path of its field; `None` for text of all fields.
    pub field: Option<String>,
    /// Values that a search of the present finds by it; `None` for one that memory had no room for.
    pub documents: Option<usize>,
    /// Bytes of memory that it takes.
    pub bytes: usize,
}

impl Database {
    /// Sizes and counts. Linear in the number of keys.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let horizon = self.visible_timestamp;
        let named = self.keyspace.namespaces().filter(|name| *name != names::SYSTEM);
        let held = named.map(|name| {
            let holds = |chain: &&Chain| chain.value_at(horizon, &self.versions).is_some();
            self.keyspace.chains(name).filter(holds).count()
        });
        let (mut keys, mut namespaces) = (0, 0);
        for count in held {
            keys += count;
            namespaces += usize::from(count > 0);
        }
        Stats {
            keys,
            namespaces,
            versions: self.versions.live(),
            commits: self.commits,
            dropped: self.dropped,
            record_bytes: self.versions.record_bytes(),
            aside: self.versions.aside().0,
            aside_bytes: self.versions.aside().1,
            memory_used: (self.options.memory_used)(),
            timestamp: self.timestamp,
            sequence: self.journal.sequence,
            epoch: self.header.epoch,
            vectors: self.vectors.stats(),
            indexes: self.derived.stats(),
        }
    }
}
