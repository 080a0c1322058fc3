//! Opening: stored bytes become a database again.

use crate::codec::bytes::take;
use crate::error::{Error, Kind, Result};
use crate::log::chain::{Link, digest};
use crate::log::header::Header;
use crate::log::record::Record;
use crate::log::recovery::{Entry, Group, Progress, Recovery};

use crate::vector::Codes;

use super::commit::Reserve;
use super::journal::Journal;
use super::{Database, Options};

/// A database on its way in. Feed it the file's bytes until it is done.
#[derive(Debug)]
pub struct Replay {
    recovery: Recovery,
    database: Database,
    verify: bool,
}

impl Replay {
    /// A replay that has seen nothing. `writable` says whether the database is to be written to,
    /// `verify` makes it recompute every id and the chain of commits, and keep nothing.
    #[must_use]
    pub fn new(options: &Options, writable: bool, verify: bool) -> Self {
        let header = Header { database_id: [0; 16], epoch: 0, first_sequence: 1 };
        let (recovery, database) = (Recovery::new(writable), Database::empty(options, header));
        Self { recovery, database, verify }
    }

    /// Takes the bytes from `offset` on; see [`Recovery::feed`]. Linear time.
    ///
    /// # Errors
    /// `Unsupported` or `Corrupt`, see [`crate::log::recovery`]; `Limit` if the data does not fit
    /// the memory.
    pub fn feed(&mut self, offset: u64, bytes: &[u8], end: bool) -> Result<Progress> {
        let Self { recovery, database, verify } = self;
        recovery.feed(offset, bytes, end, &mut |group, vectors| {
            if *verify {
                database.verify_group(&group, vectors)
            } else {
                database.apply(group, vectors)
            }
        })
    }

    /// The database, once [`Replay::feed`] said that the file has been read.
    ///
    /// # Errors
    /// `Corrupt` for a definition of an index or view that cannot be read.
    pub fn finish(self) -> Result<Database> {
        let Self { recovery, mut database, .. } = self;
        if let Some(header) = recovery.header() {
            database.header = header;
        }
        let sequence = recovery.committed_sequence();
        database.journal = Journal::new(&database.header, sequence, database.options.journal);
        database.visible_timestamp = database.timestamp;
        database.chain_start = (database.head, database.versions.len());
        database.restore_definitions()?;
        Ok(database)
    }
}

impl Database {
    /// Recomputes the ids of a group and the link of the chain that it claims.
    fn verify_group(&mut self, group: &Group, mut vectors: &[u8]) -> Result<()> {
        let mut link = Link::after(&self.head);
        for entry in &group.entries {
            match entry {
                Entry::Version(record) => {
                    let digest = record.digest(next_vector(&mut vectors, record));
                    if !digest.starts_with(&record.id()) {
                        return Err(Error::corrupt(0, "a version's content does not match its id"));
                    }
                    link.add(&digest);
                }
                Entry::Erasure(erasure) => link.add(&digest(&erasure.to_bytes())),
            }
        }
        if link.head() != group.commit.head {
            return Err(Error::corrupt(0, "a commit does not follow the one before it"));
        }
        self.head = group.commit.head;
        self.commits += 1;
        Ok(())
    }

    /// Takes a group of the log in.
    fn apply(&mut self, group: Group, mut vectors: &[u8]) -> Result<()> {
        let bytes = group.entries.iter().map(|entry| match entry {
            Entry::Version(record) => record.as_bytes().len(),
            Entry::Erasure(_) => 0,
        });
        // The records are in memory already; their places and names are not.
        let bytes = bytes.sum::<usize>() / 2 + vectors.len() / 4;
        self.check_budget(group.entries.len(), bytes, Reserve::Nothing)?;
        self.versions.reserve(group.entries.len())?;
        let mut latest = self.timestamp;
        for entry in group.entries {
            let timestamp = match entry {
                Entry::Version(record) => {
                    let timestamp = record.timestamp();
                    let vector = next_vector(&mut vectors, &record);
                    self.apply_version(record, vector)?;
                    timestamp
                }
                Entry::Erasure(erasure) => {
                    self.forget(&erasure.namespace, &erasure.key);
                    let timestamp = erasure.timestamp;
                    self.remember_erasure(erasure);
                    timestamp
                }
            };
            if timestamp <= self.timestamp && self.commits > 0 {
                return Err(Error::corrupt(0, "a commit is not later than the one before it"));
            }
            latest = latest.max(timestamp);
        }
        self.timestamp = latest;
        self.head = group.commit.head;
        self.commits += 1;
        Ok(())
    }

    fn apply_version(&mut self, record: Record, vector: &[u8]) -> Result<()> {
        let Self { keyspace, versions, vectors, .. } = self;
        let fields = record.fields();
        let chain = keyspace.chain_mut(fields.namespace, fields.key);
        let latest = chain.latest().and_then(|place| versions.record(place)).map(Record::id);
        if fields.previous != latest || versions.find(&record.id()).is_some() {
            return Err(Error::corrupt(0, "a version does not follow the key's version before it"));
        }
        let before = chain.latest();
        let overwritten = before.and_then(|place| versions.get(place)?.vector);
        let held = if vector.is_empty() {
            None
        } else {
            // Codes are derived when there is time: the database answers without them.
            let added = vectors.add((fields.namespace, fields.model), vector, Codes::Later);
            Some(added.map_err(not_under_this_metric)?)
        };
        let timestamp = fields.timestamp;
        let place = versions.push(record, timestamp, held);
        chain.push(place);
        if let Some(before) = before {
            versions.follow(before, place);
        }
        if let Some(overwritten) = overwritten {
            vectors.retire(overwritten, None);
        }
        if let Some(held) = held {
            vectors.attach(held, place, None);
        }
        Ok(())
    }
}

/// The vector of a record, off the front of its group's.
fn next_vector<'a>(vectors: &mut &'a [u8], record: &Record) -> &'a [u8] {
    take(vectors, 4 * record.dimension()).unwrap_or_default()
}

/// A stored vector was good under the metric it was written with.
fn not_under_this_metric(error: Error) -> Error {
    if error.kind != Kind::Invalid {
        return error;
    }
    Error::new(
        Kind::Invalid,
        format!("a stored vector cannot be used: {}", error.message),
        "open the file with the Config.vector_metric that it was written with",
    )
}
