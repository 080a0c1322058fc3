//! The semantics, operator by operator; [`oracle`] has them once more, naively.

mod aggregating;
mod hostile;
mod oracle;
mod ordering;
mod planning;
mod projecting;
mod properties;

use super::Filter;
use crate::error::Kind;

/// Whether the filter matches the value, checked against the oracle too.
fn matches(filter: &str, value: &str) -> bool {
    let outcome = Filter::parse(filter.as_bytes()).expect(filter).matches(value.as_bytes());
    let expected = oracle::matches(
        &serde_json::from_str(value).unwrap(),
        &serde_json::from_str(filter).unwrap(),
    );
    assert_eq!(outcome, expected, "the oracle differs: {filter} {value}");
    outcome
}

/// Checks a filter against values that match it and values that do not.
fn check(filter: &str, matching: &[&str], others: &[&str]) {
    for value in matching {
        assert!(matches(filter, value), "{filter} should match {value}");
    }
    for value in others {
        assert!(!matches(filter, value), "{filter} should not match {value}");
    }
}

#[test]
fn an_empty_filter_matches_everything() {
    check("{}", &["{}", "null", "[]", "7", r#"{"a":1}"#], &[]);
    check(r#"{"$not":{}}"#, &[], &["{}", "7"]);
}

#[test]
fn equality_is_of_values_not_of_spelling() {
    let one =
        [r#"{"a":1}"#, r#"{"a":1.0}"#, r#" { "a" : 10e-1 } "#, r#"{"\u0061":1}"#, r#"{"a":[2,1]}"#];
    let others = [r#"{"a":true}"#, r#"{"a":"1"}"#, r#"{"a":null}"#, r#"{"b":1}"#, r#"{"a":[[1]]}"#];
    check(r#"{"a":1}"#, &one, &others);
    check(r#"{"a":{"$eq":1.0}}"#, &one, &others);
    check(r#"{"a":{"$ne":1}}"#, &others, &one);
    check(r#"{"a":0}"#, &[r#"{"a":-0.0}"#], &[r#"{"a":false}"#, r#"{"a":1e-300}"#]);
    check(r#"{"a":"é\n"}"#, &[r#"{"a":"\u00e9\u000a"}"#], &[r#"{"a":"e\u0301\n"}"#]);
    check(r#"{"a":"😀"}"#, &[r#"{"a":"\ud83d\ude00"}"#], &[r#"{"a":"?"}"#]);
    check(
        r#"{"a":true}"#,
        &[r#"{"a":true}"#, r#"{"a":[true]}"#],
        &[r#"{"a":1}"#, r#"{"a":false}"#],
    );
}

#[test]
fn wide_integers_are_not_rounded() {
    check(
        r#"{"a":9007199254740993}"#,
        &[r#"{"a":9007199254740993}"#],
        &[r#"{"a":9007199254740992.0}"#, r#"{"a":9007199254740992}"#],
    );
    check(
        r#"{"a":{"$gt":9007199254740992.0}}"#,
        &[r#"{"a":9007199254740993}"#, r#"{"a":18446744073709551615}"#],
        &[r#"{"a":9007199254740992}"#, r#"{"a":-9223372036854775808}"#],
    );
    check(r#"{"a":{"$lt":18446744073709551616.0}}"#, &[r#"{"a":18446744073709551615}"#], &[]);
}

#[test]
fn null_is_not_missing() {
    check(r#"{"a":null}"#, &[r#"{"a":null}"#, r#"{"a":[null]}"#], &["{}", r#"{"a":0}"#, "null"]);
    check(r#"{"a":{"$ne":null}}"#, &["{}", r#"{"a":0}"#, "null"], &[r#"{"a":null}"#]);
    check(
        r#"{"a":{"$exists":true}}"#,
        &[r#"{"a":null}"#, r#"{"a":[]}"#, r#"{"a":{}}"#],
        &["{}", "[1]"],
    );
    check(r#"{"a":{"$exists":false}}"#, &["{}", "7", r#"[{"a":1}]"#], &[r#"{"a":null}"#]);
    check(r#"{"a.b":{"$exists":true}}"#, &[r#"{"a":{"b":0}}"#], &[r#"{"a":{}}"#, r#"{"a":[]}"#]);
}

#[test]
fn objects_and_arrays_are_equal_as_wholes() {
    check(
        r#"{"a":{"x":1,"y":[2]}}"#,
        &[
            r#"{"a":{"y":[2.0],"x":1}}"#,
            r#"{"a":[0,{"x":1,"y":[2]}]}"#,
            r#"{"a":{"x":0,"y":[2],"x":1}}"#,
        ],
        &[r#"{"a":{"x":1}}"#, r#"{"a":{"x":1,"y":[2],"z":0}}"#, r#"{"a":{"x":1,"y":2}}"#],
    );
    check(
        r#"{"a":[1,2]}"#,
        &[r#"{"a":[1,2]}"#, r#"{"a":[[1,2],3]}"#],
        &[r#"{"a":[2,1]}"#, r#"{"a":[1,2,3]}"#, r#"{"a":[[[1,2]]]}"#],
    );
    check(r#"{"a":{}}"#, &[r#"{"a":{}}"#, r#"{"a":[{}]}"#], &["{}", r#"{"a":[]}"#]);
    check(r#"{"a":{"$eq":{"$ref":1}}}"#, &[r#"{"a":{"$ref":1}}"#], &[r#"{"a":{"ref":1}}"#]);
}

#[test]
fn order_is_between_like_types() {
    check(
        r#"{"a":{"$gt":2}}"#,
        &[r#"{"a":2.5}"#, r#"{"a":[1,3]}"#],
        &[r#"{"a":2}"#, r#"{"a":"3"}"#],
    );
    check(
        r#"{"a":{"$gte":2}}"#,
        &[r#"{"a":2.0}"#],
        &[r#"{"a":1}"#, r#"{"a":true}"#, r#"{"a":null}"#],
    );
    check(
        r#"{"a":{"$lt":2}}"#,
        &[r#"{"a":-1e300}"#],
        &[r#"{"a":2}"#, "{}", r#"{"a":{}}"#, r#"{"a":[]}"#],
    );
    check(r#"{"a":{"$lte":2}}"#, &[r#"{"a":2}"#, r#"{"a":1}"#], &[r#"{"a":2.0000000001}"#]);
    check(
        r#"{"a":{"$gt":"Z"}}"#,
        &[r#"{"a":"a"}"#, r#"{"a":"Zz"}"#, r#"{"a":"é"}"#],
        &[r#"{"a":"A"}"#, r#"{"a":9}"#],
    );
    // By code points: by UTF-16 units the emoji would come first.
    check(r#"{"a":{"$lt":"😀"}}"#, &[r#"{"a":"\uffff"}"#], &[r#"{"a":"😁"}"#]);
    check(
        r#"{"a":{"$gt":1,"$lt":2}}"#,
        &[r#"{"a":1.5}"#, r#"{"a":[0,3]}"#],
        &[r#"{"a":3}"#, r#"{"a":[0]}"#],
    );
}

#[test]
fn in_and_nin_take_any_json() {
    let filter = r#"{"a":{"$in":[2,"x",null,[1],{"k":1},2.0]}}"#;
    let found = [
        r#"{"a":2.0}"#,
        r#"{"a":"x"}"#,
        r#"{"a":null}"#,
        r#"{"a":[1]}"#,
        r#"{"a":{"k":1}}"#,
        r#"{"a":[0,"x"]}"#,
    ];
    let others = ["{}", r#"{"a":1}"#, r#"{"a":[0]}"#, r#"{"a":{"k":2}}"#, r#"{"a":"xx"}"#];
    check(filter, &found, &others);
    check(&filter.replace("$in", "$nin"), &others, &found);
    check(r#"{"a":{"$in":[]}}"#, &[], &["{}", r#"{"a":null}"#, r#"{"a":[]}"#]);
    check(r#"{"a":{"$nin":[]}}"#, &["{}", r#"{"a":null}"#, r#"{"a":[]}"#], &[]);
}

#[test]
fn contains_is_of_strings_and_arrays() {
    check(
        r#"{"a":{"$contains":"b"}}"#,
        &[r#"{"a":"abc"}"#, r#"{"a":["b"]}"#, r#"{"a":"\u0062"}"#],
        &[r#"{"a":["abc"]}"#, r#"{"a":"ac"}"#, r#"{"a":{"b":1}}"#, "{}"],
    );
    check(
        r#"{"a":{"$contains":1}}"#,
        &[r#"{"a":[0,1.0]}"#],
        &[r#"{"a":"1"}"#, r#"{"a":1}"#, r#"{"a":[[1]]}"#],
    );
    check(r#"{"a":{"$contains":[1]}}"#, &[r#"{"a":[[1]]}"#], &[r#"{"a":[1]}"#, r#"{"a":[[1,2]]}"#]);
    check(r#"{"a":{"$contains":""}}"#, &[r#"{"a":""}"#, r#"{"a":"x"}"#], &[r#"{"a":[]}"#]);
    check(r#"{"a.b":{"$contains":"x"}}"#, &[r#"{"a":[{"b":"axe"}]}"#], &[r#"{"a":[{"b":"ae"}]}"#]);
}

#[test]
fn regex_is_searched_for() {
    check(
        r#"{"a":{"$regex":"b+c"}}"#,
        &[r#"{"a":"abbcd"}"#, r#"{"a":["x","bc"]}"#],
        &[r#"{"a":"ab"}"#, r#"{"a":1}"#, "{}"],
    );
    check(
        r#"{"a":{"$regex":"^(?i)CAT$"}}"#,
        &[r#"{"a":"cat"}"#],
        &[r#"{"a":"cats"}"#, r#"{"a":["a cat"]}"#],
    );
    check(
        r#"{"a":{"$regex":"^.$"}}"#,
        &[r#"{"a":"é"}"#, r#"{"a":"\ud83d\ude00"}"#],
        &[r#"{"a":"ab"}"#],
    );
    check(r#"{"a":{"$not":{"$regex":"b"}}}"#, &[r#"{"a":"a"}"#, "{}"], &[r#"{"a":"b"}"#]);
}

#[test]
fn logic_nests() {
    check(r#"{"$and":[{"a":1},{"b":2}]}"#, &[r#"{"b":2,"a":1}"#], &[r#"{"a":1}"#]);
    check(r#"{"a":1,"b":2}"#, &[r#"{"b":2,"a":1}"#], &[r#"{"a":1,"b":3}"#]);
    check(
        r#"{"$or":[{"a":1},{"b":2}],"c":3}"#,
        &[r#"{"a":1,"c":3}"#, r#"{"b":2,"c":3}"#],
        &[r#"{"c":3}"#, r#"{"a":1}"#],
    );
    check(r#"{"$not":{"$or":[{"a":1},{"b":2}]}}"#, &["{}", r#"{"a":2}"#], &[r#"{"a":1}"#]);
    check(
        r#"{"a":{"$not":{"$gt":1,"$lt":5}}}"#,
        &["{}", r#"{"a":5}"#, r#"{"a":"x"}"#],
        &[r#"{"a":3}"#],
    );
    check(r#"{"a":{"$not":{"$not":{"$eq":1}}}}"#, &[r#"{"a":1}"#], &["{}"]);
}

#[test]
fn paths_go_through_objects_and_arrays() {
    check(r#"{"a.b.c":1}"#, &[r#"{"a":{"b":{"c":1}}}"#], &[r#"{"a.b.c":1}"#, r#"{"a":{"b":1}}"#]);
    check(
        r#"{"a.0":1}"#,
        &[r#"{"a":[1,2]}"#, r#"{"a":{"0":1}}"#, r#"{"a":[[3,1]]}"#],
        &[r#"{"a":[2,1]}"#, r#"{"a":[{"0":1}]}"#],
    );
    check(
        r#"{"a.b":1}"#,
        &[r#"{"a":[{"b":0},{"b":1}]}"#, r#"{"a":[7,{"b":[1]}]}"#],
        &[r#"{"a":[[{"b":1}]]}"#, r#"{"a":[]}"#],
    );
    check(
        r#"{"a.1.b":1}"#,
        &[r#"{"a":[0,{"b":1}]}"#, r#"{"a":[0,[{"b":1}]]}"#],
        &[r#"{"a":[{"b":1}]}"#],
    );
    check(
        r#"{"a.0.b":1,"a.b":2}"#,
        &[r#"{"a":[{"b":1},{"b":2}]}"#],
        &[r#"{"a":[{"b":2},{"b":1}]}"#],
    );
    check(r#"{"a.01":1}"#, &[r#"{"a":[{"01":1}]}"#], &[r#"{"a":[0,1]}"#]);
    check(r#"{"":1}"#, &[r#"{"":1}"#], &["{}"]);
    check(r#"{"a.":1}"#, &[r#"{"a":{"":1}}"#], &[r#"{"a":1}"#]);
    check(r#"{"a.$id":1}"#, &[r#"{"a":{"$id":1}}"#], &["{}"]);
    check(r#"{"a":1,"a.b":{"$exists":true}}"#, &[r#"{"a":[1,{"b":0}]}"#], &[r#"{"a":{"b":1}}"#]);
    check(r#"{"0":1}"#, &[r#"{"0":1}"#], &["[1]"]);
}

#[test]
fn the_last_of_a_name_counts() {
    check(r#"{"a":1}"#, &[r#"{"a":2,"a":1}"#], &[r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":{}}"#]);
    check(
        r#"{"a.b":1}"#,
        &[r#"{"a":0,"a":{"b":1}}"#],
        &[r#"{"a":{"b":1},"a":{}}"#, r#"{"a":[{"b":1,"b":2}]}"#],
    );
    // What an earlier element fulfilled stays.
    check(r#"{"a.b":1}"#, &[r#"{"a":[{"b":1},{"b":1,"b":2}]}"#], &[]);
}

/// The message for a filter that is refused.
fn refusal(filter: &str) -> String {
    let error = Filter::parse(filter.as_bytes()).expect_err(filter);
    assert_eq!(error.kind, Kind::Invalid, "{filter}");
    assert!(!error.suggestion.is_empty());
    error.message
}

#[test]
fn mistakes_are_refused_by_name() {
    for (filter, message) in [
        ("[]", "where: expected an object, found an array"),
        ("null", "where: expected an object, found null"),
        ("7", "where: expected an object, found a number"),
        (r#"{"$and":{"a":1}}"#, "where.$and: expected an array of filters, found an object"),
        (r#"{"$and":[]}"#, "where.$and: an empty array"),
        (r#"{"a":1,"$or":[]}"#, "where.$or: an empty array"),
        (r#"{"$or":[{"a":1},"b"]}"#, "where.$or[1]: expected an object, found a string"),
        (r#"{"$not":[]}"#, "where.$not: expected an object, found an array"),
        (r#"{"$foo":1}"#, "where.$foo: unknown operator"),
        (r#"{"$":1}"#, "where.$: unknown operator"),
        (r#"{"$gt":1}"#, "where.$gt: an operator without a field"),
        (r#"{"a":{"$foo":1}}"#, "where.a.$foo: unknown operator"),
        (r#"{"a":{"$options":"i","$regex":"x"}}"#, "where.a.$options: unknown operator"),
        (r#"{"a":{"$or":[]}}"#, "where.a.$or: an operator that does not go under a field"),
        (r#"{"a":{"$gt":1,"b":2}}"#, "where.a.b: a field among operators"),
        (
            r#"{"age":{"$gte":[1]}}"#,
            "where.age.$gte: expected a number or a string, found an array",
        ),
        (r#"{"a":{"$gt":true}}"#, "where.a.$gt: expected a number or a string, found a boolean"),
        (r#"{"a":{"$lt":null}}"#, "where.a.$lt: expected a number or a string, found null"),
        (r#"{"a":{"$lte":{}}}"#, "where.a.$lte: expected a number or a string, found an object"),
        (r#"{"a":{"$in":"x"}}"#, "where.a.$in: expected an array, found a string"),
        (r#"{"a":{"$nin":{}}}"#, "where.a.$nin: expected an array, found an object"),
        (r#"{"a":{"$exists":1}}"#, "where.a.$exists: expected a boolean, found a number"),
        (r#"{"a":{"$regex":1}}"#, "where.a.$regex: expected a string, found a number"),
        (r#"{"a":{"$not":5}}"#, "where.a.$not: expected an object of operators, found a number"),
        (r#"{"a":{"$not":{}}}"#, "where.a.$not: an empty object"),
        (r#"{"a":{"$not":{"b":1}}}"#, "where.a.$not.b: a field among operators"),
        (
            r#"{"$and":[{"a":1},{"$or":[{"b.c":{"$not":{"$in":1}}}]}]}"#,
            "where.$and[1].$or[0].b.c.$not.$in: expected an array, found a number",
        ),
    ] {
        assert_eq!(refusal(filter), message, "{filter}");
    }
    assert!(
        refusal(r#"{"a":{"$regex":"("}}"#).starts_with("where.a.$regex: the pattern cannot be")
    );
    assert!(refusal("{").starts_with("where: not valid JSON: "));
    assert!(refusal(r#"{"a":18446744073709551616}"#).starts_with("where: not valid JSON: "));
}
