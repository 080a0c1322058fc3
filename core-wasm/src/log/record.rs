//! Records: one layout of a version for the log, the memory and the replies.
//!
//! | bytes | field |
//! |---|---|
//! | 0..16 | id: the first half of BLAKE3 over everything after it |
//! | 16..24 | timestamp in microseconds since 1970 |
//! | 24..40 | id of the previous version of the key; zeros for none |
//! | 40..42, 42..44 | namespace and key length |
//! | 44..46, 46..48 | model length; number of causes |
//! | 48..52 | value length |
//! | 52..56 | dimension of the vector; 0 for none |
//! | 56 | kind: 0 JSON, 1 bytes, 2 deleted |
//! | 57..64 | zero |
//! | 64.. | namespace, key, model, causes (16 bytes each), value, vector (float32 each) |
//!
//! The id covers names, value, vector, time, previous version and causes, so it is unique to a
//! write and links a key's versions into a chain.

use crate::codec::bytes::{id_at, take, u16_at, u32_at, u64_at, wire_len};
use crate::codec::hex::VersionId;
use crate::codec::{json, names};
use crate::limits::{
    MAX_CAUSES, MAX_DIMENSION, MAX_OWN_KEY_BYTES, MAX_TIMESTAMP_US, MAX_VALUE_BYTES,
};
use crate::log::chain::{Digest, digest};

/// Bytes of a record before its names.
pub const RECORD_HEADER_BYTES: usize = 64;

/// What a version holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ValueKind {
    /// JSON text.
    Json = 0,
    /// Bytes.
    Bytes = 1,
    /// Nothing: the key was deleted.
    Deleted = 2,
}

/// The fields of a version, borrowed from wherever they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Microseconds since 1970; one per commit, ever increasing.
    pub timestamp: u64,
    /// Id of the key's version before this one.
    pub previous: Option<VersionId>,
    /// Namespace of the key.
    pub namespace: &'a str,
    /// The key.
    pub key: &'a str,
    /// Model that made the vector; empty for the default one.
    pub model: &'a str,
    /// Ids of the versions it was derived from, 16 bytes each.
    pub causes: &'a [u8],
    /// What `value` is.
    pub kind: ValueKind,
    /// The value as sent.
    pub value: &'a [u8],
    /// Components of the vector; 0 for none.
    pub dimension: usize,
}

impl Fields<'_> {
    /// Builds the record for a version with this vector (float32 bytes), and its digest.
    #[must_use]
    pub fn seal(&self, vector: &[u8]) -> (Record, Digest) {
        let length = RECORD_HEADER_BYTES
            + self.namespace.len()
            + self.key.len()
            + self.model.len()
            + self.causes.len()
            + self.value.len();
        let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&self.timestamp.to_le_bytes());
        bytes.extend_from_slice(&self.previous.unwrap_or_default());
        bytes.extend_from_slice(&short(self.namespace.len()));
        bytes.extend_from_slice(&short(self.key.len()));
        bytes.extend_from_slice(&short(self.model.len()));
        bytes.extend_from_slice(&short(self.causes.len() / 16));
        bytes.extend_from_slice(&wire_len(self.value.len()).to_le_bytes());
        bytes.extend_from_slice(&wire_len(vector.len() / 4).to_le_bytes());
        bytes.extend_from_slice(&[self.kind as u8, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(self.namespace.as_bytes());
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(self.model.as_bytes());
        bytes.extend_from_slice(self.causes);
        bytes.extend_from_slice(self.value);
        let digest = digest_with(bytes.get(16..).unwrap_or_default(), vector);
        for (byte, hashed) in bytes.iter_mut().zip(digest.iter().take(16)) {
            *byte = *hashed;
        }
        (Record(bytes.into_boxed_slice()), digest)
    }
}

fn digest_with(content: &[u8], vector: &[u8]) -> Digest {
    if vector.is_empty() {
        return digest(content);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(content);
    hasher.update(vector);
    *hasher.finalize().as_bytes()
}

/// A sealed version, in the layout above but for its vector: that is kept where searches read it. The accessors never fail: a record is built by
/// [`Fields::seal`] or checked by [`Record::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Box<[u8]>);

impl Record {
    /// Parts a stored version into record and vector; `None` if it is too short for either.
    #[must_use]
    #[inline(always)]
    pub fn split(stored: &[u8]) -> Option<(&[u8], &[u8])> {
        let vector = usize::try_from(u32_at(stored, 52)?).ok()?.checked_mul(4)?;
        stored.split_at_checked(stored.len().checked_sub(vector)?)
    }

    /// Takes the record of a stored version, if every length, name, number and the JSON in it are what
    /// the engine would have written. The hash is left to `verify`.
    #[must_use]
    pub fn parse(bytes: Box<[u8]>) -> Option<Self> {
        let record = Self(bytes);
        let bytes = &*record.0;
        let fields = record.read()?;
        let reserved = bytes.get(57..RECORD_HEADER_BYTES)?;
        let named = names::is_name(fields.namespace) && names::is_name(fields.key);
        let own = fields.namespace == names::SYSTEM && fields.key.len() <= MAX_OWN_KEY_BYTES;
        let sound = (named || own)
            && (fields.model.is_empty() || names::is_name(fields.model))
            && fields.causes.len() / 16 <= MAX_CAUSES
            && fields.value.len() <= MAX_VALUE_BYTES
            && fields.dimension <= MAX_DIMENSION
            && fields.timestamp <= MAX_TIMESTAMP_US
            && reserved.iter().all(|&byte| byte == 0)
            && match fields.kind {
                ValueKind::Json => json::validate(fields.value).is_ok(),
                ValueKind::Bytes => true,
                ValueKind::Deleted => fields.value.is_empty() && fields.dimension == 0,
            };
        if sound { Some(record) } else { None }
    }

    fn read(&self) -> Option<Fields<'_>> {
        let bytes = &*self.0;
        let mut rest = bytes.get(RECORD_HEADER_BYTES..)?;
        let length = |offset| u16_at(bytes, offset).map(usize::from);
        let wide = |offset| u32_at(bytes, offset).and_then(|length| usize::try_from(length).ok());
        let (namespace, key, model) = (length(40)?, length(42)?, length(44)?);
        let names = core::str::from_utf8(take(&mut rest, namespace + key + model)?).ok()?;
        let (namespace, names) = names.split_at_checked(namespace)?;
        let (key, model) = names.split_at_checked(key)?;
        let causes = take(&mut rest, length(46)?.checked_mul(16)?)?;
        let value = take(&mut rest, wide(48)?)?;
        let kind = match bytes.get(56)? {
            0 => ValueKind::Json,
            1 => ValueKind::Bytes,
            2 => ValueKind::Deleted,
            _ => return None,
        };
        rest.is_empty().then_some(Fields {
            timestamp: u64_at(bytes, 16)?,
            previous: self.previous(),
            namespace,
            key,
            model,
            causes,
            kind,
            value,
            dimension: wide(52)?,
        })
    }

    /// All fields. Constant time but for the check that names are UTF-8.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        self.read().unwrap_or(Fields {
            timestamp: 0,
            previous: None,
            namespace: "",
            key: "",
            model: "",
            causes: &[],
            kind: ValueKind::Deleted,
            value: &[],
            dimension: 0,
        })
    }

    /// The version's id.
    #[must_use]
    #[inline(always)]
    pub fn id(&self) -> VersionId {
        id_at(&self.0, 0).unwrap_or_default()
    }

    /// Microseconds since 1970 of its commit.
    #[must_use]
    #[inline(always)]
    pub fn timestamp(&self) -> u64 {
        u64_at(&self.0, 16).unwrap_or_default()
    }

    /// The id of the key's version before it.
    #[must_use]
    #[inline(always)]
    pub fn previous(&self) -> Option<VersionId> {
        id_at(&self.0, 24).filter(|id| *id != [0; 16])
    }

    /// Components of its vector; 0 for none.
    #[must_use]
    #[inline(always)]
    pub fn dimension(&self) -> usize {
        u32_at(&self.0, 52).and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
    }

    /// What the value is.
    #[must_use]
    pub fn kind(&self) -> ValueKind {
        match self.0.get(56) {
            Some(0) => ValueKind::Json,
            Some(1) => ValueKind::Bytes,
            _ => ValueKind::Deleted,
        }
    }

    /// The value as sent.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        let length = |offset| u16_at(&self.0, offset).map_or(0, usize::from);
        let start = RECORD_HEADER_BYTES + length(40) + length(42) + length(44) + 16 * length(46);
        let size = u32_at(&self.0, 48).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        self.0.get(start..).and_then(|rest| rest.get(..size)).unwrap_or_default()
    }

    /// The key's bytes.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.names().1
    }

    /// The bytes of the key's namespace and of the key.
    #[must_use]
    #[inline(always)]
    pub fn names(&self) -> (&[u8], &[u8]) {
        let length = |offset| u16_at(&self.0, offset).map_or(0, usize::from);
        let (namespace, key) = (length(40), length(42));
        let names = self.0.get(RECORD_HEADER_BYTES..).unwrap_or_default();
        names.get(..namespace + key).map_or((&[], &[]), |names| names.split_at(namespace))
    }

    /// The bytes of the name of the model that made its vector; none for the default one.
    #[must_use]
    pub fn model(&self) -> &[u8] {
        let length = |offset| u16_at(&self.0, offset).map_or(0, usize::from);
        let start = RECORD_HEADER_BYTES + length(40) + length(42);
        self.0.get(start..start + length(44)).unwrap_or_default()
    }

    /// The ids of the causes.
    pub fn causes(&self) -> impl Iterator<Item = VersionId> {
        let length = |offset| u16_at(&self.0, offset).map_or(0, usize::from);
        let start = RECORD_HEADER_BYTES + length(40) + length(42) + length(44);
        let causes = self.0.get(start..).and_then(|rest| rest.get(..16 * length(46)));
        let causes = causes.unwrap_or_default().chunks_exact(16);
        causes.filter_map(|chunk| chunk.try_into().ok())
    }

    /// The whole record as stored.
    #[must_use]
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends the record with another value, which is JSON, for a reply: its id stays that of the whole
    /// version.
    pub fn write_with_value(&self, value: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let before = self.0.len().saturating_sub(self.value().len());
        out.extend_from_slice(self.0.get(..before).unwrap_or_default());
        if let Some(length) = out.get_mut(start + 48..start + 52) {
            length.copy_from_slice(&wire_len(value.len()).to_le_bytes());
        }
        if let Some(kind) = out.get_mut(start + 56) {
            *kind = ValueKind::Json as u8;
        }
        out.extend_from_slice(value);
    }

    /// The digest of the content as it is now; its first half is the id of an undamaged version.
    #[must_use]
    pub fn digest(&self, vector: &[u8]) -> Digest {
        digest_with(self.0.get(16..).unwrap_or_default(), vector)
    }
}

/// The removal of a key with all its versions.
///
/// | bytes | erasure frame's payload |
/// |---|---|
/// | 0..8 | timestamp in microseconds since 1970 |
/// | 8..10, 10..12 | namespace and key length |
/// | 12.. | namespace, key |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Microseconds since 1970 of the commit.
    pub timestamp: u64,
    /// Namespace of the key.
    pub namespace: String,
    /// The key.
    pub key: String,
}

impl Erasure {
    /// The erasure as stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let short = |text: &str| u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
        let mut bytes = self.timestamp.to_le_bytes().to_vec();
        bytes.extend_from_slice(&short(&self.namespace));
        bytes.extend_from_slice(&short(&self.key));
        bytes.extend_from_slice(self.namespace.as_bytes());
        bytes.extend_from_slice(self.key.as_bytes());
        bytes
    }

    /// Reads an erasure; `None` if it is not one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.get(12..)?;
        let namespace = take(&mut rest, usize::from(u16_at(bytes, 8)?))?;
        let key = take(&mut rest, usize::from(u16_at(bytes, 10)?))?;
        let timestamp = u64_at(bytes, 0).filter(|time| *time <= MAX_TIMESTAMP_US)?;
        rest.is_empty().then_some(Self {
            timestamp,
            namespace: names::check("namespace", namespace).ok()?.to_owned(),
            key: names::check("key", key).ok()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields<'_> = Fields {
        timestamp: 12,
        previous: Some([9; 16]),
        namespace: "users",
        key: "älice",
        model: "mini",
        causes: &[5; 32],
        kind: ValueKind::Json,
        value: b"{\"a\":1}",
        dimension: 2,
    };

    const VECTOR: &[u8] = &[1; 8];

    fn parse(stored: &[u8]) -> Option<(Record, &[u8])> {
        let (record, vector) = Record::split(stored)?;
        Some((Record::parse(record.into())?, vector))
    }

    #[test]
    fn records_survive() {
        let (record, digest) = FIELDS.seal(VECTOR);
        assert_eq!(record.fields(), FIELDS);
        assert_eq!(record.value(), FIELDS.value);
        assert_eq!(record.names(), (FIELDS.namespace.as_bytes(), FIELDS.key.as_bytes()));
        assert_eq!(record.model(), FIELDS.model.as_bytes());
        assert_eq!(record.digest(VECTOR), digest);
        assert_ne!(record.digest(&[2; 8]), digest);
        assert_eq!(record.id(), digest[..16]);
        assert_eq!(record.causes().count(), 2);
        let stored = [record.as_bytes(), VECTOR].concat();
        assert_eq!(parse(&stored), Some((record, VECTOR)));
    }

    #[test]
    fn hostile_records_are_refused() {
        let (record, _) = FIELDS.seal(VECTOR);
        let bytes = [record.as_bytes(), VECTOR].concat();
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), None, "{end}");
        }
        let offsets =
            [(40, 200), (43, 255), (47, 255), (51, 255), (55, 255), (56, 3), (57, 1), (52, 1)];
        for (offset, value) in offsets {
            let mut hostile = bytes.clone();
            hostile[offset] = value;
            assert_eq!(parse(&hostile), None, "{offset}");
        }
    }

    #[test]
    fn erasures_survive() {
        let erasure = Erasure { timestamp: 3, namespace: "n".into(), key: "k".into() };
        let bytes = erasure.to_bytes();
        assert_eq!(Erasure::parse(&bytes), Some(erasure));
        assert_eq!(Erasure::parse(&bytes[..bytes.len() - 1]), None);
    }
}
