//! The hits of one query: their scores and records, and what there is to say of each.

use serde_json::Value;

use crate::codec::bytes::wire_len;
use crate::error::Result;
use crate::log::record::Record;

use super::request::{Reply, grow, room, versions_len, write_versions};

/// A payload of hits, best first; `details` are their snippets, or the parts of their scores.
///
/// # Errors
/// `Limit` if memory has no room for it.
pub(super) fn reply<'a>(
    scores: impl Iterator<Item = f32>,
    records: &[&Record],
    details: impl Iterator<Item = Value>,
) -> Result<Reply<'a>> {
    let mut payload = room(8 + 4 * records.len() + versions_len(records))?;
    payload.extend_from_slice(&1_u32.to_le_bytes());
    payload.extend_from_slice(&wire_len(records.len()).to_le_bytes());
    payload.extend(scores.flat_map(f32::to_le_bytes));
    write_versions(records, &mut payload);
    let start = payload.len();
    grow(&mut payload, 6)?;
    payload.extend_from_slice(&[0; 4]);
    payload.push(b'[');
    for (index, detail) in details.enumerate() {
        let text = detail.to_string();
        grow(&mut payload, text.len() + 2)?;
        if index > 0 {
            payload.push(b',');
        }
        payload.extend_from_slice(text.as_bytes());
    }
    payload.push(b']');
    let length = wire_len(payload.len() - start - 4).to_le_bytes();
    if let Some(place) = payload.get_mut(start..start + 4) {
        place.copy_from_slice(&length);
    }
    Ok(Reply::owned(payload))
}
