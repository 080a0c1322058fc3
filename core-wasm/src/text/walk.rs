//! The strings of a JSON value and the fields that they are text of.

use crate::limits::MAX_JSON_DEPTH;
use crate::query::cursor::Cursor;

/// The field of a string that is in no object.
pub(super) const ROOT: &str = "$";

/// Calls `emit` with each string of a validated JSON value that is not a member's name, in order,
/// and with its field: the names of the members that lead there, with dots between; [`ROOT`] if there
/// are none. Arrays add nothing to a path.
///
/// On text that is not JSON it ends too, within the text.
pub(super) fn strings(value: &[u8], emit: &mut dyn FnMut(&str, &str)) {
    let mut walk = Walk { cursor: Cursor::new(value), path: String::new(), emit };
    walk.value(0);
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    path: String,
    emit: &'a mut dyn FnMut(&str, &str),
}

impl Walk<'_> {
    /// Recursion is as deep as the value, which validation bounds.
    fn value(&mut self, depth: usize) {
        match self.cursor.peek() {
            b'"' => {
                let text = self.cursor.string();
                let text = core::str::from_utf8(&text).unwrap_or_default();
                let field = if self.path.is_empty() { ROOT } else { &self.path };
                (self.emit)(field, text);
            }
            open @ (b'[' | b'{') if depth <= MAX_JSON_DEPTH => {
                let mut more = self.cursor.enter();
                while more {
                    if open == b'{' {
                        self.member(depth)
                    } else {
                        self.value(depth + 1)
                    }
                    more = self.cursor.next();
                }
            }
            _ => self.cursor.skip(),
        }
    }

    fn member(&mut self, depth: usize) {
        let before = self.path.len();
        let name = self.cursor.name();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(core::str::from_utf8(&name).unwrap_or_default());
        self.value(depth + 1);
        self.path.truncate(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str) -> String {
        let mut found = Vec::new();
        strings(value.as_bytes(), &mut |field, text| found.push(format!("{field}={text}")));
        found.join(" ")
    }

    #[test]
    fn strings_have_the_field_that_leads_to_them() {
        for (value, expected) in [
            (r#""a""#, "$=a"),
            (r#"["a", ["b"], 7, null]"#, "$=a $=b"),
            (
                r#"{"t": "a", "n": 1, "u": {"v": ["b", {"w": "c\n"}]}, "x": "d"}"#,
                "t=a u.v=b u.v.w=c\n x=d",
            ),
            (r#"[{"t": "a"}, "b", {}, {"t": "c"}]"#, "t=a $=b t=c"),
            (r#"{"a.b": "x", "a": {"b": "y"}, "\u00e9": "z"}"#, "a.b=x a.b=y é=z"),
            ("7", ""),
            ("", ""),
        ] {
            assert_eq!(found(value), expected, "{value}");
        }
    }

    #[test]
    fn the_deepest_value_is_walked() {
        let value = "[".repeat(MAX_JSON_DEPTH) + r#""a""# + &"]".repeat(MAX_JSON_DEPTH);
        assert_eq!(found(&value), "$=a");
        found(&"[".repeat(100_000));
        found(&r#"{"a":"#.repeat(100_000));
    }
}
