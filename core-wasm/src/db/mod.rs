//! The database: keys, their versions, and what may be asked of them.
//!
//! State is one slab of [`versions`] in commit order and one [`keyspace`] of names that point into it.
//! Every write goes through [`commit`]; every read stops at what is acknowledged, so an as-of read and a
//! read of the present are the same code with another time.

mod causality;
mod changes;
mod commit;
mod definitions;
mod derived;
mod diff;
mod erase;
mod fetch;
mod history;
mod journal;
mod keyspace;
mod lift;
mod query;
mod read;
mod recall;
mod replay;
mod search;
mod slab;
mod snapshot;
mod sorted;
mod stats;
mod suggest;
mod table;
mod vectors;
mod verify;
mod versions;
mod write;

use std::collections::VecDeque;

use crate::codec::bytes::u64_at;
use crate::log::chain::Digest;
use crate::log::header::Header;
use crate::vector::{Metric, Mode};

pub use changes::{Change, Cursor, Event, Feed, Page};
pub use commit::{Draft, Write};
pub use definitions::{IndexInfo, ViewSource};
pub use fetch::Stretch;
pub use query::{Explanation, Select, Selected};
pub use read::{Listing, Value};
pub use recall::{Recall, Recalled};
pub use replay::Replay;
pub use search::{TextFound, TextSearch};
pub use snapshot::{Part, Place as SnapshotPlace, Retention, Size};
pub use stats::{IndexStats, Stats};
pub use vectors::{Found, SetStats, Similar};
pub use verify::Verified;
pub use versions::Wanted;
pub use write::Expected;

use derived::Derived;
pub use derived::Strings;
use fetch::Fetch;
use journal::Journal;
use keyspace::Keyspace;
use vectors::Vectors;
use versions::Versions;

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Random id of a new database; names are hashed with it in any.
    pub database_id: [u8; 16],
    /// Whether writes leave log frames for the host to store.
    pub journal: bool,
    /// Bytes of memory that data may take; 0 for no bound of the engine's own.
    pub memory_budget: usize,
    /// Bytes of memory in use now.
    pub memory_used: fn() -> usize,
    /// Old values are set aside while more bytes of memory are in use; `None` if the host cannot
    /// fetch them.
    pub aside_above: Option<usize>,
    /// How vectors are compared.
    pub metric: Metric,
    /// How vectors are searched.
    pub mode: Mode,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            database_id: [0; 16],
            journal: true,
            memory_budget: 0,
            memory_used: || 0,
            aside_above: None,
            metric: Metric::Cosine,
            mode: Mode::Auto,
        }
    }
}

/// One database.
#[derive(Debug)]
pub struct Database {
    options: Options,
    header: Header,
    keyspace: Keyspace,
    versions: Versions,
    vectors: Vectors,
    derived: Derived,
    /// Time of the last commit; the next one is later.
    timestamp: u64,
    journal: Journal,
    /// Commits since the database was made.
    commits: u64,
    /// Versions that retention has dropped since then.
    dropped: u64,
    /// Whether it is what was intact of a damaged file.
    is_salvaged: bool,
    /// Hash of the last commit.
    head: Digest,
    /// Where a rehash of the chain can begin: a head, and the slab's length at that moment.
    chain_start: (Digest, usize),
    /// The latest erasures, for readers of changes.
    erasures: changes::Erasures,
    /// How many erasures there were: a snapshot under way begins anew after one.
    erasure_count: u64,
    /// Commits that are not yet acknowledged: sequence and time.
    pending: VecDeque<(u64, u64)>,
    /// Time of the last acknowledged commit: where reads stop.
    visible_timestamp: u64,
    /// What the request under way needs of the file.
    fetch: Fetch,
}

impl Database {
    /// An empty database. Its journal holds the file header.
    #[must_use]
    pub fn create(options: &Options) -> Self {
        let header = Header {
            database_id: options.database_id,
            epoch: 1,
            first_sequence: 1,
            snapshot: false,
        };
        let mut database = Self::empty(options, header);
        if options.journal {
            database.journal.bytes = header.to_bytes();
        }
        database
    }

    fn empty(options: &Options, header: Header) -> Self {
        Self {
            options: *options,
            header,
            keyspace: Keyspace::new(u64_at(&options.database_id, 0).unwrap_or_default()),
            versions: Versions::new(options.aside_above.is_some()),
            vectors: Vectors::new(options.metric, options.mode),
            derived: Derived::default(),
            timestamp: 0,
            journal: Journal::new(
                &header,
                (header.first_sequence.saturating_sub(1), 0),
                options.journal,
            ),
            fetch: Fetch::default(),
            commits: 0,
            dropped: 0,
            is_salvaged: false,
            head: [0; 32],
            chain_start: ([0; 32], 0),
            erasures: changes::Erasures::new(),
            erasure_count: 0,
            pending: VecDeque::new(),
            visible_timestamp: 0,
        }
    }

    /// Notes that writes up to a sequence are acknowledged: reads see them from now on. Constant
    /// time for each commit.
    pub fn acknowledge(&mut self, sequence: u64) {
        while let Some(&(committed, timestamp)) = self.pending.front() {
            if committed > sequence {
                break;
            }
            self.visible_timestamp = timestamp;
            self.pending.pop_front();
        }
        self.vectors.acknowledge(self.visible_timestamp);
        self.derived.acknowledge(self.visible_timestamp, &self.versions);
    }

    /// Log frames of the last write: to be made durable before it is acknowledged.
    #[must_use]
    pub fn journal(&self) -> &[u8] {
        &self.journal.bytes
    }

    /// Forgets the frames of the last write.
    pub fn clear_journal(&mut self) {
        self.journal.clear();
    }

    /// Sequence of the last frame.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.journal.sequence
    }

    /// Hash of the last commit, durable or not.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    /// The time up to which a read as of `at` sees.
    fn horizon(&self, at: u64) -> u64 {
        at.min(self.visible_timestamp)
    }
}

#[cfg(test)]
mod tests;
