//! Control objects: the JSON part of a request.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::codec::hex::{self, VersionId};
use crate::db::{Cursor, Database, Expected, Options, Part, Retention, SnapshotPlace, Strings};
use crate::error::{Error, Kind, Result};
use crate::log::record::Erasure;
use crate::vector::{Metric, Mode};

/// Control of `open`, and part of `replay`'s.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenControl {
    database_id: String,
    journal: bool,
    memory_budget: u64,
    /// Bytes of memory in use above which old values are set aside; nothing for a host that has no
    /// file to fetch them from.
    #[serde(default)]
    aside_above: Option<u64>,
    #[serde(default)]
    metric: MetricName,
    #[serde(default)]
    vector_index: ModeName,
}

/// Names of metrics.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MetricName {
    #[default]
    Cosine,
    Dot,
    L2,
}

/// Names of ways to search.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModeName {
    #[default]
    Auto,
    Exact,
    Quantized,
    Hnsw,
}

/// Control of `embed_reserve`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReserveControl {
    #[serde(default)]
    pub(super) model: String,
    pub(super) dimension: usize,
    pub(super) count: u32,
}

/// Control of `similar`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SimilarControl {
    pub(super) model: Option<String>,
    pub(super) queries: usize,
    pub(super) top_k: usize,
    pub(super) threshold: Option<f64>,
    #[serde(default)]
    pub(super) exact: bool,
}

/// Control of `maintain`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintainControl {
    pub(super) budget: usize,
    /// Indexes of text to make: their namespaces, and which strings they have.
    #[serde(default)]
    pub(super) texts: Vec<(String, Strings)>,
}

/// Control of `replay`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayControl {
    pub(super) open: OpenControl,
    pub(super) writable: bool,
    /// Whether to recompute ids and the chain of commits.
    pub(super) verify: bool,
    pub(super) offset: u64,
    /// Bytes of the payload in front of those of the file: others may be on their way there.
    #[serde(default)]
    pub(super) skip: usize,
    /// Whether to take what is intact of a damaged file.
    #[serde(default)]
    pub(super) salvage: bool,
    /// With the end of the file: erasures to tell readers of changes of: time, namespace, key.
    #[serde(default)]
    erasures: Vec<(u64, String, String)>,
}

/// Control of `snapshot` and `snapshot_size`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotControl {
    /// What the reply before said; nothing to begin.
    after: Option<SnapshotPlace>,
    #[serde(default)]
    max_bytes: usize,
    /// Keep the last so many versions of each key.
    keep_versions: Option<usize>,
    /// Keep what was a value at a moment from this time on.
    since: Option<u64>,
    /// Id of the copy that it is to be.
    new_id: Option<String>,
    /// Whether to end it.
    #[serde(default)]
    last: bool,
}

/// Control of `put`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutControl {
    pub(super) model: Option<String>,
    #[serde(default)]
    caused_by: Vec<String>,
    /// The expected version's id; an empty one for none.
    expected: Option<String>,
}

/// Control of `history`, `lineage` and `effects`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitControl {
    pub(super) limit: Option<usize>,
}

/// Control of `diff`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffControl {
    from: Option<String>,
    to: Option<String>,
}

/// Control of `list_keys`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListControl {
    #[serde(default)]
    pub(super) prefix: String,
    pub(super) start_after: Option<String>,
    pub(super) limit: Option<usize>,
}

/// Control of `changes`: a cursor, or a version with its time, or nothing for the present.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangesControl {
    timestamp: Option<u64>,
    #[serde(default)]
    taken: u64,
    after: Option<String>,
}

/// Control of `query`, `explain`, `view` and `create_view`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryControl {
    #[serde(default)]
    order_by: Vec<(String, bool)>,
    pub(super) limit: Option<usize>,
    #[serde(default)]
    pub(super) offset: usize,
    pub(super) select: Option<Vec<String>>,
}

impl QueryControl {
    /// The order as JSON.
    pub(super) fn order(&self) -> Cow<'static, [u8]> {
        if self.order_by.is_empty() {
            Cow::Borrowed(b"[]")
        } else {
            order_json(&self.order_by).into()
        }
    }
}

/// Pairs of path and whether it is descending, as JSON.
pub(super) fn order_json(order_by: &[(String, bool)]) -> Vec<u8> {
    // Strings and booleans always serialise.
    serde_json::to_vec(order_by).unwrap_or_default()
}

/// Control of `aggregate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AggregateControl {
    /// JSON of what to compute: numbers in it are kept as they were written.
    pub(super) aggregation: String,
    #[serde(default)]
    pub(super) order_by: Vec<(String, bool)>,
}

/// Control of `search`, and part of `hybrid`'s.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchControl {
    pub(super) text: String,
    pub(super) top_k: usize,
    pub(super) fields: Option<Vec<(String, f64)>>,
    /// Of `hybrid`: the share of the vectors.
    pub(super) weight: Option<f64>,
    /// Of `hybrid`: model of the vectors.
    pub(super) model: Option<String>,
}

/// Control of `recall`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecallControl {
    pub(super) text: String,
    pub(super) limit: usize,
    pub(super) min_relevance: f64,
    /// First time at which what is recalled was written, in microseconds since 1970.
    #[serde(default)]
    pub(super) since: u64,
    /// The last.
    #[serde(default = "end_of_time")]
    pub(super) until: u64,
    /// Time of the question in microseconds since 1970.
    pub(super) now: u64,
    /// In seconds.
    pub(super) half_life: f64,
    /// Of relevance, recency and importance.
    pub(super) weights: [f64; 3],
    pub(super) vector_share: f64,
    pub(super) min_cosine: f64,
    pub(super) model: Option<String>,
}

fn end_of_time() -> u64 {
    u64::MAX
}

/// Reads a control object.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::protocol(format!("a control object is not as expected: {error}")))
}

/// Reads a version id.
pub(super) fn id(text: &[u8]) -> Result<VersionId> {
    hex::decode(text).ok_or_else(|| {
        let text = String::from_utf8_lossy(text.get(..64).unwrap_or(text)).into_owned();
        Error::new(
            Kind::Invalid,
            format!("{text:?} is not a version id"),
            "a version id is 32 hexadecimal digits: take it from what put or history returned",
        )
    })
}

impl OpenControl {
    pub(super) fn options(&self, memory_used: fn() -> usize) -> Result<Options> {
        Ok(Options {
            database_id: id(self.database_id.as_bytes())?,
            journal: self.journal,
            memory_budget: usize::try_from(self.memory_budget).unwrap_or(usize::MAX),
            memory_used,
            aside_above: self.aside_above.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            metric: match self.metric {
                MetricName::Cosine => Metric::Cosine,
                MetricName::Dot => Metric::Dot,
                MetricName::L2 => Metric::L2,
            },
            mode: match self.vector_index {
                ModeName::Auto => Mode::Auto,
                ModeName::Exact => Mode::Exact,
                ModeName::Quantized => Mode::Quantized,
                ModeName::Hnsw => Mode::Hnsw,
            },
        })
    }
}

impl ReplayControl {
    pub(super) fn erasures(self) -> Vec<Erasure> {
        let erasures = self.erasures.into_iter();
        let erasure = |(timestamp, namespace, key)| Erasure { timestamp, namespace, key };
        erasures.map(erasure).collect()
    }
}

impl SnapshotControl {
    pub(super) fn retention(&self) -> Retention {
        Retention { versions: self.keep_versions, since: self.since }
    }

    pub(super) fn part(self) -> Result<Part> {
        let retention = self.retention();
        let new_id = self.new_id.map(|text| id(text.as_bytes())).transpose()?;
        let Self { after, max_bytes, last, .. } = self;
        Ok(Part { after, max_bytes, retention, new_id, last })
    }
}

impl PutControl {
    pub(super) fn causes(&self) -> Result<Vec<VersionId>> {
        self.caused_by.iter().map(|text| id(text.as_bytes())).collect()
    }

    pub(super) fn expected(&self) -> Result<Option<Expected>> {
        match self.expected.as_deref() {
            None => Ok(None),
            Some("") => Ok(Some(Expected::Nothing)),
            Some(text) => Ok(Some(Expected::Version(id(text.as_bytes())?))),
        }
    }
}

impl ChangesControl {
    pub(super) fn cursor(&self, db: &Database) -> Result<Cursor> {
        let Some(timestamp) = self.timestamp else { return Ok(db.latest_cursor()) };
        match &self.after {
            Some(text) => Ok(db.cursor_after(&id(text.as_bytes())?, timestamp)),
            None => Ok(Cursor { timestamp, taken: self.taken }),
        }
    }
}

impl DiffControl {
    pub(super) fn from(&self) -> Result<Option<VersionId>> {
        self.from.as_ref().map(|text| id(text.as_bytes())).transpose()
    }

    pub(super) fn to(&self) -> Result<Option<VersionId>> {
        self.to.as_ref().map(|text| id(text.as_bytes())).transpose()
    }
}
