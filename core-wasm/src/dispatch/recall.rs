//! Recall.

use serde_json::json;

use crate::codec::names;
use crate::db::{Database, Recall, TextSearch};
use crate::error::Result;
use crate::log::record::Record;

use super::control::RecallControl;
use super::hits;
use super::request::{Reply, Request};

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
    #[expect(clippy::cast_possible_truncation, reason = "scores are float32")]
    let scores = recalled.iter().map(|recalled| recalled.score as f32);
    let records: Vec<&Record> = recalled.iter().map(|recalled| recalled.record).collect();
    let parts = recalled
        .iter()
        .map(|one| json!([one.relevance, one.recency, one.importance, one.created_us]));
    hits::reply(scores, &records, parts)
}
