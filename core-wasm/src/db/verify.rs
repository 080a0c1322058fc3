//! Rehashing everything that is held.

use serde::Serialize;

use crate::codec::hex;
use crate::error::{Error, Result};
use crate::log::chain::{Digest, Link};
use crate::log::record::Record;

use super::Database;
use super::versions::Place;

/// What a rehash found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Versions rehashed.
    pub versions: usize,
    /// Commits whose link of the chain was recomputed.
    pub commits: usize,
    /// Hash of the latest commit.
    pub head: String,
    /// What does not hold, in words; empty if everything does.
    pub problems: Vec<String>,
}

/// A rehash that is under way: it stops where versions have to be fetched, and goes on from there.
pub(super) struct Verification {
    next: Place,
    versions: usize,
    commits: usize,
    head: Digest,
    /// The commit under way: its time, and its link as far as it has come.
    open: Option<(u64, Link)>,
    problems: Vec<String>,
}

impl core::fmt::Debug for Verification {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Verification(at {})", self.next)
    }
}

impl Database {
    /// Rehashes every version, walks each key's links, and recomputes the chain of commits since
    /// the database was opened or a key was erased. Linear in the bytes held.
    ///
    /// # Errors
    /// `Fetch` if versions are to be fetched first: called again after that, it goes on.
    pub fn verify(&mut self) -> Result<Verified> {
        let (start_head, start) = self.chain_start;
        let begun = self.fetch.verification.take();
        let mut run = begun.unwrap_or_else(|| Verification {
            next: 0,
            versions: 0,
            commits: 0,
            head: start_head,
            open: None,
            problems: Vec::new(),
        });
        while let Some(version) = self.versions.get(run.next) {
            let place = run.next;
            if version.is_erased() {
                run.next += 1;
                continue;
            }
            let Some(record) = self.versions.record(place) else {
                self.versions.release_fetched();
                self.want_from(place);
                self.fetch.verification = Some(run);
                return Err(Error::fetch());
            };
            let vector = version.vector().map(|held| self.vectors.bytes(held)).unwrap_or_default();
            let in_chain = usize::try_from(place).is_ok_and(|place| place >= start);
            run.take(record, &vector, in_chain);
            self.verify_link(place, record, &mut run.problems);
            run.next += 1;
        }
        run.end_commit();
        if run.head != self.head {
            run.problems.push("the chain of commits does not lead to the head".to_owned());
        }
        let Verification { versions, commits, problems, .. } = run;
        Ok(Verified { versions, commits, head: hex::encode(&self.head), problems })
    }

    /// Wants what was set aside from a place on, up to so many bytes that fetching is worth it.
    fn want_from(&self, place: Place) {
        let most = self.fetched_at_a_time();
        for place in place.. {
            if self.versions.get(place).is_none() || self.versions.wanted().bytes() >= most {
                break;
            }
            if self.versions.frame(place).is_some() {
                let _ = self.versions.record(place);
            }
        }
    }

    /// Checks the link from a version to the key's version before it.
    fn verify_link(&self, place: Place, record: &Record, problems: &mut Vec<String>) {
        let fields = record.fields();
        let chain = self.keyspace.chain(fields.namespace, fields.key, &self.versions);
        let places = chain.map(super::keyspace::Chain::places).unwrap_or_default();
        let index = places.binary_search(&place);
        let previous = index.ok().map(|index| {
            let before = index.checked_sub(1).and_then(|index| places.get(index));
            before.and_then(|before| self.versions.id(*before))
        });
        // Retention, or damage before a salvage, may have taken what a file once had.
        let is_taken = usize::try_from(place).is_ok_and(|at| at < self.chain_start.1)
            && fields.previous.is_some_and(|before| self.versions.find(&before).is_none());
        if previous != Some(fields.previous) && !is_taken {
            let (namespace, key) = (fields.namespace, fields.key);
            let id = hex::encode(&record.id());
            problems.push(format!(
                "version {id} of {namespace:?}/{key:?} does not follow the one before it"
            ));
        }
    }
}

impl Verification {
    /// Rehashes a version.
    fn take(&mut self, record: &Record, vector: &[u8], in_chain: bool) {
        self.versions += 1;
        let digest = record.digest(vector);
        if !digest.starts_with(&record.id()) {
            self.problems.push(format!("version {} is damaged", hex::encode(&record.id())));
        }
        if !in_chain {
            return;
        }
        let timestamp = record.timestamp();
        if self.open.as_ref().is_some_and(|(time, _)| *time != timestamp) {
            self.end_commit();
        }
        let Self { open, commits, head, .. } = self;
        let (_, link) = open.get_or_insert_with(|| {
            *commits += 1;
            (timestamp, Link::after(head))
        });
        link.add(&digest);
    }

    /// Closes the commit under way.
    fn end_commit(&mut self) {
        if let Some((_, link)) = self.open.take() {
            self.head = link.head();
        }
    }
}
