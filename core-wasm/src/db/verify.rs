//! Rehashing everything that is held.

use serde::Serialize;

use crate::codec::hex::{self, VersionId};
use crate::log::chain::Link;

use super::Database;

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

impl Database {
    /// Rehashes every version, walks each key's links, and recomputes the chain of commits since
    /// the database was opened or a key was erased. Linear in the bytes held.
    #[must_use]
    pub fn verify(&self) -> Verified {
        let mut problems = Vec::new();
        let (start_head, start) = self.chain_start;
        let (mut versions, mut commits) = (0, 0);
        let mut open: Option<(u64, Link)> = None;
        let mut head = start_head;
        for (place, record) in self.versions.iter() {
            versions += 1;
            let held = self.versions.get(place).and_then(|version| version.vector);
            let vector = held.map(|held| self.vectors.bytes(held)).unwrap_or_default();
            let digest = record.digest(&vector);
            if !digest.starts_with(&record.id()) {
                problems.push(format!("version {} is damaged", hex::encode(&record.id())));
            }
            if usize::try_from(place).is_ok_and(|place| place < start) {
                continue;
            }
            let timestamp = record.fields().timestamp;
            let link = match open.take() {
                Some((time, link)) if time == timestamp => Some((time, link)),
                Some((_, link)) => {
                    head = link.head();
                    None
                }
                None => None,
            };
            let (time, mut link) = link.unwrap_or_else(|| {
                commits += 1;
                (timestamp, Link::after(&head))
            });
            link.add(&digest);
            open = Some((time, link));
        }
        if let Some((_, link)) = open {
            head = link.head();
        }
        if head != self.head {
            problems.push("the chain of commits does not lead to the head".to_owned());
        }
        self.verify_links(&mut problems);
        Verified { versions, commits, head: hex::encode(&self.head), problems }
    }

    /// Walks each key's links from version to previous version.
    fn verify_links(&self, problems: &mut Vec<String>) {
        for (namespace, keys) in self.keyspace.namespaces() {
            for (key, chain) in keys {
                let mut previous: Option<VersionId> = None;
                for place in chain.places() {
                    let Some(record) = self.versions.record(*place) else { continue };
                    let before = record.fields().previous;
                    // Retention, or damage before a salvage, may have taken what a file once had.
                    let is_taken = usize::try_from(*place).is_ok_and(|at| at < self.chain_start.1)
                        && before.is_some_and(|before| self.versions.find(&before).is_none());
                    if before != previous && !is_taken {
                        let id = hex::encode(&record.id());
                        problems.push(format!(
                            "version {id} of {namespace:?}/{key:?} does not follow the one before it"
                        ));
                    }
                    previous = Some(record.id());
                }
            }
        }
    }
}
