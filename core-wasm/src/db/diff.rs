//! What changed between two versions of a key, as a JSON Patch (RFC 6902).

use serde::Deserialize;
use serde_json::Value;

use crate::codec::hex::{self, VersionId};
use crate::error::{Error, Kind, Result};
use crate::log::record::{Record, ValueKind};

use super::Database;

/// A tree of values takes up to this many times the memory of its text.
const TREE_BYTES_PER_TEXT_BYTE: usize = 40;
/// Memory of one operation of a patch, in the patch and in its text, without path and value.
const OPERATION_BYTES: usize = 256;

impl Database {
    /// The patch that turns version `from` into version `to`. By default the key's last version
    /// and the one before it. A deletion, and what was before the first version, count as no
    /// document: the patch then adds or removes the root.
    ///
    /// # Errors
    /// `NotFound` for an unknown id or a key without versions; `Invalid` for bytes values and
    /// versions of another key.
    pub fn diff(
        &self,
        namespace: &str,
        key: &str,
        from: Option<VersionId>,
        to: Option<VersionId>,
    ) -> Result<String> {
        let versions = self.history(namespace, key, Some(1), u64::MAX);
        let latest = versions.last().ok_or_else(|| self.missing(namespace, key, u64::MAX))?;
        let to = match to {
            Some(id) => self.version_of(namespace, key, &id)?,
            None => *latest,
        };
        let from = match from {
            Some(id) => Some(self.version_of(namespace, key, &id)?),
            None => to.fields().previous.map(|id| self.version(&id)).transpose()?,
        };
        let texts = to.value().len() + from.map_or(0, |record| record.value().len());
        self.check_room(TREE_BYTES_PER_TEXT_BYTE.saturating_mul(texts))?;
        let before = from.map(document).transpose()?.flatten();
        let after = document(to)?;
        let size =
            |document: &Option<Value>| document.as_ref().map_or(0, |root| patch_bound(root, 0));
        self.check_room(size(&before).saturating_add(size(&after)))?;
        let patch = match (before, after) {
            (Some(before), Some(after)) => {
                serde_json::to_string(&json_patch::diff(&before, &after))
            }
            (None, Some(after)) => serde_json::to_string(&[
                serde_json::json!({"op": "add", "path": "", "value": after}),
            ]),
            (Some(_), None) => Ok(r#"[{"op":"remove","path":""}]"#.to_owned()),
            (None, None) => Ok("[]".to_owned()),
        };
        patch.map_err(|error| Error::protocol(error.to_string()))
    }

    fn version_of(&self, namespace: &str, key: &str, id: &VersionId) -> Result<&Record> {
        let record = self.version(id)?;
        let fields = record.fields();
        if (fields.namespace, fields.key) == (namespace, key) {
            return Ok(record);
        }
        let message = format!(
            "version {} belongs to {:?}/{:?}, not to {namespace:?}/{key:?}",
            hex::encode(id),
            fields.namespace,
            fields.key
        );
        Err(Error::new(Kind::Invalid, message, "take ids from the history of this key"))
    }
}

/// Most bytes that a patch about everything in `value` can take, where the path to it has `path`
/// bytes: a patch repeats the whole path of each part that changed.
fn patch_bound(value: &Value, path: usize) -> usize {
    let parts: usize = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| patch_bound(member, path + 2 * name.len() + 1))
            .fold(0, usize::saturating_add),
        Value::Array(items) => {
            items.iter().map(|item| patch_bound(item, path + 8)).fold(0, usize::saturating_add)
        }
        Value::String(text) => 6 * text.len(),
        _ => 32,
    };
    parts.saturating_add(2 * path + OPERATION_BYTES)
}

fn document(record: &Record) -> Result<Option<Value>> {
    match record.kind() {
        ValueKind::Deleted => Ok(None),
        ValueKind::Bytes => Err(Error::new(
            Kind::Invalid,
            format!("version {} holds bytes", hex::encode(&record.id())),
            "diff compares JSON values; compare bytes with the tool for their format",
        )),
        ValueKind::Json => {
            let mut parser = serde_json::Deserializer::from_slice(record.value());
            // Stored values are at most as deep as the engine's own limit.
            parser.disable_recursion_limit();
            Value::deserialize(&mut parser)
                .map(Some)
                .map_err(|error| Error::corrupt(0, &format!("a stored value is not JSON: {error}")))
        }
    }
}
