//! Names: namespaces, keys and models. Byte-exact UTF-8, never paths, never normalised.

use crate::error::{Error, Kind, Result};
use crate::limits::MAX_NAME_BYTES;

/// The namespace of the engine's own keys: definitions of indexes and views. No name of a user's
/// can be this one, since names have no NUL.
pub const SYSTEM: &str = "\0";

/// Whether a text is a name: what [`check`] asks for, of what is known to be UTF-8.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.as_bytes().contains(&0)
}

/// Checks a namespace or key (`what` says which) and returns it as text.
///
/// # Errors
/// `Invalid` for an empty name, one with a NUL, one that is not UTF-8, or one over
/// [`MAX_NAME_BYTES`].
pub fn check<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str> {
    let problem = if bytes.is_empty() {
        format!("the {what} is empty")
    } else if bytes.len() > MAX_NAME_BYTES {
        format!("the {what} is {} bytes long; the limit is {MAX_NAME_BYTES}", bytes.len())
    } else if bytes.contains(&0) {
        format!("the {what} contains a NUL character")
    } else {
        match core::str::from_utf8(bytes) {
            Ok(name) => return Ok(name),
            Err(_) => format!("the {what} is not valid UTF-8"),
        }
    };
    let suggestion = format!("give a {what} of 1 to {MAX_NAME_BYTES} bytes of UTF-8 without NUL");
    Err(Error::new(Kind::Invalid, problem, suggestion))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_text() {
        let longest = "k".repeat(MAX_NAME_BYTES);
        for good in ["a", "../x", "/etc/x", "CON", "é", "e\u{301}", longest.as_str()] {
            assert_eq!(check("key", good.as_bytes()), Ok(good));
            assert!(is_name(good));
        }
        let too_long = "k".repeat(MAX_NAME_BYTES + 1);
        for bad in [&b""[..], b"a\0b", b"\xff", b"\xed\xa0\x80", too_long.as_bytes()] {
            let error = check("key", bad).unwrap_err();
            assert_eq!(error.kind, Kind::Invalid);
            assert!(error.message.contains("the key"), "{}", error.message);
            assert!(!core::str::from_utf8(bad).is_ok_and(is_name));
        }
    }
}
