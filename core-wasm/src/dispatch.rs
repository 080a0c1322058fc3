//! From opcodes to operations: the one place where a request's bytes become arguments.

mod changes;
mod control;
mod hits;
mod queries;
mod recall;
mod request;
mod searches;
mod snapshot;
mod vectors;

use crate::codec::bytes::wire_len;
use crate::codec::hex::VersionId;
use crate::codec::{hex, names};
use crate::db::{Database, Draft, Listing, Replay};
use crate::error::{Error, Result};
use crate::log::record::{Record, ValueKind};
use crate::log::recovery::Progress;
use crate::protocol as op;

use control::{
    DiffControl, LimitControl, ListControl, MaintainControl, OpenControl, PutControl, ReplayControl,
};
pub use request::{Reply, Request, versions};
use request::{grow, room};

/// What a short text takes in a list of them, beside its bytes.
const TEXT_BYTES: usize = 48;

/// An instance: nothing yet, a database on its way in, or a database.
#[derive(Debug, Default)]
pub enum Instance {
    /// Nothing was opened.
    #[default]
    Closed,
    /// Stored bytes are being read.
    Opening(Box<Replay>),
    /// A database.
    Open(Box<Database>),
}

impl Instance {
    /// Carries out one request. `memory_used` reports the bytes of memory in use.
    ///
    /// # Errors
    /// Whatever the operation returns; `Internal` for a request that does not follow the
    /// protocol.
    pub fn call(
        &mut self,
        opcode: u32,
        bytes: &[u8],
        memory_used: fn() -> usize,
    ) -> Result<Reply<'_>> {
        let request = Request::parse(bytes)?;
        match opcode {
            op::OPEN => self.open(&request, memory_used),
            op::REPLAY => self.replay(&request, memory_used),
            op::MAINTAIN if let Self::Opening(replay) = self => {
                let control: MaintainControl = request.control()?;
                Ok(Reply::flag(replay.maintain(control.budget, &control.texts)?))
            }
            _ => match self {
                Self::Open(database) if opcode == op::FETCH => {
                    database.clear_journal();
                    fetch(database, &request)
                }
                Self::Open(database) => {
                    database.clear_journal();
                    database.acknowledge(request.acknowledged_sequence);
                    if opcode != op::EMBED_BATCH {
                        database.cancel_vectors();
                    }
                    let wanted = database.begin_request();
                    let outcome = operate(database, opcode, &request);
                    // Whatever came of it without what it wanted is nothing.
                    if wanted.is_empty() { outcome } else { Err(Error::fetch()) }
                }
                _ => Err(Error::protocol("no database is open in this instance")),
            },
        }
    }

    /// The database, if one is open.
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        match self {
            Self::Open(database) => Some(database),
            _ => None,
        }
    }

    fn open(&mut self, request: &Request<'_>, memory_used: fn() -> usize) -> Result<Reply<'_>> {
        let Self::Closed = self else {
            return Err(Error::protocol("this instance has a database already"));
        };
        let options = request.control::<OpenControl>()?.options(memory_used)?;
        *self = Self::Open(Box::new(Database::create(&options)));
        Ok(Reply::nothing())
    }

    fn replay(&mut self, request: &Request<'_>, memory_used: fn() -> usize) -> Result<Reply<'_>> {
        let control: ReplayControl = request.control()?;
        if let Self::Closed = self {
            let options = control.open.options(memory_used)?;
            let replay = if control.salvage {
                Replay::salvage(&options)
            } else {
                Replay::new(&options, control.writable, control.verify)
            };
            *self = Self::Opening(Box::new(replay));
        }
        let Self::Opening(replay) = self else {
            return Err(Error::protocol("this instance has a database already"));
        };
        let end = request.flags & op::FLAG_END != 0;
        let piece = request.payload.get(control.skip..);
        let piece = piece.ok_or_else(|| Error::protocol("more is to be skipped than there is"))?;
        let progress = replay.feed(control.offset, piece, end)?;
        let report = match progress {
            Progress::More { offset, want } => serde_json::json!({"offset": offset, "want": want}),
            Progress::Done(outcome) => {
                let lost = replay.lost();
                if let Self::Opening(mut replay) = core::mem::take(self) {
                    replay.remember_erasures(control.erasures());
                    *self = Self::Open(Box::new(replay.finish()?));
                }
                serde_json::json!({
                    "valid_bytes": outcome.valid_bytes, "dropped_bytes": outcome.dropped_bytes,
                    "lost": lost,
                })
            }
        };
        Ok(Reply::owned(report.to_string().into_bytes()))
    }
}

fn operate<'a>(db: &'a mut Database, opcode: u32, request: &Request<'_>) -> Result<Reply<'a>> {
    match opcode {
        op::GET => get(db, request),
        op::PUT => put(db, request),
        op::PUT_BATCH => put_batch(db, request),
        op::GET_MANY => get_many(db, request),
        op::CONTAINS => {
            let (namespace, key) = request.names()?;
            Ok(Reply::flag(db.find(namespace, key, request.at).is_some()))
        }
        op::DELETE => {
            let (namespace, key) = request.names()?;
            Ok(Reply::flag(db.delete(request.write, namespace, key)?))
        }
        op::ERASE => {
            let (namespace, key) = request.names()?;
            Ok(Reply::json(&db.erase(request.write, namespace, key)?))
        }
        op::HISTORY => {
            let (namespace, key) = request.names()?;
            let limit = request.control::<LimitControl>()?.limit;
            versions_reply(db, &db.history(namespace, key, limit, request.at))
        }
        op::VERSION => Ok(Reply::borrowed(db.version(&request.id()?)?.as_bytes())),
        op::DIFF => {
            let (namespace, key) = request.names()?;
            let control: DiffControl = request.control()?;
            let patch = db.diff(namespace, key, control.from()?, control.to()?)?;
            Ok(Reply::owned(patch.into_bytes()))
        }
        op::RESTORE => {
            let (namespace, key) = request.names()?;
            let id = request.id()?;
            Ok(Reply::borrowed(db.restore(request.write, namespace, key, &id)?))
        }
        op::LIST_KEYS => list_keys(db, request),
        op::LIST_NAMESPACES => Ok(Reply::json(&db.list_namespaces(request.at))),
        op::LINEAGE => walk(db, request, |id, depth| db.lineage(id, depth)),
        op::EFFECTS => walk(db, request, |id, depth| db.effects(id, depth)),
        op::STATS => Ok(Reply::json(&db.stats())),
        op::VERIFY => Ok(Reply::json(&db.verify()?)),
        op::HEAD => Ok(Reply::owned(hex::encode(&db.head()).into_bytes())),
        op::EMBED_RESERVE => vectors::reserve(db, request),
        op::EMBED_BATCH => vectors::embed_batch(db, request),
        op::SIMILAR => vectors::similar(db, request),
        op::VECTOR => vectors::vector(db, request),
        op::QUERY => queries::query(db, request),
        op::COUNT => queries::count(db, request),
        op::AGGREGATE => queries::aggregate(db, request),
        op::EXPLAIN => queries::explain(db, request),
        op::CREATE_INDEX => queries::create_index(db, request),
        op::DROP_INDEX => queries::drop_index(db, request),
        op::LIST_INDEXES => queries::list_indexes(db, request),
        op::CREATE_VIEW => queries::create_view(db, request),
        op::VIEW => queries::view(db, request),
        op::DROP_VIEW => queries::drop_view(db, request),
        op::LIST_VIEWS => Ok(queries::list_views(db)),
        op::SEARCH => searches::search(db, request),
        op::HYBRID => searches::hybrid(db, request),
        op::RECALL => recall::recall(db, request),
        op::CHANGES => changes::changes(db, request),
        op::MAINTAIN => vectors::maintain(db, request),
        op::SNAPSHOT => snapshot::snapshot(db, request),
        op::SNAPSHOT_SIZE => snapshot::snapshot_size(db, request),
        _ => Err(Error::protocol(format!("unknown opcode {opcode}"))),
    }
}

fn fetch<'a>(db: &mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let stretches = db.fetch(request.payload)?;
    let mut payload = Vec::with_capacity(12 * stretches.len());
    for (offset, length) in &stretches {
        payload.extend_from_slice(&offset.to_le_bytes());
        payload.extend_from_slice(&wire_len(*length).to_le_bytes());
    }
    let flags = if stretches.is_empty() { op::REPLY_TRUE } else { 0 };
    Ok(Reply::owned(payload).with_flags(flags))
}

fn get<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let (namespace, key) = request.names()?;
    let found = if request.flags & op::FLAG_QUIET == 0 {
        Some(db.get(namespace, key, request.at)?)
    } else {
        db.find(namespace, key, request.at)
    };
    Ok(found.map_or_else(Reply::nothing, |found| {
        let bytes = if found.kind == ValueKind::Bytes { op::REPLY_BYTES } else { 0 };
        Reply::borrowed(found.value).with_flags(op::REPLY_TRUE | bytes)
    }))
}

fn put<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let kept = (request.flags & op::FLAG_KEEP != 0)
        .then(|| db.kept_value(request.namespace, request.key))
        .transpose()?;
    let (kind, value) = match &kept {
        Some((kind, value)) => (*kind, value.as_slice()),
        None => (value_kind(request.flags), request.payload),
    };
    let mut draft = Draft {
        namespace: request.namespace,
        key: request.key,
        kind,
        value,
        model: "",
        causes: &[],
        vector: request.vector,
    };
    if request.has_control() {
        let control: PutControl = request.control()?;
        let causes = db.check_causes(&control.causes()?)?;
        let model = control.model.as_deref().unwrap_or_default();
        draft = Draft { model, causes: &causes, ..draft };
        Ok(Reply::borrowed(db.put(request.write, &draft, control.expected()?)?))
    } else {
        Ok(Reply::borrowed(db.put(request.write, &draft, None)?))
    }
}

fn put_batch<'a>(db: &mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let mut drafts = Vec::new();
    let mut rest = request.payload;
    while !rest.is_empty() {
        let item = request::batch_item(&mut rest)?;
        grow(&mut drafts, 1)?;
        if item.flags & op::FLAG_DELETE != 0 && !db.holds_value(item.namespace, item.key) {
            continue;
        }
        drafts.push(Draft {
            namespace: item.namespace,
            key: item.key,
            kind: value_kind(item.flags),
            value: item.value,
            ..Draft::json("", "", b"")
        });
    }
    db.put_batch(request.write, &drafts)?;
    Ok(Reply::nothing())
}

fn get_many<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let namespace = names::check("namespace", request.namespace)?;
    let records = if request.payload.is_empty() {
        db.get_all(namespace, request.at)
    } else {
        let count = request.payload.iter().filter(|byte| **byte == b',').count() + 1;
        db.check_room(request.payload.len() + TEXT_BYTES * count)?;
        let keys: Vec<String> = control::parse(request.payload)?;
        for key in &keys {
            names::check("key", key.as_bytes())?;
        }
        db.get_many(namespace, &keys, request.at)
    };
    versions_reply(db, &records)
}

fn list_keys<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let namespace = names::check("namespace", request.namespace)?;
    let control: ListControl = request.control()?;
    let start_after = control.start_after.as_deref();
    let listing = Listing { prefix: &control.prefix, start_after, limit: control.limit };
    // Twice over the keys instead of once and a list of them: a full memory must still list them.
    let size = db.keys(namespace, listing, request.at).map(quoted_len).sum::<usize>() + 2;
    db.check_room(size)?;
    let mut text = room(size)?;
    text.push(b'[');
    for key in db.keys(namespace, listing, request.at) {
        if text.len() > 1 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, key)
            .map_err(|error| Error::protocol(error.to_string()))?;
    }
    text.push(b']');
    Ok(Reply::owned(text))
}

/// Most bytes of a text as JSON with a comma: what is escaped becomes six characters at most.
fn quoted_len(text: &str) -> usize {
    let is_escaped = |byte: &u8| matches!(byte, 0..b' ' | b'"' | b'\\');
    text.len() + 5 * text.as_bytes().iter().filter(|byte| is_escaped(byte)).count() + 3
}

/// A reply of versions, if there is memory for it.
fn versions_reply<'a>(db: &Database, records: &[&Record]) -> Result<Reply<'a>> {
    db.check_room(records.iter().map(|record| record.as_bytes().len() + 4).sum())?;
    Ok(Reply::owned(versions(records)?))
}

fn walk<'a, 'r>(
    db: &Database,
    request: &Request<'_>,
    find: impl FnOnce(&VersionId, Option<usize>) -> Result<Vec<&'r Record>>,
) -> Result<Reply<'a>> {
    let depth = request.control::<LimitControl>()?.limit;
    versions_reply(db, &find(&request.id()?, depth)?)
}

fn value_kind(flags: u32) -> ValueKind {
    match flags & (op::FLAG_BYTES | op::FLAG_DELETE) {
        0 => ValueKind::Json,
        op::FLAG_BYTES => ValueKind::Bytes,
        _ => ValueKind::Deleted,
    }
}
