//! Snapshots.

use crate::codec::bytes::wire_len;
use crate::db::Database;
use crate::error::Result;

use super::control::SnapshotControl;
use super::request::{Reply, Request, grow};

pub(super) fn snapshot<'a>(db: &Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: SnapshotControl = request.control()?;
    let part = control.part()?;
    let written = db.snapshot(&part)?;
    let texts = written.is_complete.then(|| db.text_indexes());
    let erasures = (written.is_ended && part.new_id.is_none()).then(|| {
        let erasures = db.remembered_erasures();
        erasures.map(|it| (it.timestamp, &*it.namespace, &*it.key)).collect::<Vec<_>>()
    });
    let progress = serde_json::json!({
        "next": written.next,
        "complete": written.is_complete,
        "ended": written.is_ended,
        "versions": written.versions,
        "dropped": written.dropped,
        "texts": texts,
        "erasures": erasures,
    });
    let progress = progress.to_string();
    let mut payload = written.bytes;
    grow(&mut payload, progress.len() + 4)?;
    payload.extend_from_slice(progress.as_bytes());
    payload.extend_from_slice(&wire_len(progress.len()).to_le_bytes());
    Ok(Reply::owned(payload))
}

pub(super) fn snapshot_size<'a>(db: &Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: SnapshotControl = request.control()?;
    Ok(Reply::json(&db.snapshot_size(&control.retention())))
}
