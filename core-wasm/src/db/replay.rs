//! Opening: stored bytes become a database again.

use crate::codec::bytes::take;
use crate::codec::hex::VersionId;
use crate::error::{Error, Kind, Result};
use crate::limits::MAX_TIMESTAMP_US;
use crate::log::chain::{Link, digest};
use crate::log::header::Header;
use crate::log::record::{Erasure, Record};
use crate::log::recovery::{Entry, Group, Intake, Progress, Recovery, Unit};
use crate::log::salvage::Salvage;
use crate::log::snapshot::Snapshot;

use crate::vector::Codes;

use super::commit::Reserve;
use super::journal::Journal;
use super::vectors::At;
use super::{Database, Options, Strings};

/// Ids that are taken in before the first request; what that costs is not noticed.
const IDS_AT_ONCE: usize = 8192;

/// A database on its way in. Feed it the file's bytes until it is done.
#[derive(Debug)]
pub struct Replay {
    recovery: Recovery,
    /// Reads in the place of the recovery, if what is intact is wanted.
    salvage: Option<Salvage>,
    database: Database,
    verify: bool,
}

impl Replay {
    /// A replay that has seen nothing. `writable` says whether the database is to be written to,
    /// `verify` makes it recompute every id and the chain of commits, and keep nothing.
    #[must_use]
    pub fn new(options: &Options, writable: bool, verify: bool) -> Self {
        let header = Header { database_id: [0; 16], epoch: 0, first_sequence: 1, snapshot: false };
        let (recovery, mut database) = (Recovery::new(writable), Database::empty(options, header));
        database.versions.leave_ids_for_later();
        Self { recovery, salvage: None, database, verify }
    }

    /// A replay that takes what is intact of a damaged file, and checks every id of it.
    #[must_use]
    pub fn salvage(options: &Options) -> Self {
        let mut replay = Self::new(options, false, false);
        replay.salvage = Some(Salvage::default());
        replay.database.is_salvaged = true;
        replay
    }

    /// Where what is lost of a damaged file lies: from, to.
    #[must_use]
    pub fn lost(&self) -> Vec<(u64, u64)> {
        self.salvage.as_ref().map(|salvage| salvage.lost().to_vec()).unwrap_or_default()
    }

    /// Takes the bytes from `offset` on; see [`Recovery::feed`]. Linear time.
    ///
    /// # Errors
    /// `Unsupported` or `Corrupt`, see [`crate::log::recovery`]; `Limit` if the data does not fit
    /// the memory.
    pub fn feed(&mut self, offset: u64, bytes: &[u8], end: bool) -> Result<Progress> {
        let Self { recovery, salvage, database, verify } = self;
        if let Some(salvage) = salvage {
            return salvage
                .feed(offset, bytes, end, &mut |unit: Unit<'_>| database.apply_intact(unit));
        }
        if *verify {
            return recovery.feed(offset, bytes, end, &mut |unit: Unit<'_>| match unit {
                Unit::Group(group, vectors) | Unit::Part(group, vectors) => {
                    database.verify_group(&group, vectors)
                }
                Unit::Snapshot(snapshot) => database.apply_snapshot(&snapshot, true),
            });
        }
        recovery.feed(offset, bytes, end, database)
    }

    /// Does a slice of what searches gain from; see [`Database::maintain`]. Whether none is left for
    /// what has been read so far. Indexes and views are made at once, and kept up to date by what is
    /// still to be read.
    ///
    /// # Errors
    /// As [`Replay::finish`].
    pub fn maintain(&mut self, budget: usize, texts: &[(String, Strings)]) -> Result<bool> {
        let Self { database, verify, .. } = self;
        database.visible_timestamp = database.timestamp;
        if !*verify && !database.derived.is_restored() {
            database.restore_definitions()?;
        }
        Ok(database.maintain(budget, texts))
    }

    /// Takes erasures that readers of changes may still ask for; a snapshot does not have them, lest
    /// it names what was erased.
    pub fn remember_erasures(&mut self, erasures: Vec<Erasure>) {
        erasures.into_iter().for_each(|erasure| self.database.remember_erasure(erasure));
    }

    /// The database, once [`Replay::feed`] said that the file has been read.
    ///
    /// # Errors
    /// `Corrupt` for a definition of an index or view that cannot be read.
    pub fn finish(self) -> Result<Database> {
        let Self { recovery, salvage, mut database, .. } = self;
        let (header, sequence) = match &salvage {
            Some(salvage) => (salvage.header(), salvage.sequence()),
            None => (recovery.header(), recovery.committed_sequence()),
        };
        if let Some(header) = header {
            database.header = header;
        }
        database.vectors.drop_ahead();
        let end = recovery.valid_bytes();
        database.journal =
            Journal::new(&database.header, (sequence, end), database.options.journal);
        database.visible_timestamp = database.timestamp;
        database.chain_start = (database.head, database.versions.len());
        if !database.derived.is_restored() {
            database.restore_definitions()?;
        }
        // What the last group took is over what may be used, if anything is.
        database.set_aside(0, database.timestamp);
        database.versions.catch_up(IDS_AT_ONCE);
        Ok(database)
    }
}

impl Intake for Database {
    fn unit(&mut self, unit: Unit<'_>) -> Result<()> {
        match unit {
            Unit::Group(group, vectors) => self.apply_group(group, vectors),
            Unit::Part(part, vectors) => self.apply_part(part, vectors),
            Unit::Snapshot(snapshot) => self.apply_snapshot(&snapshot, false),
        }
    }

    fn ahead(&mut self, record: &Record, vector: &[u8]) -> bool {
        self.vectors.add_ahead((record.names().0, record.model()), vector)
    }
}

impl Database {
    /// Recomputes the ids of a group and the link of the chain that it claims.
    fn verify_group(&mut self, group: &Group, mut vectors: &[u8]) -> Result<()> {
        let mut link = Link::after(&self.head);
        for entry in &group.entries {
            match entry {
                Entry::Version(record, _) => {
                    let digest = record.digest(next_vector(&mut vectors, record));
                    if !digest.starts_with(&record.id()) {
                        return Err(Error::corrupt(0, "a version's content does not match its id"));
                    }
                    link.add(&digest);
                }
                Entry::Erasure(erasure) => link.add(&digest(&erasure.to_bytes())),
                Entry::Gap(gap) => link.add(&digest(&gap.to_bytes())),
            }
        }
        if link.head() != group.commit.head {
            return Err(Error::corrupt(0, "a commit does not follow the one before it"));
        }
        self.head = group.commit.head;
        self.commits += 1;
        Ok(())
    }

    /// Takes a commit in: all of it is later than what is there.
    fn apply_group(&mut self, group: Group, vectors: &[u8]) -> Result<()> {
        let before = if self.commits == 0 { None } else { Some(self.timestamp) };
        self.commits += 1;
        self.apply(group, vectors, &|_, timestamp| before.is_none_or(|before| timestamp > before))
    }

    /// Takes a part of a snapshot in: several commits, perhaps without their first or last versions.
    fn apply_part(&mut self, part: Group, vectors: &[u8]) -> Result<()> {
        self.apply(part, vectors, &|latest, timestamp| timestamp >= latest)
    }

    /// Takes the end of a snapshot in: what it says of the commits that led to it.
    fn apply_snapshot(&mut self, snapshot: &Snapshot, verify: bool) -> Result<()> {
        let has_commits = snapshot.commits > 0 || (snapshot.versions == 0 && snapshot.dropped == 0);
        if !(self.timestamp..=MAX_TIMESTAMP_US).contains(&snapshot.timestamp) || !has_commits {
            return Err(Error::corrupt(0, "a snapshot's end is not that of its commits"));
        }
        self.timestamp = snapshot.timestamp;
        self.head = snapshot.head;
        self.dropped = snapshot.dropped;
        if !verify {
            self.commits = snapshot.commits;
        }
        Ok(())
    }

    /// Takes a unit of a damaged file in: all of it, or nothing and an error.
    fn apply_intact(&mut self, unit: Unit<'_>) -> Result<()> {
        let (group, vectors) = match unit {
            Unit::Group(group, vectors) | Unit::Part(group, vectors) => (group, vectors),
            Unit::Snapshot(snapshot) => return self.apply_snapshot(&snapshot, false),
        };
        let (mut rest, mut latest) = (vectors, self.timestamp);
        for entry in &group.entries {
            let timestamp = match entry {
                Entry::Version(record, _) => {
                    let digest = record.digest(next_vector(&mut rest, record));
                    let id = record.id();
                    if !digest.starts_with(&id) || self.versions.find(&id).is_some() {
                        return Err(Error::corrupt(0, "a version's content does not match its id"));
                    }
                    record.timestamp()
                }
                Entry::Erasure(erasure) => erasure.timestamp,
                Entry::Gap(_) => continue,
            };
            if timestamp < latest {
                return Err(Error::corrupt(0, "a commit is earlier than the one before it"));
            }
            latest = timestamp;
        }
        for entry in &group.entries {
            if let Entry::Version(record, _) = entry
                && record.fields().previous.is_none()
            {
                // A key that begins again was erased before, even if the frame that says so is lost.
                self.forget(record.fields().namespace, record.fields().key);
            }
        }
        self.commits += 1;
        self.apply(group, vectors, &|_, _| true)
    }

    /// Takes what is whole in. `fits` says of each entry's time, and the latest one before, whether
    /// they may follow each other.
    fn apply(
        &mut self,
        group: Group,
        mut vectors: &[u8],
        fits: &dyn Fn(u64, u64) -> bool,
    ) -> Result<()> {
        // The records are in memory already; their places are not, nor are the codes of vectors.
        let bytes = group.entries.iter().map(|entry| match entry {
            Entry::Version(record, _) => record.as_bytes().len() / 2 + record.dimension(),
            Entry::Erasure(_) | Entry::Gap(_) => 0,
        });
        let bytes = bytes.sum::<usize>();
        self.set_aside(2 * bytes, self.timestamp);
        if let Err(error) = self.check_budget(group.entries.len(), bytes, Reserve::Nothing) {
            if !self.set_all_aside(self.timestamp) {
                return Err(error);
            }
            self.check_budget(group.entries.len(), bytes, Reserve::Nothing)?;
        }
        self.keyspace.reserve(group.entries.len())?;
        self.versions.reserve(group.entries.len())?;
        let mut ahead = self.vectors.take_ahead().into_iter();
        let mut latest = self.timestamp;
        for entry in group.entries {
            let timestamp = match entry {
                Entry::Version(record, offset) => {
                    let timestamp = record.timestamp();
                    let has_vector = record.dimension() > 0;
                    let held = if has_vector { ahead.next().flatten() } else { None };
                    let vector =
                        if held.is_none() { next_vector(&mut vectors, &record) } else { &[] };
                    self.apply_version(record, held, vector, offset)?;
                    timestamp
                }
                Entry::Erasure(erasure) => {
                    self.forget(&erasure.namespace, &erasure.key);
                    let timestamp = erasure.timestamp;
                    self.remember_erasure(erasure);
                    timestamp
                }
                Entry::Gap(gap) => {
                    if !self.versions.note_gap(gap) {
                        return Err(Error::corrupt(0, "a gap follows another"));
                    }
                    continue;
                }
            };
            if !fits(latest, timestamp) {
                return Err(Error::corrupt(0, "a commit is not later than the one before it"));
            }
            latest = latest.max(timestamp);
        }
        self.timestamp = latest;
        self.head = group.commit.head;
        Ok(())
    }

    /// Takes a version in. Its vector is held already, or given, unless it has none.
    fn apply_version(
        &mut self,
        record: Record,
        held: Option<At>,
        vector: &[u8],
        offset: u64,
    ) -> Result<()> {
        let may_miss = self.commits == 0 || self.is_salvaged;
        let Self { keyspace, versions, vectors, derived, .. } = self;
        let chain = keyspace.find(record.names(), versions);
        let before = chain.ok().and_then(|chain| keyspace.latest(chain));
        let latest = before.and_then(|place| versions.id(place));
        // Retention takes the first versions of a key away, damage any.
        let is_missing = |id: VersionId| versions.find(&id).is_none();
        let previous = record.previous();
        let follows = previous == latest || (may_miss && previous.is_some_and(is_missing));
        // Two versions have one id only if a forged one is not its content's, which `verify` tells.
        if !follows {
            return Err(Error::corrupt(0, "a version does not follow the key's version before it"));
        }
        let overwritten = before.and_then(|place| versions.get(place)?.vector());
        let held = if vector.is_empty() {
            held
        } else {
            // Codes are derived when there is time: the database answers without them.
            let added = vectors.add((record.names().0, record.model()), vector, Codes::Later);
            Some(added.map_err(not_under_this_metric)?)
        };
        let timestamp = record.timestamp();
        let place = versions.push(record, timestamp, held, offset);
        match (chain, versions.record(place).map(Record::names)) {
            (Ok(chain), _) => keyspace.push(chain, place),
            (Err(absent), Some(names)) => keyspace.insert(names, absent, place),
            (Err(_), None) => {}
        }
        if let Some(before) = before {
            versions.follow(before, place);
        }
        if let Some(overwritten) = overwritten {
            vectors.retire(overwritten, None);
        }
        if let Some(held) = held {
            vectors.attach(held, place, None);
        }
        derived.replayed(place, before, versions);
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

#[cfg(test)]
mod tests;
