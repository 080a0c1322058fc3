//! Selections against a projection of trees.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::oracle::resolve;
use super::properties::{document, name, scalar, with_decoys};
use crate::error::Kind;
use crate::limits::MAX_SELECT_PATHS;
use crate::query::Projection;

fn select(paths: &str, document: &str) -> String {
    let mut out = Vec::new();
    Projection::parse(paths.as_bytes()).unwrap().project(document.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

/// The selection of a tree: nothing where no path finds anything.
fn naive(value: &Value, paths: &[Vec<&str>]) -> Option<Value> {
    if paths.iter().any(Vec::is_empty) {
        return Some(value.clone());
    }
    let index = |part: &str| part.parse::<usize>().ok().filter(|index| index.to_string() == part);
    let rest = |paths: &[Vec<&str>], name: &str| -> Vec<Vec<String>> {
        let paths = paths.iter().filter(|path| path[0] == name);
        paths.map(|path| path[1..].iter().map(|part| (*part).to_owned()).collect()).collect()
    };
    let each = |value: &Value, paths: Vec<Vec<String>>| {
        let paths: Vec<Vec<&str>> =
            paths.iter().map(|path| path.iter().map(String::as_str).collect()).collect();
        if paths.is_empty() { None } else { naive(value, &paths) }
    };
    match value {
        Value::Object(members) => {
            let found: Map<String, Value> = members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), each(value, rest(paths, name))?)))
                .collect();
            (!found.is_empty()).then_some(Value::Object(found))
        }
        Value::Array(elements) => {
            let named: Vec<Vec<&str>> =
                paths.iter().filter(|path| index(path[0]).is_none()).cloned().collect();
            let mut any = false;
            let mut out = Vec::new();
            for (number, element) in elements.iter().enumerate() {
                let mut here = rest(paths, &number.to_string());
                if element.is_object() {
                    here.extend(named.iter().map(|path| {
                        path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>()
                    }));
                }
                // A named path starts with a part that is no index, an indexed one goes on freely.
                match each(element, here) {
                    Some(found) => {
                        any = true;
                        out.push(found);
                    }
                    None if element.is_object() && !named.is_empty() => out.push(json!({})),
                    None => {}
                }
            }
            any.then_some(Value::Array(out))
        }
        _ => None,
    }
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    let path = prop::collection::vec(name(), 1..4).prop_map(|parts| parts.join("."));
    prop::collection::vec(path, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn agrees_with_a_projection_of_trees(paths in paths(), document in document(), decoy in scalar()) {
        let split: Vec<Vec<&str>> = paths.iter().map(|path| path.split('.').collect()).collect();
        let expected = document.is_object().then(|| naive(&document, &split)).flatten().unwrap_or(json!({}));
        let json = json!(paths).to_string();
        let out = select(&json, &document.to_string());
        prop_assert_eq!(&out, &expected.to_string(), "{} {}", json, document);
        let out = select(&json, &with_decoys(&document, &decoy.to_string()));
        crate::codec::json::validate(out.as_bytes()).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
    }

    #[test]
    fn paths_find_in_it_what_they_find_in_the_document(paths in paths(), document in document()) {
        let named: Vec<&String> =
            paths.iter().filter(|path| !path.split('.').any(|part| part == "0" || part == "1")).collect();
        prop_assume!(!named.is_empty() && document.is_object());
        let selected: Value = serde_json::from_str(&select(&json!(named).to_string(), &document.to_string())).unwrap();
        for path in named {
            let parts: Vec<&str> = path.split('.').collect();
            prop_assert_eq!(resolve(&selected, &parts), resolve(&document, &parts));
        }
    }

    #[test]
    fn text_that_is_not_json_does_no_harm(text in r#"[\[\]{}",:0-9a\\ ]{0,24}"#) {
        let mut out = Vec::new();
        Projection::parse(br#"["a","a.a","0.a","a.0"]"#).unwrap().project(text.as_bytes(), &mut out);
        drop(Projection::parse(text.as_bytes()));
    }
}

#[test]
fn structure_is_kept_and_text_is_copied() {
    let document = r#"{ "a" : { "b" : 1.50 , "c" : "\u0041" } , "t" : [ {"x" : 1, "y" : 2} , 7 , {"y":3} ] , "n":null}"#;
    for (paths, expected) in [
        (r#"["a.b"]"#, r#"{"a":{"b":1.50}}"#),
        (r#"["a.c","n"]"#, r#"{"a":{"c":"\u0041"},"n":null}"#),
        (r#"["a.b","a"]"#, r#"{"a":{ "b" : 1.50 , "c" : "\u0041" }}"#),
        (r#"["t.x"]"#, r#"{"t":[{"x":1},{}]}"#),
        (r#"["t.y","t.0.x"]"#, r#"{"t":[{"x":1,"y":2},{"y":3}]}"#),
        (r#"["t.2.y","t.1"]"#, r#"{"t":[7,{"y":3}]}"#),
        (r#"["t.z","a.b.c","n.a","x"]"#, "{}"),
    ] {
        assert_eq!(select(paths, document), expected, "{paths}");
    }
    for other in ["7", r#""a""#, "[]", r#"[{"a":1}]"#, "null", "{}"] {
        assert_eq!(select(r#"["a"]"#, other), "{}");
    }
}

#[test]
fn mistakes_are_refused_by_place() {
    let many = |count: usize| json!(vec!["a"; count]).to_string();
    Projection::parse(many(MAX_SELECT_PATHS).as_bytes()).unwrap();
    for (json, message) in [
        ("{}", "select: expected a list of paths, found an object"),
        ("[]", "select: an empty list"),
        (r#"["a",1]"#, "select[1]: expected a field's path, found a number"),
        (r#"["$key"]"#, "select[0]: \"$key\" is not a field's path"),
        (&many(MAX_SELECT_PATHS + 1), "select: 1001 entries, more than 1000"),
    ] {
        let error = Projection::parse(json.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Kind::Invalid, message), "{json}");
    }
}
