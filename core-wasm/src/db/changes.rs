//! The feed of changes: every acknowledged version once, in commit order.
//!
//! A reader holds a [`Cursor`] and asks for what came after it, a page at a time. Nothing is queued
//! for it: versions are kept anyway, so a slow reader costs no memory and may go on from any moment
//! of the past. What was erased meanwhile is gone; it is counted, and the erasure itself is told.

use std::collections::VecDeque;

use crate::codec::hex::VersionId;
use crate::codec::names;
use crate::error::Result;
use crate::limits::{MAX_CHANGES, MAX_CHANGES_BYTES, MAX_REMEMBERED_ERASURES, MAX_SCANNED_CHANGES};
use crate::log::record::{Erasure, Record, ValueKind};
use crate::query::Filter;

use super::Database;
use super::query::is_selected;
use super::versions::Place;

/// How far a reader of changes has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Commits before this time have been read.
    pub timestamp: u64,
    /// So many entries of the commit at that time have been read.
    pub taken: u64,
}

/// Which changes to read.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// Where to go on.
    pub cursor: Cursor,
    /// Only of this namespace.
    pub namespace: Option<&'a str>,
    /// Only of this key.
    pub key: Option<&'a str>,
    /// Only if the new value or the one before it matches; not parsed yet.
    pub filter: Option<&'a [u8]>,
}

/// One change.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// What happened.
    pub event: Event<'a>,
    /// Versions passed over since the change before, of any key, that are not held any more.
    pub missed: usize,
}

/// What happened to a key.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A version was written, after this one.
    Version(&'a Record, Option<&'a Record>),
    /// The key was erased.
    Erasure(&'a Erasure),
}

/// A page of changes.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// In commit order.
    pub changes: Vec<Change<'a>>,
    /// Where the next page begins.
    pub next: Cursor,
    /// Whether there may be more already.
    pub more: bool,
}

/// With so many times what is fetched at a time a page ends even where versions that are missed are
/// still to be told of.
const MOST_FETCHED: usize = 4;

/// Erasures, as far back as they are remembered.
pub(super) type Erasures = VecDeque<Erasure>;

impl Database {
    /// A cursor after everything that is acknowledged now.
    #[must_use]
    pub fn latest_cursor(&self) -> Cursor {
        Cursor { timestamp: self.visible_timestamp + 1, taken: 0 }
    }

    /// A cursor after a version; at the beginning of its commit if it is not held any more.
    #[must_use]
    pub fn cursor_after(&self, id: &VersionId, timestamp: u64) -> Cursor {
        let Some(place) = self.versions.find(id) else { return Cursor { timestamp, taken: 0 } };
        let first = self.versions.first_after(timestamp.saturating_sub(1));
        Cursor { timestamp, taken: self.versions.ordinal(first, place) + 1 }
    }

    /// Notes an erasure for readers of changes.
    pub(super) fn remember_erasure(&mut self, erasure: Erasure) {
        self.erasure_count += 1;
        if self.erasures.len() == MAX_REMEMBERED_ERASURES {
            self.erasures.pop_front();
        }
        self.erasures.push_back(erasure);
    }

    /// The changes after a cursor. Linear in the versions passed over, of which there are at most
    /// [`MAX_SCANNED_CHANGES`].
    ///
    /// # Errors
    /// `Invalid` for a bad filter.
    pub fn changes(&self, feed: &Feed<'_>) -> Result<Page<'_>> {
        let filter = feed.filter.map(Filter::parse).transpose()?;
        let Cursor { timestamp, taken } = feed.cursor;
        // By entries of the commit, not by places: those change when a file is compacted.
        let start = self.versions.nth_of_commit(timestamp, taken);
        let mut walk = Walk {
            page: Page { changes: Vec::new(), next: feed.cursor, more: false },
            bytes: 0,
            missed: 0,
            settled: None,
        };
        let mut erasures = self
            .erasures
            .iter()
            .filter(|erasure| (erasure.timestamp, 0) >= (timestamp, taken.min(1)))
            .peekable();
        for (scanned, place) in (start..).enumerate() {
            let version = self
                .versions
                .get(place)
                .filter(|version| version.timestamp <= self.visible_timestamp);
            let until = version.map_or(self.visible_timestamp, |version| version.timestamp);
            while let Some(erasure) = erasures.next_if(|erasure| erasure.timestamp <= until) {
                if !walk.has_room(scanned) {
                    return Ok(walk.page);
                }
                walk.pass(erasure.timestamp, 0);
                if feed.names(&erasure.namespace, &erasure.key) {
                    walk.add(Event::Erasure(erasure), erasure.key.len());
                }
            }
            let Some(version) = version else { break };
            if !walk.has_room(scanned)
                || (self.has_to_fetch(place, feed) && self.ends_page(&mut walk))
            {
                return Ok(walk.page);
            }
            if self.versions.wanted().bytes() >= self.fetched_at_a_time() {
                return Ok(walk.page);
            }
            let gap = self.versions.gap(place).copied().unwrap_or_default();
            if gap.until >= timestamp {
                walk.missed += usize::try_from(gap.versions).unwrap_or(usize::MAX);
            }
            let before = match scanned {
                0 => self.versions.ordinal(self.versions.first_of_commit(version.timestamp), place),
                _ => walk.before(version.timestamp) + u64::from(gap.of_commit),
            };
            walk.pass(version.timestamp, before);
            if version.is_erased() {
                walk.missed += 1;
            } else if let Some(record) = self.versions.record(place)
                && let Some((event, bytes)) = self.event(record, feed, filter.as_ref())
            {
                walk.add(event, bytes);
            }
            // A page that began here would not count what is gone from before that.
            let is_told = self.versions.next_gap(place + 1).is_none_or(|gap| gap.until >= until);
            if walk.missed == 0 && is_told && self.versions.wanted().is_empty() {
                walk.settled = Some((walk.page.next, walk.page.changes.len()));
            }
        }
        // Nothing that is acknowledged later has a time up to this one.
        walk.page.next = walk.page.next.max(self.latest_cursor());
        Ok(walk.page)
    }

    /// Whether a page, which has come to something that is to be fetched, is to end where it is settled:
    /// if it has come anywhere. It then says that there is more.
    fn ends_page(&self, walk: &mut Walk<'_>) -> bool {
        let much = self.versions.fetched_bytes() > MOST_FETCHED * self.fetched_at_a_time();
        let end = if much { Some((walk.page.next, walk.page.changes.len())) } else { walk.settled };
        if let Some((next, changes)) = end.filter(|_| self.versions.wanted().is_empty()) {
            walk.page.next = next;
            walk.page.changes.truncate(changes);
            walk.page.more = true;
        }
        walk.page.more
    }

    /// Whether a change takes a version from the file that was not fetched: its own, or the one before
    /// it.
    fn has_to_fetch(&self, place: Place, feed: &Feed<'_>) -> bool {
        if self.versions.aside().0 == 0 {
            return false;
        }
        if !self.versions.is_here(place) {
            return true;
        }
        let Some(fields) = self.versions.record(place).map(Record::fields) else { return false };
        let previous = fields.previous.filter(|_| feed.names(fields.namespace, fields.key));
        let previous = previous.and_then(|id| self.versions.find(&id));
        previous.is_some_and(|previous| !self.versions.is_here(previous))
    }

    /// The event of a version, with its size, if the feed is about it.
    fn event<'a>(
        &'a self,
        record: &'a Record,
        feed: &Feed<'_>,
        filter: Option<&Filter>,
    ) -> Option<(Event<'a>, usize)> {
        let fields = record.fields();
        if fields.namespace == names::SYSTEM || !feed.names(fields.namespace, fields.key) {
            return None;
        }
        let previous = fields.previous.and_then(|id| self.versions.find(&id));
        let previous = previous.and_then(|place| self.versions.record(place));
        if let Some(filter) = filter {
            let matches = |record: &Record| {
                record.kind() != ValueKind::Deleted && is_selected(Some(filter), record)
            };
            if !matches(record) && !previous.is_some_and(matches) {
                return None;
            }
        }
        let bytes =
            record.as_bytes().len() + previous.map_or(0, |previous| previous.as_bytes().len());
        Some((Event::Version(record, previous), bytes))
    }
}

impl Feed<'_> {
    fn names(&self, namespace: &str, key: &str) -> bool {
        self.namespace.is_none_or(|wanted| wanted == namespace)
            && self.key.is_none_or(|wanted| wanted == key)
    }
}

/// A page that is being filled.
struct Walk<'a> {
    page: Page<'a>,
    bytes: usize,
    missed: usize,
    /// How far the page has come with everything at hand and nothing missed that is still to be told,
    /// and how many changes it had then.
    settled: Option<(Cursor, usize)>,
}

impl<'a> Walk<'a> {
    /// Whether another entry may be looked at; if not, the page says that there is more.
    fn has_room(&mut self, scanned: usize) -> bool {
        let full = self.page.changes.len() >= MAX_CHANGES || self.bytes >= MAX_CHANGES_BYTES;
        self.page.more = full || scanned >= MAX_SCANNED_CHANGES;
        !self.page.more
    }

    /// How many entries of the commit of a time were passed.
    fn before(&self, timestamp: u64) -> u64 {
        let next = self.page.next;
        if next.timestamp == timestamp { next.taken } else { 0 }
    }

    /// Moves past one entry of the commit of a time, which has so many before it.
    fn pass(&mut self, timestamp: u64, before: u64) {
        self.page.next = Cursor { timestamp, taken: before + 1 };
    }

    fn add(&mut self, event: Event<'a>, bytes: usize) {
        self.page.changes.push(Change { event, missed: core::mem::take(&mut self.missed) });
        self.bytes += bytes;
    }
}
