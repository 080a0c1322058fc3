//! Recall.

use serde_json::json;

use crate::codec::bytes::wire_len;
use crate::codec::names;
use crate::db::{Database, Recall, TextSearch};
use crate::error::Result;
use crate::log::record::Record;

use super::control::RecallControl;
use super::request::{Reply, Request, versions};

pub(super) fn recall<'a>(db: &mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: RecallControl = request.control()?;
    let query: Vec<f32> =
        request.vector.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let recalled = db.recall(&Recall {
        search: TextSearch {
            namespace: names::check("namespace", request.namespace)?,
            text: &control.text,
            fields: None,
            top_k: control.limit,
            filter: request.filter(),
            at: request.at,
        },
        query: (!query.is_empty()).then_some(&query),
        model: control.model.as_deref(),
        written: control.since..=control.until,
        min_relevance: control.min_relevance,
        now_us: control.now,
        half_life_us: control.half_life * 1e6,
        weights: control.weights,
        vector_share: control.vector_share,
        min_cosine: control.min_cosine,
    })?;
    let mut payload = 1_u32.to_le_bytes().to_vec();
    payload.extend_from_slice(&wire_len(recalled.len()).to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "scores are float32")]
    payload.extend(recalled.iter().flat_map(|recalled| (recalled.score as f32).to_le_bytes()));
    let records: Vec<&Record> = recalled.iter().map(|recalled| recalled.record).collect();
    payload.extend_from_slice(&versions(&records)?);
    let parts: Vec<serde_json::Value> = recalled
        .iter()
        .map(|one| json!([one.relevance, one.recency, one.importance, one.created_us]))
        .collect();
    let parts = serde_json::Value::Array(parts).to_string();
    payload.extend_from_slice(&wire_len(parts.len()).to_le_bytes());
    payload.extend_from_slice(parts.as_bytes());
    Ok(Reply::owned(payload))
}
