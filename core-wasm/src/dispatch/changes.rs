//! The feed of changes.

use crate::codec::bytes::wire_len;
use crate::codec::names;
use crate::db::{Database, Event, Feed};
use crate::error::Result;
use crate::protocol as op;

use super::control::ChangesControl;
use super::request::{Reply, Request};

pub(super) fn changes<'a, 'r>(db: &'a Database, request: &Request<'r>) -> Result<Reply<'a>> {
    let control: ChangesControl = request.control()?;
    let named = |what, name: &'r [u8]| match name {
        [] => Ok(None),
        name => names::check(what, name).map(Some),
    };
    let page = db.changes(&Feed {
        cursor: control.cursor(db)?,
        namespace: named("namespace", request.namespace)?,
        key: named("key", request.key)?,
        filter: request.filter(),
    })?;
    let mut payload = page.next.timestamp.to_le_bytes().to_vec();
    payload.extend_from_slice(&page.next.taken.to_le_bytes());
    payload.extend_from_slice(&wire_len(page.changes.len()).to_le_bytes());
    let mut bodies = Vec::new();
    for change in &page.changes {
        let start = bodies.len();
        let (kind, split) = match &change.event {
            Event::Version(record, previous) => {
                bodies.extend_from_slice(record.as_bytes());
                let split = bodies.len();
                bodies.extend_from_slice(
                    previous.map(|record| record.as_bytes()).unwrap_or_default(),
                );
                (0, split)
            }
            Event::Erasure(erasure) => {
                bodies.extend_from_slice(&erasure.to_bytes());
                (1, bodies.len())
            }
        };
        let words = [kind, change.missed, split - start, bodies.len() - split];
        payload.extend(words.into_iter().flat_map(|word| wire_len(word).to_le_bytes()));
    }
    payload.extend_from_slice(&bodies);
    Ok(Reply::owned(payload).with_flags(if page.more { op::REPLY_TRUE } else { 0 }))
}
