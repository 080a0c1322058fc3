//! The operations on vectors.

use crate::codec::bytes::wire_len;
use crate::codec::names;
use crate::db::{Database, Draft, Similar};
use crate::error::{Error, Result};
use crate::limits::{MAX_QUERIES, MAX_TOP_K};
use crate::log::record::{Record, ValueKind};
use crate::protocol as op;

use super::control::{MaintainControl, ReserveControl, SimilarControl};
use super::request::{Reply, Request, batch_item, grow, room, versions_len, write_versions};
use super::value_kind;

/// What a hit takes while a search is under way.
const HIT_BYTES: usize = 64;

pub(super) fn reserve<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let namespace = names::check("namespace", request.namespace)?;
    let control: ReserveControl = request.control()?;
    let (dimension, count) = (control.dimension, control.count);
    let stretches = db.reserve_vectors(namespace, &control.model, dimension, count)?;
    let words = stretches.iter().flat_map(|(address, bytes)| [*address, *bytes]);
    Ok(Reply::owned(words.flat_map(|word| wire_len(word).to_le_bytes()).collect()))
}

pub(super) fn embed_batch<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let Some((reserved, model)) = db.reserved_names() else {
        return Err(Error::protocol("no vectors are reserved"));
    };
    let mut items = Vec::new();
    let mut rest = request.payload;
    while !rest.is_empty() {
        let mut item = batch_item(&mut rest)?;
        grow(&mut items, 1)?;
        if item.flags & op::FLAG_PLAIN == 0 {
            item.namespace = reserved.as_bytes();
        } else if item.flags & op::FLAG_DELETE != 0 && !db.holds_value(item.namespace, item.key) {
            continue;
        }
        let kept = (item.flags & op::FLAG_KEEP != 0)
            .then(|| db.kept_value(item.namespace, item.key))
            .transpose()?;
        items.push((item, kept));
    }
    let (mut drafts, mut takes) = (Vec::new(), Vec::new());
    grow(&mut drafts, items.len())?;
    grow(&mut takes, items.len())?;
    for (item, kept) in &items {
        let (kind, value): (ValueKind, &[u8]) = match kept {
            Some((kind, value)) => (*kind, value),
            None => (value_kind(item.flags), item.value),
        };
        let has_vector = item.flags & op::FLAG_PLAIN == 0;
        let model = if has_vector { model.as_str() } else { "" };
        let (namespace, key) = (item.namespace, item.key);
        drafts.push(Draft { namespace, key, kind, value, model, causes: &[], vector: &[] });
        takes.push(has_vector);
    }
    db.embed_batch(request.write, &drafts, &takes)?;
    Ok(Reply::nothing())
}

pub(super) fn similar<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let namespace = match request.namespace {
        [] => None,
        name => Some(names::check("namespace", name)?),
    };
    let control: SimilarControl = request.control()?;
    let mut floats: Vec<f32> = Vec::new();
    grow(&mut floats, request.vector.len() / 4)?;
    floats.extend(request.vector.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    if control.queries == 0 || control.queries > MAX_QUERIES {
        return Err(Error::protocol("a search has no query, or too many"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "scores are float32")]
    let threshold = control.threshold.map(|threshold| threshold as f32);
    let dimension = floats.len() / control.queries;
    let mut counts = room(4 * control.queries)?;
    let mut scores = Vec::new();
    let mut records: Vec<Record> = Vec::new();
    for query in 0..control.queries {
        db.check_room_to_work(HIT_BYTES.saturating_mul(control.top_k.min(MAX_TOP_K)))?;
        let found = db.similar(&Similar {
            namespace,
            model: control.model.as_deref(),
            query: floats.get(query * dimension..(query + 1) * dimension).unwrap_or_default(),
            top_k: control.top_k,
            threshold,
            filter: request.filter(),
            at: request.at,
            exact: control.exact,
        });
        let found = found.map_err(|error| match control.queries {
            1 => error,
            _ => error.with("index", query),
        })?;
        counts.extend_from_slice(&wire_len(found.len()).to_le_bytes());
        grow(&mut scores, 4 * found.len())?;
        grow(&mut records, found.len())?;
        for (score, record) in found {
            scores.extend_from_slice(&score.to_le_bytes());
            records.push(record.clone());
        }
    }
    let mut payload = room(4 + counts.len() + scores.len() + versions_len(&records))?;
    payload.extend_from_slice(&wire_len(control.queries).to_le_bytes());
    payload.extend_from_slice(&counts);
    payload.extend_from_slice(&scores);
    write_versions(&records, &mut payload);
    Ok(Reply::owned(payload))
}

pub(super) fn vector<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let (namespace, key) = request.names()?;
    let bytes = db.vector(namespace, key, request.at)?;
    let flags = if bytes.is_some() { op::REPLY_TRUE } else { 0 };
    Ok(Reply::owned(bytes.unwrap_or_default()).with_flags(flags))
}

pub(super) fn maintain<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: MaintainControl = request.control()?;
    Ok(Reply::flag(db.maintain(control.budget, &control.texts)))
}
