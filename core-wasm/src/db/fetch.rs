//! Values of the past that are in the file only: setting them aside, and getting them back.
//!
//! # Theory of operation
//!
//! A version that another one has overwritten is hardly ever read again, and its record lies in the
//! file as well. So while more memory is in use than the host said, such records are let go of, the
//! one that was overwritten first before all others; what stays is what finds them
//! ([`versions`](super::versions)).
//!
//! An operation that needs one of them notes that it is wanted, goes on as if it were not there, and
//! comes to nothing: it is answered that values are to be fetched. The host then asks with
//! [`Database::fetch`] what to read, hands that over, until nothing is left to be read, and asks for
//! the operation again, which finds them now. What was fetched stays for that one request. An
//! operation that needs one value to know which other it needs is asked for several times.
//!
//! A frame that was read again counts only if it is the one that was written: its checksums hold, and
//! the hash of the version in it is the version's id.

use std::rc::Rc;

use crate::codec::hex;
use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_FETCH_BYTES, MAX_FETCH_GAP_BYTES};
use crate::log::frame::{ALIGNMENT, FRAME_HEADER_BYTES, Found, FrameType, Framing};
use crate::log::record::Record;

use super::Database;
use super::verify::Verification;
use super::versions::{Place, Version, Wanted};

/// Memory that a fetched record takes beside its bytes.
const FETCHED_ROOM: usize = 64;

/// What the request under way needs of the file.
#[derive(Debug, Default)]
pub(super) struct Fetch {
    /// Whether the next request is the one that asked, again.
    is_for_next: bool,
    /// What is still to be asked for, the last first.
    places: Vec<Place>,
    /// What the host was asked for: versions, and where the frame of each begins in what it brings.
    asked: Vec<(Place, usize)>,
    /// How much that is.
    asked_bytes: usize,
    /// How far a verification has come.
    pub(super) verification: Option<Verification>,
}

/// A stretch of the file that is to be read: offset and bytes.
pub type Stretch = (u64, usize);

impl Database {
    /// Sets old values aside if `bytes` more would leave more memory in use than there should be.
    /// Those that were overwritten after `until` stay. Constant time for each.
    pub(super) fn set_aside(&mut self, bytes: usize, until: u64) {
        let Some(above) = self.options.aside_above else { return };
        let memory_used = self.options.memory_used;
        while memory_used().saturating_add(bytes) > above {
            let derived = &self.derived;
            if !self.versions.set_next_aside(until, |place| derived.is_retiring(place)) {
                break;
            }
        }
    }

    /// Sets all old values aside that can be; whether any was.
    pub(super) fn set_all_aside(&mut self, until: u64) -> bool {
        let before = self.versions.aside().0;
        self.set_aside(usize::MAX, until);
        self.versions.aside().0 > before
    }

    /// About how many bytes are fetched at a time by what can do with a part of what it needs.
    pub(super) fn fetched_at_a_time(&self) -> usize {
        match self.options.memory_budget {
            0 => MAX_FETCH_BYTES,
            budget => MAX_FETCH_BYTES.min(budget / 32),
        }
    }

    /// What the request that begins now will want. To be called before each; what was fetched for
    /// another one is let go of.
    pub fn begin_request(&mut self) -> Rc<Wanted> {
        if self.options.aside_above.is_some() {
            let verification = self.fetch.verification.take();
            if self.fetch.is_for_next {
                self.fetch = Fetch { verification, ..Fetch::default() };
            } else {
                self.fetch = Fetch::default();
                self.versions.release_fetched();
            }
            let room = match self.options.memory_budget {
                0 => usize::MAX,
                budget => budget.saturating_sub((self.options.memory_used)()),
            };
            self.versions.wanted().begin(room);
        }
        Rc::clone(self.versions.wanted())
    }

    /// Takes in what was asked for, nothing at first, and says what to read next: stretches by
    /// ascending offset, whose bytes are to be handed over one after the other. Nothing means that the
    /// request may be made again. Linear in the bytes.
    ///
    /// # Errors
    /// `Corrupt` with the offset of what is not what was written; `Limit` if memory has no room for
    /// all that is wanted; `Internal` for other bytes than those that were asked for.
    pub fn fetch(&mut self, bytes: &[u8]) -> Result<Vec<Stretch>> {
        self.fetch.is_for_next = true;
        let outcome = self.take_in(bytes).and_then(|()| self.take_wanted());
        if outcome.is_err() {
            self.fetch = Fetch::default();
            self.versions.release_fetched();
        }
        outcome.map(|()| self.next_stretches())
    }

    fn take_in(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() != core::mem::take(&mut self.fetch.asked_bytes) {
            return Err(Error::protocol("other bytes of the file than those that were asked for"));
        }
        let framing = Framing::new(&self.header);
        for (place, start) in core::mem::take(&mut self.fetch.asked) {
            let frame = bytes.get(start..).unwrap_or_default();
            let record = self.checked(&framing, place, frame)?;
            self.versions.take_fetched(place, record);
        }
        Ok(())
    }

    /// The record of a version in the frame that `bytes` begin with, if it is that.
    fn checked(&self, framing: &Framing, place: Place, bytes: &[u8]) -> Result<Record> {
        let id = self.versions.id(place).unwrap_or_default();
        let damaged = || {
            let offset = self.versions.frame(place).map_or(0, |frame| frame.offset);
            let message =
                format!("version {} of the past is damaged in the file", hex::encode(&id));
            Error::corrupt(offset, &message)
        };
        let Found::Frame(frame) = framing.read_header(bytes) else { return Err(damaged()) };
        let payload = frame.payload(bytes).filter(|_| frame.kind == Some(FrameType::Version));
        let (stored, vector) = payload.and_then(Record::split).ok_or_else(damaged)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(stored.len()).map_err(|_| no_room(stored.len()))?;
        copy.extend_from_slice(stored);
        let record = Record::parse(copy.into_boxed_slice()).ok_or_else(damaged)?;
        let is_it = record.id() == id && record.digest(vector).starts_with(&id);
        if is_it { Ok(record) } else { Err(damaged()) }
    }

    /// Takes note of what the request wanted, if memory has room for it.
    fn take_wanted(&mut self) -> Result<()> {
        if !self.fetch.places.is_empty() || self.versions.wanted().is_empty() {
            return Ok(());
        }
        let bytes = self.versions.wanted().bytes();
        let mut places = self.versions.wanted().take().ok_or_else(|| no_room(bytes))?;
        let bytes = places.iter().map(|place| self.versions.record_len(*place) + FETCHED_ROOM);
        let bytes = bytes.sum();
        if self.check_room(bytes).is_err() {
            self.set_all_aside(self.visible_timestamp);
            self.check_room(bytes).map_err(|_| no_room(bytes))?;
        }
        places.reverse();
        self.fetch.places = places;
        Ok(())
    }

    /// The next of what is wanted. Frames that lie close to each other are one stretch.
    fn next_stretches(&mut self) -> Vec<Stretch> {
        let most = self.fetched_at_a_time();
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut total = 0;
        while let Some(&place) = self.fetch.places.last() {
            let Some(frame) = self.versions.frame(place) else {
                self.fetch.places.pop();
                continue;
            };
            let vector = self.versions.get(place).and_then(Version::vector);
            let vector_len = vector.map_or(0, |held| 4 * self.vectors.dimension(held));
            let payload_len = frame.record_len + vector_len;
            let frame_len = (FRAME_HEADER_BYTES + payload_len).next_multiple_of(ALIGNMENT);
            let gap = stretches.last().and_then(|(offset, len)| {
                let gap = frame.offset.checked_sub(offset + *len as u64)?;
                usize::try_from(gap).ok().filter(|gap| *gap <= MAX_FETCH_GAP_BYTES)
            });
            let more = gap.unwrap_or(0) + frame_len;
            if total > 0 && total + more > most {
                break;
            }
            match (gap, stretches.last_mut()) {
                (Some(_), Some(last)) => last.1 += more,
                _ => stretches.push((frame.offset, frame_len)),
            }
            total += more;
            self.fetch.asked.push((place, total - frame_len));
            self.fetch.places.pop();
        }
        self.fetch.asked_bytes = total;
        stretches
    }
}

fn no_room(bytes: usize) -> Error {
    let amount = if bytes == usize::MAX { String::new() } else { format!("{bytes} bytes of ") };
    Error::new(
        Kind::Limit,
        format!("it takes {amount}old values at once, more than memory has room for"),
        "raise Config.max_memory_mb, or ask for less: a limit, fewer keys, a narrower filter",
    )
}
