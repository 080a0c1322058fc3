//! Orders against a sort of trees.

use core::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::oracle::{resolve, total};
use super::properties::{document, name, scalar, value, with_decoys};
use crate::error::Kind;
use crate::limits::{MAX_JSON_DEPTH, MAX_ORDER_FIELDS};
use crate::query::cursor::Cursor;
use crate::query::literal::Literal;
use crate::query::{Order, Sorter, encode};

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode::value(&mut Cursor::new(value.to_string().as_bytes()), &mut out);
    out
}

fn key(order: &str, document: &str) -> Vec<u8> {
    Order::parse(order.as_bytes()).unwrap().key(document.as_bytes(), "k", 7)
}

/// What a document is ordered by in a field: 0 for missing, 1 for an empty array.
fn sort_value(document: &Value, path: &str, descending: bool) -> (u8, Value) {
    let parts: Vec<&str> = path.split('.').collect();
    let found = if document.is_object() { resolve(document, &parts) } else { Vec::new() };
    let mut all = Vec::new();
    for value in found {
        match value.as_array() {
            Some(elements) if elements.is_empty() => all.push((1, Value::Null)),
            Some(elements) => all.extend(elements.iter().map(|element| (2, element.clone()))),
            None => all.push((2, value.clone())),
        }
    }
    all.sort_by(compare);
    let best = if descending { all.pop() } else { all.into_iter().next() };
    best.unwrap_or((0, Value::Null))
}

fn compare(left: &(u8, Value), right: &(u8, Value)) -> Ordering {
    left.0.cmp(&right.0).then_with(|| total(&left.1, &right.1))
}

fn float() -> impl Strategy<Value = Value> {
    let near = (any::<bool>(), 50_u32..66, -3_i64..4).prop_map(|(integer, exponent, off)| {
        let value = 2_f64.powi(exponent.cast_signed());
        match (integer, 1_u64.checked_shl(exponent)) {
            (true, Some(power)) => json!(power.wrapping_add_signed(off)),
            _ => json!(value + off as f64),
        }
    });
    prop_oneof![
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        near.clone(),
        near.prop_map(|value| match value.as_i64() {
            Some(value) => json!(-value),
            None => json!(-value.as_f64().unwrap()),
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn encodings_order_as_values_do(left in value(), right in value()) {
        let (one, other) = (encoded(&left), encoded(&right));
        let expected = total(&left, &right);
        prop_assert_eq!(one.cmp(&other), expected, "{} {}", left, right);
        prop_assert!(expected.is_eq() || !one.starts_with(&other) && !other.starts_with(&one));
        let tree = Literal::read(&mut Cursor::new(left.to_string().as_bytes()));
        let mut from_tree = Vec::new();
        encode::literal(&tree, &mut from_tree);
        prop_assert_eq!(from_tree, one);
    }

    #[test]
    fn encodings_order_as_numbers_do(left in float(), right in float(), text in any::<String>(), other in any::<String>()) {
        prop_assert_eq!(encoded(&left).cmp(&encoded(&right)), total(&left, &right), "{} {}", left, right);
        let (left, right) = (json!(text), json!(other));
        prop_assert_eq!(encoded(&left).cmp(&encoded(&right)), total(&left, &right));
    }

    #[test]
    fn keys_order_as_documents_do(
        fields in prop::collection::btree_map(
            prop::collection::vec(name(), 1..3).prop_map(|parts| parts.join(".")), any::<bool>(), 0..12),
        documents in prop::collection::vec(document(), 2..5),
        decoy in scalar(),
    ) {
        let fields: Vec<(String, bool)> = fields.into_iter().collect();
        let order = Order::parse(json!(fields).to_string().as_bytes()).unwrap();
        prop_assert!(order.parts().map(|(name, descending)| (name.to_owned(), descending)).eq(fields.clone()));
        let key = |number: usize| {
            let text = with_decoys(&documents[number], &decoy.to_string());
            order.key(text.as_bytes(), &format!("{number}"), 0)
        };
        for left in 0..documents.len() {
            for right in 0..documents.len() {
                let mut expected = Ordering::Equal;
                for (path, descending) in &fields {
                    let value = |number: usize| sort_value(&documents[number], path, *descending);
                    let order = compare(&value(left), &value(right));
                    expected = expected.then(if *descending { order.reverse() } else { order });
                }
                let expected = expected.then(left.cmp(&right));
                prop_assert_eq!(key(left).cmp(&key(right)), expected, "{} {}", &documents[left], &documents[right]);
            }
        }
    }

    #[test]
    fn text_that_is_not_json_does_no_harm(text in r#"[\[\]{}",:0-9a\\ ]{0,24}"#, order in r#"[\[\]{}",:0-9a$truefals\\ ]{0,24}"#) {
        key(r#"[["a",true],["a.0",false],["0.a",false]]"#, &text);
        drop(Order::parse(order.as_bytes()));
    }

    #[test]
    fn a_sorter_keeps_the_first(
        keys in prop::collection::btree_set(prop::collection::vec(0_u8..4, 0..10), 0..300),
        seed in any::<u64>(),
        offset in 0_usize..20,
        limit in prop::option::of(0_usize..80),
    ) {
        let keys: Vec<Vec<u8>> = keys.into_iter().collect();
        let mut shuffled: Vec<usize> = (0..keys.len()).collect();
        shuffled.sort_by_key(|&number| (number as u64 ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut sorter = Sorter::new(offset, limit);
        for number in shuffled {
            sorter.offer(&keys[number], number).unwrap();
        }
        let expected: Vec<usize> =
            (0..keys.len()).skip(offset).take(limit.unwrap_or(usize::MAX)).collect();
        prop_assert_eq!(sorter.finish(), expected);
    }
}

#[test]
fn types_have_an_order_and_missing_comes_first() {
    let ascending = [
        "{}",
        r#"{"a":[]}"#,
        r#"{"a":null}"#,
        r#"{"a":false}"#,
        r#"{"a":[true,"x"]}"#,
        r#"{"a":-1e300}"#,
        r#"{"a":[7,-3]}"#,
        r#"{"a":9007199254740992.0}"#,
        r#"{"a":9007199254740993}"#,
        r#"{"a":""}"#,
        r#"{"a":"\u0000"}"#,
        r#"{"a":"a"}"#,
        r#"{"a":"a\u0000"}"#,
        r#"{"a":"ab"}"#,
        r#"{"a":"\uffff"}"#,
        r#"{"a":"😀"}"#,
        r#"{"a":[[1,2]]}"#,
        r#"{"a":{}}"#,
    ];
    for pair in ascending.windows(2) {
        assert!(key(r#"[["a",false]]"#, pair[0]) < key(r#"[["a",false]]"#, pair[1]), "{pair:?}");
    }
    let same = key(r#"[["a",false]]"#, r#"{"a":1}"#);
    for other in [r#"{"a":1.0}"#, r#"{"a":[2,1]}"#, r#"{"a":2,"\u0061":10e-1}"#] {
        assert_eq!(key(r#"[["a",false]]"#, other), same);
    }
    let descending = |document| key(r#"[["a",true]]"#, document);
    assert!(descending(r#"{"a":[1,9]}"#) < descending(r#"{"a":8}"#));
    assert!(descending(r#"{"a":[]}"#) < descending("7"));
}

#[test]
fn keys_and_times_are_fields() {
    let order = |json: &str| Order::parse(json.as_bytes()).unwrap();
    let (one, two) = (order("[]").key(b"{}", "a", 2), order("[]").key(b"{}", "a\0", 1));
    assert!(one < two);
    let by_key = order(r#"[["$key",true],["a",false]]"#);
    assert!(by_key.key(b"{}", "a", 2) > by_key.key(b"{}", "a\0", 1));
    let by_time = order(r#"[["$timestamp",true]]"#);
    assert!(by_time.key(b"1", "b", 300) < by_time.key(b"{}", "a", 299));
    assert!(by_time.key(b"1", "b", 300) > by_time.key(b"{}", "a", 300));
}

#[test]
fn mistakes_are_refused_by_place() {
    let many = |count: usize| {
        let fields: Vec<_> =
            (0..count).map(|number| json!([format!("f{number}"), false])).collect();
        json!(fields).to_string()
    };
    Order::parse(many(MAX_ORDER_FIELDS).as_bytes()).unwrap();
    let deep = |parts: usize| json!([[vec!["a"; parts].join("."), false]]).to_string();
    Order::parse(deep(MAX_JSON_DEPTH).as_bytes()).unwrap();
    for (json, message) in [
        ("{}", "order_by: expected a list of fields, found an object"),
        (
            "[1]",
            "order_by[0]: expected a pair of a field's path and whether it is descending, found a number",
        ),
        (
            r#"[["a",true],["b"]]"#,
            "order_by[1]: expected a pair of a field's path and whether it is descending",
        ),
        (r#"[[1,true]]"#, "order_by[0]: expected a field's path, found a number"),
        (r#"[["$id",true]]"#, "order_by[0]: \"$id\" is not a field's path"),
        (r#"[["a",true],["a",false]]"#, "order_by[1]: the field \"a\" again"),
        (&many(MAX_ORDER_FIELDS + 1), "order_by: 33 entries, more than 32"),
        (&deep(MAX_JSON_DEPTH + 1), "order_by[0]: a path of 129 parts, more than 128"),
        ("[", "order_by: not valid JSON: expected a value"),
    ] {
        let error = Order::parse(json.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Kind::Invalid, message), "{json}");
        assert!(!error.suggestion.is_empty());
    }
}
