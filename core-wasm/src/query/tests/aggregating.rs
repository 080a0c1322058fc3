//! Aggregations against lists of values.

use core::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::oracle::{resolve, total};
use super::properties::{document, name, scalar, with_decoys};
use crate::error::Kind;
use crate::limits::{MAX_AGGREGATES, MAX_GROUP_PATHS, MAX_GROUPS};
use crate::query::Aggregation;

fn aggregate(spec: &str, group_by: &str, documents: &[&str]) -> String {
    let json = format!(r#"{{"spec":{spec},"group_by":{group_by}}}"#);
    let aggregation = Aggregation::parse(json.as_bytes()).expect(spec);
    let mut groups = aggregation.start();
    for (number, document) in documents.iter().enumerate() {
        groups.add(document.as_bytes(), &format!("k{number}"), 1000 + number as u64).unwrap();
    }
    let out = groups.finish().unwrap();
    String::from_utf8(out).unwrap()
}

/// The values of a path.
fn found(document: &Value, path: &str) -> Vec<Value> {
    let parts: Vec<&str> = path.split('.').collect();
    let found = if document.is_object() { resolve(document, &parts) } else { Vec::new() };
    found.into_iter().cloned().collect()
}

/// The values of a path as one: an array of them if it went through an array's elements.
fn whole(document: &Value, path: &str) -> Option<Value> {
    document.as_object()?;
    let mut at = document;
    let values = found(document, path);
    for part in path.split('.') {
        at = match at {
            Value::Object(members) => members.get(part)?,
            Value::Array(elements) => match part.parse::<usize>() {
                Ok(index) if index.to_string() == part => elements.get(index)?,
                _ => return Some(json!(values)),
            },
            _ => return None,
        };
    }
    Some(at.clone())
}

/// One aggregate of documents, but for sums and means.
fn naive(operator: &str, path: &str, documents: &[&Value]) -> Value {
    let all: Vec<Value> = documents.iter().flat_map(|document| found(document, path)).collect();
    match operator {
        "$min" => all.iter().min_by(|left, right| total(left, right)).cloned().unwrap_or_default(),
        // Of equal ones the first, as the aggregation keeps it.
        "$max" => {
            all.iter().rev().max_by(|left, right| total(left, right)).cloned().unwrap_or_default()
        }
        "$count" => json!(
            documents
                .iter()
                .filter(|one| found(one, path).iter().any(|value| !value.is_null()))
                .count()
        ),
        "$first" => documents.first().and_then(|one| whole(one, path)).unwrap_or_default(),
        "$last" => documents.last().and_then(|one| whole(one, path)).unwrap_or_default(),
        _ => unreachable!(),
    }
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..3).prop_map(|parts| parts.join("."))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn agrees_with_lists_of_values(
        group_by in prop::collection::btree_set(path(), 0..3),
        paths in prop::collection::vec((prop::sample::select(vec!["$min", "$max", "$count", "$first", "$last"]), path()), 0..5),
        documents in prop::collection::vec(document(), 0..7),
        decoy in scalar(),
    ) {
        let group_by: Vec<String> = group_by.into_iter().collect();
        let spec: serde_json::Map<String, Value> = paths.iter().enumerate()
            .map(|(number, (operator, path))| (format!("n{number}"), json!({ *operator: path })))
            .chain([("docs".to_owned(), json!({"$count": true}))])
            .collect();
        let texts: Vec<String> = documents.iter().map(|one| with_decoys(one, &decoy.to_string())).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let groups = if group_by.is_empty() { Value::Null } else { json!(group_by) };
        let out = aggregate(&Value::from(spec).to_string(), &groups.to_string(), &texts);
        let out: Vec<Value> = serde_json::from_str(&out).unwrap();

        let label = |one: &Value| -> Vec<Value> {
            group_by.iter().map(|path| whole(one, path).unwrap_or_default()).collect()
        };
        let mut labels: Vec<Vec<Value>> = documents.iter().map(label).collect();
        if group_by.is_empty() {
            labels.push(Vec::new());
        }
        let order = |left: &Vec<Value>, right: &Vec<Value>| total(&json!(left), &json!(right));
        labels.sort_by(order);
        labels.dedup_by(|later, first| order(later, first) == Ordering::Equal);
        prop_assert_eq!(out.len(), labels.len());
        for (row, wanted) in out.iter().zip(labels) {
            let members: Vec<&Value> =
                documents.iter().filter(|one| order(&label(one), &wanted).is_eq()).collect();
            prop_assert_eq!(&row["docs"], &json!(members.len()));
            for (path, value) in group_by.iter().zip(&wanted) {
                prop_assert!(total(&row[path], value).is_eq());
            }
            for (number, (operator, path)) in paths.iter().enumerate() {
                prop_assert_eq!(&row[format!("n{number}")], &naive(operator, path, &members), "{} {}", operator, path);
            }
        }
    }

    #[test]
    fn sums_of_integers_are_exact(values in prop::collection::vec(prop_oneof![any::<i64>().prop_map(i128::from), any::<u64>().prop_map(i128::from), -5_i128..5], 0..20)) {
        let documents: Vec<String> = values.iter().map(|value| format!(r#"{{"a":{value}}}"#)).collect();
        let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
        let sum: i128 = values.iter().sum();
        let out = aggregate(r#"{"s":{"$sum":"a"}}"#, "null", &documents);
        prop_assert_eq!(out, format!(r#"[{{"s":{sum}}}]"#));
    }

    #[test]
    fn what_is_no_aggregation_is_refused_not_more(text in r#"[\[\]{}",:0-9a\\ ]{0,24}"#, spec in r#"\{"spec":[\[\]{}",:0-9a$sum\\ ]{0,24}\}"#) {
        drop(Aggregation::parse(spec.as_bytes()));
        let json = br#"{"spec":{"s":{"$sum":"a"},"f":{"$first":"a.a"}},"group_by":["0.a","a.0"]}"#;
        let aggregation = Aggregation::parse(json).unwrap();
        let mut groups = aggregation.start();
        groups.add(text.as_bytes(), &text, 0).unwrap();
        groups.finish().unwrap();
    }
}

#[test]
fn numbers_are_summed_and_the_rest_ignored() {
    let documents = [
        r#"{"a":1,"i":[{"p":1},{"p":2.5},{}]}"#,
        r#"{"a":"2","i":[]}"#,
        r#"{"a":18446744073709551615}"#,
        r#"{"a":[5]}"#,
        r#"{"a":null}"#,
        "7",
    ];
    let spec = r#"{"s":{"$sum":"a"},"v":{"$avg":"a"},"p":{"$sum":"i.p"},"q":{"$avg":"i.p"},"z":{"$sum":"z"},"y":{"$avg":"z"},"n":{"$count":{}},"c":{"$count":"a"}}"#;
    let expected = r#"[{"s":18446744073709551616,"v":9.223372036854776e+18,"p":3.5,"q":1.75,"z":0,"y":null,"n":6,"c":4}]"#;
    assert_eq!(aggregate(spec, "null", &documents), expected);
    let mixed = [r#"{"a":9007199254740993}"#, r#"{"a":0.5}"#, r#"{"a":0.5}"#, r#"{"a":-1e0}"#];
    let spec = r#"{"s":{"$sum":"a"}}"#;
    assert_eq!(aggregate(spec, "null", &mixed), r#"[{"s":9007199254740992.0}]"#);
    assert_eq!(aggregate(spec, "null", &[r#"{"a":1.0}"#, r#"{"a":2}"#]), r#"[{"s":3.0}]"#);
    let ten = [r#"{"a":0.1}"#; 10];
    assert_eq!(aggregate(spec, "null", &ten), r#"[{"s":1.0}]"#);
}

#[test]
fn groups_are_values_by_meaning() {
    let documents = [
        r#"{"g":1.0,"t":["a"]}"#,
        r#"{"g":1,"t":["a"]}"#,
        r#"{"g":null}"#,
        "{}",
        r#"{"g":{"y":1,"x":2}}"#,
        r#"{"g":{"x":2.0,"y":1}}"#,
    ];
    let out = aggregate(r#"{"n":{"$count":true}}"#, r#""g""#, &documents);
    assert_eq!(out, r#"[{"g":null,"n":2},{"g":1.0,"n":2},{"g":{"y":1,"x":2},"n":2}]"#);
    let out = aggregate("{}", r#"["t","g"]"#, &documents[..3]);
    assert_eq!(out, r#"[{"t":null,"g":null},{"t":["a"],"g":1.0}]"#);
    let items = [r#"{"i":[{"p":1},{"p":2},{}]}"#, r#"{"i":[{"p":1.0},{"p":2}]}"#, r#"{"i":[]}"#];
    let out = aggregate(r#"{"n":{"$count":true}}"#, r#""i.p""#, &items);
    assert_eq!(out, r#"[{"i.p":[],"n":1},{"i.p":[1,2],"n":2}]"#);
    assert_eq!(aggregate(r#"{"n":{"$count":true}}"#, r#""g""#, &[]), "[]");
    assert_eq!(aggregate(r#"{"n":{"$count":true}}"#, "null", &[]), r#"[{"n":0}]"#);
}

#[test]
fn the_first_and_last_and_keys_and_times() {
    let documents = [r#"{"a":"x"}"#, r#"{"a":7}"#, "{}"];
    let spec = r#"{"f":{"$first":"a"},"l":{"$last":"a"},"k":{"$max":"$key"},"t":{"$min":"$timestamp"},"\"":{"$last":"$key"}}"#;
    let expected = r#"[{"f":"x","l":null,"k":"k2","t":1000,"\"":"k2"}]"#;
    assert_eq!(aggregate(spec, "null", &documents), expected);
}

#[test]
fn limits_are_errors() {
    let parse = |json: &str| Aggregation::parse(json.as_bytes()).unwrap();
    let by_a = parse(r#"{"spec":{"n":{"$count":true}},"group_by":"a"}"#);
    let documents: Vec<String> = (0..=MAX_GROUPS).map(|n| format!(r#"{{"a":{n}}}"#)).collect();
    let mut groups = by_a.start();
    for document in documents.iter().take(MAX_GROUPS) {
        groups.add(document.as_bytes(), "", 0).unwrap();
        groups.add(br#"{"a":0}"#, "", 0).unwrap();
    }
    let error = groups.add(documents[MAX_GROUPS].as_bytes(), "", 0).unwrap_err();
    assert_eq!((error.kind, &*error.message), (Kind::Limit, "group_by: more than 100000 groups"));

    let long: Vec<String> =
        (0..10).map(|n| format!(r#"{{"a":"{n}{}"}}"#, "x".repeat(8_000_000))).collect();
    let mut groups = by_a.start();
    let outcomes: Vec<_> = long.iter().map(|one| groups.add(one.as_bytes(), "", 0)).collect();
    assert!(outcomes[7].is_ok() && outcomes[8].as_ref().unwrap_err().kind == Kind::Limit);

    let sum = parse(r#"{"spec":{"total":{"$sum":"a"}},"group_by":null}"#);
    let mut groups = sum.start();
    groups.add(br#"{"a":1e308}"#, "", 0).unwrap();
    groups.add(br#"{"a":1e308}"#, "", 0).unwrap();
    let error = groups.finish().unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    assert!(error.message.starts_with("aggregate.total.$sum: the sum is beyond"), "{error}");
}

#[test]
fn mistakes_are_refused_by_place() {
    let aggregates = |count: usize| {
        let spec: serde_json::Map<_, _> =
            (0..count).map(|n| (format!("n{n}"), json!({"$count": true}))).collect();
        json!({"spec": spec}).to_string()
    };
    let groups = |count: usize| {
        let paths: Vec<_> = (0..count).map(|n| format!("f{n}")).collect();
        json!({"spec": {}, "group_by": paths}).to_string()
    };
    Aggregation::parse(aggregates(MAX_AGGREGATES).as_bytes()).unwrap();
    Aggregation::parse(groups(MAX_GROUP_PATHS).as_bytes()).unwrap();
    for (json, message) in [
        ("[]", "aggregate: expected an object, found an array"),
        ("{}", "aggregate: nothing to do"),
        (r#"{"spec":{}}"#, "aggregate: nothing to do"),
        (r#"{"spec":[]}"#, "aggregate: expected an object of aggregates, found an array"),
        (r#"{"x":1}"#, "aggregate: unknown member \"x\""),
        (
            r#"{"spec":{"t":1}}"#,
            "aggregate.t: expected an object such as {\"$sum\": path}, found a number",
        ),
        (r#"{"spec":{"t":{}}}"#, "aggregate.t: 0 operators, expected one"),
        (r#"{"spec":{"t":{"$sum":"a","$avg":"a"}}}"#, "aggregate.t: 2 operators, expected one"),
        (r#"{"spec":{"t":{"$total":"a"}}}"#, "aggregate.t.$total: unknown operator"),
        (
            r#"{"spec":{"t":{"$sum":1}}}"#,
            "aggregate.t.$sum: expected a field's path, found a number",
        ),
        (r#"{"spec":{"t":{"$sum":"$a"}}}"#, "aggregate.t.$sum: \"$a\" is not a field's path"),
        (
            r#"{"spec":{"t":{"$count":false}}}"#,
            "aggregate.t.$count: expected true, {} or a field's path, found a boolean",
        ),
        (r#"{"spec":{"t":{"$sum":"a"},"t":{"$sum":"b"}}}"#, "aggregate.t: a name that comes twice"),
        (
            r#"{"spec":{"a":{"$sum":"b"}},"group_by":"a"}"#,
            "aggregate.a: the name of a group's path",
        ),
        (r#"{"spec":{},"group_by":[]}"#, "group_by: an empty list"),
        (
            r#"{"spec":{},"group_by":7}"#,
            "group_by: expected a path or a list of paths, found a number",
        ),
        (r#"{"spec":{},"group_by":["a","a"]}"#, "group_by[1]: the field \"a\" again"),
        (
            r#"{"spec":{},"group_by":["a",1]}"#,
            "group_by[1]: expected a field's path, found a number",
        ),
        (r#"{"spec":{},"group_by":"$x"}"#, "group_by: \"$x\" is not a field's path"),
        (&aggregates(MAX_AGGREGATES + 1), "aggregate.n99: more than 100 aggregates"),
        (&groups(MAX_GROUP_PATHS + 1), "group_by: 33 entries, more than 32"),
    ] {
        let error = Aggregation::parse(json.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Kind::Invalid, message), "{json}");
        assert!(!error.suggestion.is_empty());
    }
}
