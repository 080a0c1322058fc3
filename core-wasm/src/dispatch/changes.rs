//! The feed of changes.

use std::borrow::Cow;

use crate::codec::bytes::wire_len;
use crate::codec::names;
use crate::db::{Change, Database, Event, Feed};
use crate::error::Result;
use crate::log::record::Record;
use crate::protocol as op;

use super::control::ChangesControl;
use super::request::{Reply, Request, room};

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
    let parts: Vec<[Cow<'_, [u8]>; 2]> = page.changes.iter().map(parts).collect();
    let bytes = parts.iter().flatten().map(|part| part.len() + 16).sum::<usize>() + 32;
    db.check_room(bytes)?;
    let mut payload = room(bytes)?;
    payload.extend_from_slice(&page.next.timestamp.to_le_bytes());
    payload.extend_from_slice(&page.next.taken.to_le_bytes());
    payload.extend_from_slice(&wire_len(parts.len()).to_le_bytes());
    for (change, [new, before]) in page.changes.iter().zip(&parts) {
        let kind = usize::from(matches!(change.event, Event::Erasure(_)));
        let words = [kind, change.missed, new.len(), before.len()];
        payload.extend(words.into_iter().flat_map(|word| wire_len(word).to_le_bytes()));
    }
    parts.iter().flatten().for_each(|part| payload.extend_from_slice(part));
    Ok(Reply::owned(payload).with_flags(if page.more { op::REPLY_TRUE } else { 0 }))
}

/// The record or erasure of a change, and the record before it.
fn parts<'a>(change: &Change<'a>) -> [Cow<'a, [u8]>; 2] {
    match change.event {
        Event::Version(record, before) => {
            let before = before.map(Record::as_bytes).unwrap_or_default();
            [record.as_bytes().into(), before.into()]
        }
        Event::Erasure(erasure) => [erasure.to_bytes().into(), Cow::Borrowed(&[])],
    }
}
