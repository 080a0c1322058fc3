//! Limits, each at it and one past it, and input made to hurt.

use super::{Filter, refusal};
use crate::limits::{
    MAX_FILTER_BYTES, MAX_FILTER_CONDITIONS, MAX_FILTER_DEPTH, MAX_JSON_DEPTH, MAX_REGEX_BYTES,
};

fn parse(filter: &str) -> Filter {
    Filter::parse(filter.as_bytes()).unwrap()
}

/// `inner` within `count` times `open` and `close`.
fn nested(open: &str, count: usize, inner: &str, close: &str) -> String {
    open.repeat(count) + inner + &close.repeat(count)
}

#[test]
fn nesting_is_limited() {
    for (open, close) in [(r#"{"$not":"#, "}"), (r#"{"$and":["#, "]}"), (r#"{"$or":["#, "]}")] {
        let deepest = nested(open, MAX_FILTER_DEPTH - 1, r#"{"a":1}"#, close);
        let odd = open.contains("not");
        assert_eq!(parse(&deepest).matches(br#"{"a":1}"#), !odd);
        assert_eq!(parse(&deepest).matches(b"{}"), odd);
        let message = refusal(&nested(open, MAX_FILTER_DEPTH, r#"{"a":1}"#, close));
        assert!(message.starts_with("where") && message.contains("nested more than"), "{message}");
        assert!(refusal(&nested(open, 100_000, "{}", close)).contains("nested more than 128"));
    }
    let not = |count| format!(r#"{{"a":{}}}"#, nested(r#"{"$not":"#, count, r#"{"$eq":1}"#, "}"));
    parse(&not(MAX_FILTER_DEPTH - 2));
    assert!(refusal(&not(MAX_FILTER_DEPTH - 1)).ends_with(": nested more than 64 levels deep"));
    // Operands nest like any JSON.
    let array = nested("[", MAX_JSON_DEPTH - 1, "", "]");
    let value = format!(r#"{{"a":{array}}}"#);
    assert!(parse(&value).matches(value.as_bytes()));
    let longer = nested("[", MAX_JSON_DEPTH - 2, "1", "]");
    assert!(parse(&format!(r#"{{"a":{{"$ne":{longer}}}}}"#)).matches(value.as_bytes()));
}

#[test]
fn conditions_are_limited() {
    let filter = |count: usize, one: &str| format!(r#"{{"$or":[{}]}}"#, vec![one; count].join(","));
    for one in [r#"{"a":1}"#, "{}", r#"{"a":{"$gt":0}}"#] {
        assert!(parse(&filter(MAX_FILTER_CONDITIONS, one)).matches(br#"{"a":1}"#));
        let message = refusal(&filter(MAX_FILTER_CONDITIONS + 1, one));
        assert!(message.starts_with("where.$or[1000]"), "{message}");
        assert!(message.ends_with(": more than 1000 conditions"), "{message}");
    }
}

#[test]
fn every_condition_is_told_apart() {
    let fields: Vec<_> = (0..MAX_FILTER_CONDITIONS).map(|n| format!(r#""f{n}.x":{n}"#)).collect();
    let filter = parse(&format!("{{{}}}", fields.join(",")));
    let document = |wrong: usize| {
        let members: Vec<_> = (0..MAX_FILTER_CONDITIONS)
            .map(|n| format!(r#""f{n}":[{{"x":{}}}]"#, if n == wrong { 9999 } else { n }))
            .collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    };
    assert!(filter.matches(&document(usize::MAX)));
    for wrong in [0, 1, 63, 64, 500, 999] {
        assert!(!filter.matches(&document(wrong)), "{wrong}");
    }
}

#[test]
fn paths_and_sizes_are_limited() {
    let path = |parts: usize| format!(r#"{{"{}":1}}"#, vec!["a"; parts].join("."));
    let document = nested(r#"{"a":"#, MAX_JSON_DEPTH, "1", "}");
    assert!(parse(&path(MAX_JSON_DEPTH)).matches(document.as_bytes()));
    assert!(refusal(&path(MAX_JSON_DEPTH + 1)).contains("a path of 129 parts"));
    let long = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    parse(&long(MAX_FILTER_BYTES));
    assert!(refusal(&long(MAX_FILTER_BYTES + 1)).starts_with("where: 8388609 bytes, more than"));
    let place = refusal(&format!(r#"{{"{}":{{"$x":1}}}}"#, "é".repeat(100_000)));
    assert!(place.len() < 200 && place.ends_with("é....$x: unknown operator"), "{place}");
}

#[test]
fn patterns_are_limited() {
    let regex = |pattern: &str| format!(r#"{{"a":{{"$regex":"{pattern}"}}}}"#);
    parse(&regex(&"x".repeat(MAX_REGEX_BYTES)));
    let message = refusal(&regex(&"x".repeat(MAX_REGEX_BYTES + 1)));
    assert_eq!(message, "where.a.$regex: a pattern of 4097 bytes, more than 4096");
    for pattern in [
        "a{1000}{1000}",
        "(((a{100}){100}){100}){100}",
        "(){1000}{1000}{1000}",
        "[^\\\\s\\\\S]{999}{999}",
        "(",
        "*",
        "a(?=b)",
        "(a)\\\\1",
        "\\\\p{L}",
        "[z-a]",
    ] {
        let message = refusal(&regex(pattern));
        assert!(message.starts_with("where.a.$regex: the pattern cannot be compiled"), "{message}");
    }
    assert!(refusal(&regex(&"(".repeat(4000))).contains("cannot be compiled"));
    let document = format!(r#"{{"a":"{}"}}"#, "a".repeat(20_000));
    for pattern in ["(a+)+$b", "(a|aa)+b", "(.*)*(.*)*(.*)*b"] {
        assert!(!parse(&regex(pattern)).matches(document.as_bytes()));
    }
}

#[test]
fn deep_and_wide_documents_end() {
    let deep = nested(r#"{"a":["#, MAX_JSON_DEPTH / 2, "1", "]}");
    for filter in [r#"{"a.a.a":1}"#, r#"{"a":[[1]]}"#, r#"{"b":{"$exists":true}}"#] {
        assert!(!parse(filter).matches(deep.as_bytes()));
    }
    let broken = nested(r#"{"a":["#, 1_000_000, "", "");
    for filter in [r#"{"a.a.a":1}"#, r#"{"a":[[1]]}"#, r#"{"a.a":{"$contains":{}}}"#] {
        parse(filter).matches(broken.as_bytes());
    }
    let wide = format!(r#"{{"a":[{}{{"b":7}}]}}"#, r#"{"b":1,"c":[[]]},"#.repeat(100_000));
    assert!(parse(r#"{"a.b":7}"#).matches(wide.as_bytes()));
    assert!(parse(r#"{"a.100000.b":7}"#).matches(wide.as_bytes()));
    assert!(!parse(r#"{"a.99999999999999999999.b":7}"#).matches(wide.as_bytes()));
    let keys: Vec<_> = (0..200_000).map(|n| format!("\"k{n}\"")).collect();
    let many = parse(&format!(r#"{{"id":{{"$in":[{}]}}}}"#, keys.join(",")));
    assert!(many.matches(br#"{"id":"k199999"}"#) && !many.matches(br#"{"id":"k200000"}"#));
}
