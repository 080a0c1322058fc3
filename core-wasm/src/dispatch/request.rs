//! The layouts of [`crate::protocol`]: requests taken apart, replies put together.

use core::borrow::Borrow;
use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::bytes::{take, u32_at, u64_at, wire_len};
use crate::codec::hex::VersionId;
use crate::codec::names;
use crate::db::Write;
use crate::error::{Error, Kind, Result};
use crate::log::record::Record;
use crate::protocol::{REPLY_TRUE, REQUEST_HEADER_BYTES};

use super::control;

/// A request, taken apart but not checked beyond its lengths.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// When a write happens.
    pub write: Write,
    /// Sequence up to which the host has acknowledged.
    pub acknowledged_sequence: u64,
    /// As-of time of a read; [`crate::protocol::NOW`] for now.
    pub at: u64,
    /// Flags of the opcode.
    pub flags: u32,
    /// Namespace bytes.
    pub namespace: &'a [u8],
    /// Key bytes.
    pub key: &'a [u8],
    control: &'a [u8],
    /// Value, batch items or log bytes.
    pub payload: &'a [u8],
    /// float32 components.
    pub vector: &'a [u8],
}

impl<'a> Request<'a> {
    /// Takes a request apart.
    ///
    /// # Errors
    /// `Internal` if its lengths do not add up to its size.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Self::split(bytes).ok_or_else(|| Error::protocol("a request's lengths do not add up"))
    }

    fn split(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.get(REQUEST_HEADER_BYTES..)?;
        let length = |offset| u32_at(bytes, offset).and_then(|length| usize::try_from(length).ok());
        let request = Self {
            write: Write { now_us: u64_at(bytes, 0)?, synced_sequence: u64_at(bytes, 48)? },
            acknowledged_sequence: u64_at(bytes, 8)?,
            at: u64_at(bytes, 16)?,
            flags: u32_at(bytes, 40)?,
            namespace: take(&mut rest, length(24)?)?,
            key: take(&mut rest, length(28)?)?,
            control: take(&mut rest, length(32)?)?,
            payload: take(&mut rest, length(36)?)?,
            vector: take(&mut rest, length(44)?)?,
        };
        rest.is_empty().then_some(request)
    }

    /// Namespace and key, checked.
    ///
    /// # Errors
    /// `Invalid` that names which.
    pub fn names(&self) -> Result<(&'a str, &'a str)> {
        self.names_with("key")
    }

    /// Namespace and another name in the place of the key, checked.
    ///
    /// # Errors
    /// `Invalid` that names which.
    pub fn names_with(&self, what: &str) -> Result<(&'a str, &'a str)> {
        Ok((names::check("namespace", self.namespace)?, names::check(what, self.key)?))
    }

    /// The payload as a filter; nothing for none.
    #[must_use]
    pub fn filter(&self) -> Option<&'a [u8]> {
        (!self.payload.is_empty()).then_some(self.payload)
    }

    /// Whether a control object came along.
    #[must_use]
    pub fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// The control object; an empty one stands for all defaults.
    ///
    /// # Errors
    /// `Internal` if it is not what the opcode takes.
    pub fn control<T: DeserializeOwned>(&self) -> Result<T> {
        control::parse(if self.control.is_empty() { b"{}" } else { self.control })
    }

    /// The control object; its defaults, without any parsing, if none came along.
    ///
    /// # Errors
    /// `Internal` if it is not what the opcode takes.
    pub fn control_or_default<T: DeserializeOwned + Default>(&self) -> Result<T> {
        if self.control.is_empty() { Ok(T::default()) } else { control::parse(self.control) }
    }

    /// The payload as a version id.
    ///
    /// # Errors
    /// `Invalid` if it is not one.
    pub fn id(&self) -> Result<VersionId> {
        control::id(self.payload)
    }
}

/// An item of a batch's payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchItem<'a> {
    pub(super) namespace: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) flags: u32,
}

/// Cuts the next item off a batch's payload.
pub(super) fn batch_item<'a>(rest: &mut &'a [u8]) -> Result<BatchItem<'a>> {
    let mut cut = || {
        let header = take(rest, 16)?;
        let length =
            |offset| u32_at(header, offset).and_then(|length| usize::try_from(length).ok());
        let (namespace, key, value) = (length(0)?, length(4)?, length(8)?);
        Some(BatchItem {
            namespace: take(rest, namespace)?,
            key: take(rest, key)?,
            value: take(rest, value)?,
            flags: u32_at(header, 12)?,
        })
    };
    cut().ok_or_else(|| Error::protocol("a batch item's lengths do not add up"))
}

/// What an operation answers.
#[derive(Debug)]
pub struct Reply<'a> {
    /// The answer's bytes.
    pub payload: Cow<'a, [u8]>,
    /// Flags of the reply.
    pub flags: u32,
}

impl<'a> Reply<'a> {
    /// No bytes.
    #[must_use]
    pub fn nothing() -> Self {
        Self::owned(Vec::new())
    }

    /// Bytes that the database holds.
    #[must_use]
    pub fn borrowed(payload: &'a [u8]) -> Self {
        Self { payload: Cow::Borrowed(payload), flags: 0 }
    }

    /// Bytes made for this reply.
    #[must_use]
    pub fn owned(payload: Vec<u8>) -> Self {
        Self { payload: Cow::Owned(payload), flags: 0 }
    }

    /// Something as JSON.
    #[must_use]
    pub fn json(value: &impl Serialize) -> Self {
        // Counts, names and plain structures always serialise.
        Self::owned(serde_json::to_vec(value).unwrap_or_default())
    }

    /// Yes or no.
    #[must_use]
    pub fn flag(yes: bool) -> Self {
        Self::nothing().with_flags(if yes { REPLY_TRUE } else { 0 })
    }

    /// The same bytes with flags.
    #[must_use]
    pub fn with_flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }
}

/// An empty payload with room for so many bytes.
///
/// # Errors
/// `Limit` if memory does not have it: what is in use may fit, and yet leave no room in one piece.
pub(super) fn room(bytes: usize) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    payload.try_reserve_exact(bytes).map_err(|_| no_room(bytes))?;
    Ok(payload)
}

/// Has room for so many more items: for more than that, if memory is not short.
///
/// # Errors
/// As [`room`].
pub(super) fn grow<T>(items: &mut Vec<T>, more: usize) -> Result<()> {
    let grown = items.try_reserve(more).or_else(|_| items.try_reserve_exact(more));
    grown.map_err(|_| no_room((items.len() + more) * size_of::<T>()))
}

fn no_room(bytes: usize) -> Error {
    Error::new(
        Kind::Limit,
        format!("the answer takes {bytes} bytes, more than the memory has left"),
        "raise Config.max_memory_mb, or ask for less",
    )
}

/// The payload of a reply of versions: a count, that many lengths, the records.
///
/// # Errors
/// `Limit` if memory has no room for it.
pub fn versions(records: &[&Record]) -> Result<Vec<u8>> {
    let mut payload = room(versions_len(records))?;
    write_versions(records, &mut payload);
    Ok(payload)
}

/// The bytes of [`versions`].
pub(super) fn versions_len(records: &[impl Borrow<Record>]) -> usize {
    records.iter().map(|record| 4 + record.borrow().as_bytes().len()).sum::<usize>() + 4
}

/// Appends the payload of [`versions`]; `payload` has room for it.
pub(super) fn write_versions(records: &[impl Borrow<Record>], payload: &mut Vec<u8>) {
    payload.extend_from_slice(&wire_len(records.len()).to_le_bytes());
    for record in records {
        payload.extend_from_slice(&wire_len(record.borrow().as_bytes().len()).to_le_bytes());
    }
    for record in records {
        payload.extend_from_slice(record.borrow().as_bytes());
    }
}
