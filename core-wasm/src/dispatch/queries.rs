//! Queries, aggregates, indexes and views.

use serde_json::json;

use crate::codec::bytes::wire_len;
use crate::codec::names;
use crate::db::{Database, Select, Selected, ViewSource};
use crate::error::Result;
use crate::log::record::{Record, ValueKind};
use crate::query::{Aggregation, Projection};

use super::control::{AggregateControl, QueryControl, order_json};
use super::request::{Reply, Request, grow, room};
use super::versions_reply;

pub(super) fn query<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: QueryControl = request.control_or_default()?;
    let projection = projection(&control)?;
    let (records, _) = select(db, request, &control)?;
    selected_reply(db, &records, projection.as_ref())
}

pub(super) fn explain<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: QueryControl = request.control_or_default()?;
    Ok(Reply::json(&select(db, request, &control)?.1))
}

pub(super) fn count<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let namespace = names::check("namespace", request.namespace)?;
    Ok(Reply::json(&db.count(namespace, request.filter(), request.at)?))
}

pub(super) fn aggregate<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let control: AggregateControl = request.control()?;
    let aggregation = Aggregation::parse(control.aggregation.as_bytes())?;
    let (records, _) = db.select(&Select {
        namespace: names::check("namespace", request.namespace)?,
        filter: request.filter(),
        order: &order_json(&control.order_by),
        offset: 0,
        limit: None,
        at: request.at,
    })?;
    let mut groups = aggregation.start();
    for record in records {
        let fields = record.fields();
        db.check_room_for_keys(record, aggregation.key_count())?;
        let value = if fields.kind == ValueKind::Json { fields.value } else { b"null" };
        groups.add(value, fields.key, fields.timestamp)?;
    }
    // The outcome, while what it is made of is still there.
    db.check_room(groups.written_bytes())?;
    Ok(Reply::owned(groups.finish()?))
}

pub(super) fn create_index<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let (namespace, field) = request.names_with("field")?;
    Ok(Reply::flag(db.create_index(request.write, namespace, field)?))
}

pub(super) fn drop_index<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let (namespace, field) = request.names_with("field")?;
    Ok(Reply::flag(db.drop_index(request.write, namespace, field)?))
}

pub(super) fn list_indexes<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let namespace = match request.namespace {
        [] => None,
        name => Some(names::check("namespace", name)?),
    };
    Ok(Reply::json(&db.list_indexes(namespace)))
}

pub(super) fn create_view<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let (namespace, name) = request.names_with("view")?;
    let control: QueryControl = request.control_or_default()?;
    let source = ViewSource { namespace, filter: request.filter(), order: &control.order() };
    db.create_view(request.write, name, &source)?;
    Ok(Reply::nothing())
}

pub(super) fn view<'a>(db: &'a Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let name = names::check("view", request.key)?;
    let control: QueryControl = request.control_or_default()?;
    let records = db.view(name, control.offset, control.limit, request.at)?;
    selected_reply(db, &records, None)
}

pub(super) fn drop_view<'a>(db: &'a mut Database, request: &Request<'_>) -> Result<Reply<'a>> {
    let name = names::check("view", request.key)?;
    Ok(Reply::flag(db.drop_view(request.write, name)?))
}

pub(super) fn list_views<'a>(db: &'a Database) -> Reply<'a> {
    let views: Vec<serde_json::Value> = db
        .list_views()
        .into_iter()
        .map(|(name, source)| {
            let order: serde_json::Value = serde_json::from_slice(source.order).unwrap_or_default();
            json!({
                "name": name,
                "namespace": source.namespace,
                "filter": source.filter.map(String::from_utf8_lossy),
                "order_by": order,
            })
        })
        .collect();
    Reply::json(&views)
}

fn select<'a>(
    db: &'a Database,
    request: &Request<'_>,
    control: &QueryControl,
) -> Result<Selected<'a>> {
    db.select(&Select {
        namespace: names::check("namespace", request.namespace)?,
        filter: request.filter(),
        order: &control.order(),
        offset: control.offset,
        limit: control.limit,
        at: request.at,
    })
}

fn projection(control: &QueryControl) -> Result<Option<Projection>> {
    let paths = control.select.as_ref().map(|paths| Reply::json(paths).payload);
    paths.map(|json| Projection::parse(&json)).transpose()
}

/// A reply of records, whole or with the fields that were asked for.
fn selected_reply<'a>(
    db: &Database,
    records: &[&Record],
    projection: Option<&Projection>,
) -> Result<Reply<'a>> {
    let Some(projection) = projection else { return versions_reply(db, records) };
    let mut payload = room(4 + 4 * records.len())?;
    payload.extend_from_slice(&wire_len(records.len()).to_le_bytes());
    payload.resize(4 + 4 * records.len(), 0);
    let mut value = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let json = record.kind() == ValueKind::Json;
        let source: &[u8] = if json { record.value() } else { b"null" };
        // What is selected of a value is no longer than the value.
        value.clear();
        grow(&mut value, source.len())?;
        projection.project(source, &mut value);
        let start = payload.len();
        grow(&mut payload, record.as_bytes().len() + value.len())?;
        record.write_with_value(&value, &mut payload);
        let length = wire_len(payload.len() - start).to_le_bytes();
        if let Some(place) = payload.get_mut(4 + 4 * index..8 + 4 * index) {
            place.copy_from_slice(&length);
        }
    }
    Ok(Reply::owned(payload))
}
