//! What reading orders, selections and aggregations have in common: their JSON, and paths in it.

use crate::codec::json::validate;
use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_FILTER_BYTES, MAX_JSON_DEPTH};
use crate::query::cursor::Cursor;
use crate::query::literal::Literal;

/// The name of a document's key where a path is expected.
pub(super) const KEY: &[u8] = b"$key";
/// The name of a document's time where a path is expected.
pub(super) const TIMESTAMP: &[u8] = b"$timestamp";
/// Longest name in a message, in characters.
const MAX_SHOWN_CHARACTERS: usize = 80;

/// An argument that is not acceptable.
pub(super) fn invalid(place: &str, problem: &str, suggestion: &str) -> Error {
    Error::new(Kind::Invalid, format!("{place}: {problem}"), suggestion)
}

/// A value of another type than was expected.
pub(super) fn wrong_type(place: &str, expected: &str, found: &Literal) -> Error {
    let problem = format!("expected {expected}, found {}", found.kind());
    invalid(place, &problem, &format!("give {expected}"))
}

/// The place of the control's value, once its text was found to be JSON.
pub(super) fn open<'a>(place: &str, json: &'a [u8]) -> Result<Cursor<'a>> {
    if json.len() > MAX_FILTER_BYTES {
        let problem = format!("{} bytes, more than {MAX_FILTER_BYTES}", json.len());
        return Err(invalid(place, &problem, "name fewer fields"));
    }
    validate(json).map_err(|error| Error {
        kind: Kind::Invalid,
        message: format!("{place}: {}", error.message.replace("the value is ", "")),
        ..error
    })?;
    Ok(Cursor::new(json))
}

/// The elements of a list of at most `most`.
pub(super) fn list(
    place: &str,
    found: Literal,
    expected: &str,
    most: usize,
) -> Result<Vec<Literal>> {
    match found {
        Literal::Array(elements) if elements.len() <= most => Ok(elements),
        Literal::Array(elements) => {
            let problem = format!("{} entries, more than {most}", elements.len());
            Err(invalid(place, &problem, "name fewer fields"))
        }
        other => Err(wrong_type(place, expected, &other)),
    }
}

/// A path to a field of documents.
pub(super) fn path(place: &str, found: &Literal) -> Result<String> {
    let name = name(place, found)?;
    check_path(place, &name)?;
    Ok(name)
}

/// A path, or the name of something else that a document has.
pub(super) fn path_or_pseudo(place: &str, found: &Literal) -> Result<String> {
    let name = name(place, found)?;
    if ![KEY, TIMESTAMP].contains(&name.as_bytes()) {
        check_path(place, &name)?;
    }
    Ok(name)
}

fn name(place: &str, found: &Literal) -> Result<String> {
    match found {
        Literal::Text(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        other => Err(wrong_type(place, "a field's path", other)),
    }
}

/// Checks that a text is a path to a field.
pub(crate) fn check_path(place: &str, path: &str) -> Result<()> {
    let parts = path.split('.').count();
    if parts > MAX_JSON_DEPTH {
        let problem = format!("a path of {parts} parts, more than {MAX_JSON_DEPTH}");
        return Err(invalid(place, &problem, "values nest no deeper than that"));
    }
    if path.starts_with('$') {
        let problem = format!("{:?} is not a field's path", shown(path));
        return Err(invalid(place, &problem, "give a path such as \"address.city\""));
    }
    Ok(())
}

/// A name as it stands in messages.
pub(super) fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}...", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}
