//! The protocol between a host and the module: opcodes and the layouts of request and reply.
//!
//! Everything is little-endian with explicit widths. A request is a header, then namespace, key,
//! control, payload and vector bytes one after the other:
//!
//! | bytes | request header |
//! |---|---|
//! | 0..8 | host time in microseconds since 1970 (writes) |
//! | 8..16 | sequence up to which the host has acknowledged: reads stop there |
//! | 16..24 | as-of time in microseconds, all ones for now (reads) |
//! | 24..28 | namespace length |
//! | 28..32 | key length |
//! | 32..36 | control length: a JSON object, or empty |
//! | 36..40 | payload length: a value, batch items, log bytes |
//! | 40..44 | flags of the opcode |
//! | 44..48 | vector length in bytes: float32 components |
//! | 48..56 | sequence up to which the host has synced the log; frames say so |
//!
//! A reply is a header at a fixed address that points at its parts. They stay valid until the
//! next call:
//!
//! | bytes | reply header |
//! |---|---|
//! | 0..4 | status: 0, or the kind of an error whose payload is a JSON object |
//! | 4..8 | flags of the reply |
//! | 8..12, 12..16 | payload address and length |
//! | 16..20, 20..24 | journal address and length: log frames to make durable |
//! | 24..32 | sequence of the last frame written so far |
//!
//! A payload of *hits* is the number of queries, the number of hits of each (`u32`), scores
//! (`float32`) and versions; of `search` and `hybrid`, a length (`u32`) and a JSON array follow, with
//! `null` or `[snippet, [[from, to], ...]]` for each hit.
//!
//! A payload of *changes* is the next cursor (time and entries taken, `u64` each) and a count
//! (`u32`); for each change its kind (0 a version, 1 an erasure), how many were missed before it, the
//! length of its record or erasure and of the record before it (`u32` each); then those bytes.
//!
//! A status of `Fetch` (9) is no error: values that the request takes are in the file, and nothing was
//! done. The host calls [`FETCH`] until nothing is left to be read, and makes the request again.
//!
//! A payload of *versions* is a count, that many lengths (all `u32`), then the records
//! ([`crate::log::record`]) one after the other, without their vectors.

/// Version of this protocol. A change of anything in this file must raise it.
pub const ABI_VERSION: u32 = 1;
/// Bytes of a request header.
pub const REQUEST_HEADER_BYTES: usize = 56;
/// Bytes of a reply header.
pub const REPLY_HEADER_BYTES: usize = 32;
/// As-of time that means now.
pub const NOW: u64 = u64::MAX;

/// Request flag of `put` and of batch items: the value is bytes, not JSON.
pub const FLAG_BYTES: u32 = 1;
/// Request flag of `get`: a missing key is reported without looking for near ones.
pub const FLAG_QUIET: u32 = 2;
/// Request flag of `put` and of batch items: keep the key's present value, and write the vector.
pub const FLAG_KEEP: u32 = 8;
/// Flag of batch items: delete the key, if it has a value.
pub const FLAG_DELETE: u32 = 16;
/// Flag of items of `embed_batch`: no vector is for this one, and it names its own namespace.
pub const FLAG_PLAIN: u32 = 32;
/// Request flag of `replay`: these are the last bytes of the file.
pub const FLAG_END: u32 = 4;

/// Reply flag: the payload is a bytes value, not JSON.
pub const REPLY_BYTES: u32 = 1;
/// Reply flag: the answer is yes.
pub const REPLY_TRUE: u32 = 2;

/// Create an empty database. Control: `OpenControl`. Journal: the file header.
pub const OPEN: u32 = 1;
/// Take stored bytes in. Control: `ReplayControl`. Payload: the bytes. Reply: progress.
pub const REPLAY: u32 = 2;
/// Write one version. Control: `PutControl` or empty. Reply: its record.
pub const PUT: u32 = 3;
/// Write several versions at once. Payload: items of four `u32` (namespace length, key length,
/// value length, flags), namespace, key, value. Reply: nothing.
pub const PUT_BATCH: u32 = 4;
/// Read a value. Reply: the value.
pub const GET: u32 = 5;
/// Read several values of a namespace. Payload: a JSON array of keys, or empty for all. Reply: versions.
pub const GET_MANY: u32 = 6;
/// Say whether a key has a value. Reply flag: yes or no.
pub const CONTAINS: u32 = 7;
/// Write a deleted version. Reply flag: whether there was something to delete.
pub const DELETE: u32 = 8;
/// List the versions of a key, oldest first, up to the as-of time. Control: `LimitControl`. Reply:
/// versions.
pub const HISTORY: u32 = 9;
/// Find a version by its id (the payload). Reply: its record.
pub const VERSION: u32 = 10;
/// Compare two versions of a key. Control: `DiffControl`. Reply: a JSON Patch.
pub const DIFF: u32 = 11;
/// Write an old value (of the version whose id is the payload) as a new version. Reply: its record.
pub const RESTORE: u32 = 12;
/// List keys. Control: `ListControl`. Reply: a JSON array.
pub const LIST_KEYS: u32 = 13;
/// List namespaces that hold something. Reply: a JSON array.
pub const LIST_NAMESPACES: u32 = 14;
/// Walk to the causes of a version (the payload is its id). Control: `LimitControl`. Reply: versions.
pub const LINEAGE: u32 = 15;
/// Walk to what a version (the payload is its id) caused. Control: `LimitControl`. Reply: versions.
pub const EFFECTS: u32 = 16;
/// Remove every version of a key. Reply: a JSON number.
pub const ERASE: u32 = 17;
/// Report sizes and counts. Reply: a JSON object.
pub const STATS: u32 = 18;
/// Rehash everything that is held. Reply: a JSON object.
pub const VERIFY: u32 = 19;
/// Hash of the latest commit. Reply: 64 hex digits.
pub const HEAD: u32 = 20;
/// Make room for vectors, to be filled in place. Control: `ReserveControl`. Reply: pairs of address
/// and length in bytes, `u32` each. Nothing but `embed_batch` may follow.
pub const EMBED_RESERVE: u32 = 21;
/// Write versions with the vectors in the room made before, in order. Control: `EmbedControl`.
/// Payload: items as of `put_batch`, without a namespace: they are in the reserved one. Several calls
/// may use up the room.
pub const EMBED_BATCH: u32 = 22;
/// Search by vectors (the vector bytes: one query or several). Namespace empty for all. Control:
/// `SimilarControl`. Payload: a filter, or nothing. Reply: number of queries, number of hits of
/// each (`u32`), scores (`float32`), versions.
pub const SIMILAR: u32 = 23;
/// Read a vector. Reply: `float32` components.
pub const VECTOR: u32 = 24;
/// Do a slice of what searches gain from but do not need; also between two calls of `replay`. Control:
/// `MaintainControl`. Reply flag: nothing is left to do.
pub const MAINTAIN: u32 = 25;
/// Select values of a namespace. Control: `QueryControl`. Payload: a filter, or nothing. Reply:
/// versions.
pub const QUERY: u32 = 26;
/// Count values of a namespace. Payload: a filter, or nothing. Reply: a JSON number.
pub const COUNT: u32 = 27;
/// Compute sums and the like over values of a namespace. Control: `AggregateControl`. Payload: a
/// filter, or nothing. Reply: a JSON array of objects.
pub const AGGREGATE: u32 = 28;
/// Tell how a query runs. Control and payload: as of `query`. Reply: a JSON object.
pub const EXPLAIN: u32 = 29;
/// Keep an index of a field (the key) of a namespace. Reply flag: whether it is new.
pub const CREATE_INDEX: u32 = 30;
/// Drop the index of a field (the key). Reply flag: whether there was one.
pub const DROP_INDEX: u32 = 31;
/// List the indexes of a namespace, or of all if it is empty. Reply: a JSON array.
pub const LIST_INDEXES: u32 = 32;
/// Search the text of a namespace. Control: `SearchControl`. Payload: a filter, or nothing.
/// Reply: hits.
pub const SEARCH: u32 = 33;
/// Search by text and vector. Control: `HybridControl`. Payload: a filter, or nothing. Vector: the
/// query. Reply: hits.
pub const HYBRID: u32 = 34;
/// Define a view (the key) of a namespace. Control: `ViewControl`. Payload: a filter, or nothing.
pub const CREATE_VIEW: u32 = 35;
/// Read a view (the key). Control: `QueryControl`. Reply: versions.
pub const VIEW: u32 = 36;
/// Drop a view (the key). Reply flag: whether there was one.
pub const DROP_VIEW: u32 = 37;
/// List the views. Reply: a JSON array.
pub const LIST_VIEWS: u32 = 38;
/// Read changes. Namespace and key: empty for all. Control: `ChangesControl`. Payload: a filter, or
/// nothing. Reply: changes. Reply flag: there are more.
pub const CHANGES: u32 = 39;
/// Recall memories: values with `content` and `importance`. Control: `RecallControl`. Payload: a
/// filter, or nothing. Vector: the question's, or nothing. Reply: hits, with
/// `[relevance, recency, importance, time of the key's first version]` for each instead of snippets.
pub const RECALL: u32 = 40;
/// Write the next part of a snapshot. Control: `SnapshotControl`. Reply: bytes of the file, then a
/// JSON object that says how far it has come, then the length of that (`u32`).
pub const SNAPSHOT: u32 = 41;
/// Estimate what a snapshot comes to. Control: `SnapshotControl`. Reply: a JSON object.
pub const SNAPSHOT_SIZE: u32 = 42;
/// Hand over what the last request takes of the file, after it was answered with the status `Fetch`.
/// Payload: the bytes of the stretches that the reply before asked for; nothing at first. Reply: the
/// stretches to read next, each an offset (`u64`) and a length (`u32`), by ascending offset. Reply flag:
/// there are none; the request is to be made again, with no other in between.
pub const FETCH: u32 = 43;
