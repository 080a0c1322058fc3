//! Searches of text, and of text and vectors.

use serde_json::json;

use crate::codec::names;
use crate::db::{Database, Similar, TextFound, TextSearch};
use crate::error::{Error, Result};
use crate::log::record::Record;

use super::control::SearchControl;
use super::hits;
use super::request::{Reply, Request};

pub(super) fn search<'a>(db: &mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: SearchControl = request.control()?;
    let found = db.search(&text_search(request, &control)?)?;
    found_reply(&found)
}

pub(super) fn hybrid<'a>(db: &mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: SearchControl = request.control()?;
    let search = text_search(request, &control)?;
    let weight = control.weight.filter(|weight| (0.0..=1.0).contains(weight));
    let Some(weight) = weight else {
        return Err(Error::protocol("a hybrid search has no weight between 0 and 1"));
    };
    let query: Vec<f32> =
        request.vector.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let similar = Similar {
        namespace: Some(search.namespace),
        model: control.model.as_deref(),
        query: &query,
        top_k: control.top_k,
        threshold: None,
        filter: search.filter,
        at: request.at,
        exact: false,
    };
    let found = db.hybrid(&search, &similar, weight)?;
    found_reply(&found)
}

fn text_search<'a>(request: &Request<'a>, control: &'a SearchControl) -> Result<TextSearch<'a>> {
    Ok(TextSearch {
        namespace: names::check("namespace", request.namespace)?,
        text: &control.text,
        fields: control.fields.as_deref(),
        top_k: control.top_k,
        filter: request.filter(),
        at: request.at,
    })
}

/// A payload of hits of one query, with snippets.
fn found_reply<'a>(found: &[TextFound<'_>]) -> Result<Reply<'a>> {
    let records: Vec<&Record> = found.iter().map(|found| found.record).collect();
    let snippets = found.iter().map(|found| match &found.snippet {
        Some(snippet) => json!([snippet.text, snippet.highlights]),
        None => serde_json::Value::Null,
    });
    hits::reply(found.iter().map(|found| found.score), &records, snippets)
}
