//! Lineage and effects: breadth first along `caused_by`, across keys and namespaces.

use std::collections::{BTreeSet, VecDeque};

use crate::codec::hex::VersionId;
use crate::error::Result;
use crate::log::record::Record;

use super::Database;
use super::versions::Place;

impl Database {
    /// What led to a version, nearest first, each version once; `depth` bounds the steps. Erased
    /// causes are passed over. Linear in the links walked.
    ///
    /// # Errors
    /// `NotFound` for an unknown id.
    pub fn lineage(&self, id: &VersionId, depth: Option<usize>) -> Result<Vec<&Record>> {
        self.walk(id, depth, |place| {
            let record = self.versions.record(place);
            let causes = record.into_iter().flat_map(Record::causes);
            causes.filter_map(|cause| self.versions.find(&cause)).collect()
        })
    }

    /// What a version led to, nearest first, each version once; `depth` bounds the steps. Linear
    /// in the links walked.
    ///
    /// # Errors
    /// `NotFound` for an unknown id.
    pub fn effects(&self, id: &VersionId, depth: Option<usize>) -> Result<Vec<&Record>> {
        self.walk(id, depth, |place| self.versions.effects(place).collect())
    }

    fn walk(
        &self,
        id: &VersionId,
        depth: Option<usize>,
        next: impl Fn(Place) -> Vec<Place>,
    ) -> Result<Vec<&Record>> {
        let start = self.version_place(id)?;
        let mut seen = BTreeSet::from([start]);
        let mut queue = VecDeque::from([(start, 0)]);
        let mut found = Vec::new();
        while let Some((place, steps)) = queue.pop_front() {
            if depth.is_some_and(|depth| steps >= depth) {
                break;
            }
            for neighbour in next(place) {
                let Some(version) = self.versions.get(neighbour) else { continue };
                if version.timestamp > self.visible_timestamp || !seen.insert(neighbour) {
                    continue;
                }
                if !version.is_erased() {
                    found.extend(self.versions.record(neighbour));
                    queue.push_back((neighbour, steps + 1));
                }
            }
        }
        Ok(found)
    }
}
