//! Filters of one field and one scalar, as most are: read without making a tree of them.

use std::borrow::Cow;

use crate::codec::json::validate;
use crate::limits::MAX_FILTER_BYTES;
use crate::query::cursor::Cursor;
use crate::query::encode;

/// The path and the encoded value of a filter like `{"city": "Oslo"}`; nothing of any other, nor of
/// what is no filter. What [`super::Filter::plan`] looks up of it is this value alone.
pub fn equality(json: &[u8]) -> Option<(Cow<'_, str>, Vec<u8>)> {
    let mut cursor = Cursor::new(json);
    if json.len() > MAX_FILTER_BYTES || cursor.peek() != b'{' || validate(json).is_err() {
        return None;
    }
    if !cursor.enter() {
        return None;
    }
    let name = cursor.name();
    if name.starts_with(b"$") || matches!(cursor.peek(), b'{' | b'[') {
        return None;
    }
    let mut key = Vec::with_capacity(encode::SHORT_BYTES);
    encode::value(&mut cursor, &mut key);
    let name = match name {
        Cow::Borrowed(name) => Cow::Borrowed(core::str::from_utf8(name).ok()?),
        Cow::Owned(name) => Cow::Owned(String::from_utf8(name).ok()?),
    };
    (!cursor.next()).then_some((name, key))
}
