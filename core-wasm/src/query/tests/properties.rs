//! Generated documents and filters: the scanner against the oracle.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Filter, oracle};

/// Few names and few values, so that filters hit. Some names are indexes, some need escapes.
pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c"]),
        2 => prop::sample::select(vec!["0", "1", "01", "", "é", "a\"b", "\n"]),
    ]
    .prop_map(str::to_owned)
}

pub(super) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-2_i64..4).prop_map(Value::from),
        2 => prop::sample::select(vec![-0.0, 0.5, 1.0, 1.5, 2.0, 1e300, -1e300, 5e-324])
            .prop_map(Value::from),
        1 => (0_u64..4).prop_map(|near| json!((1_u64 << 53) - 1 + near)),
        1 => (0_u64..4).prop_map(|near| json!(((1_u64 << 53) - 1 + near) as f64)),
        1 => prop::sample::select(vec![
            json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!(i64::MAX as f64),
            json!(i64::MIN as f64), json!(u64::MAX as f64), json!(1_u64 << 63),
        ]),
        3 => prop::sample::select(vec!["", "a", "b", "ab", "aab", "é", "\u{ffff}", "😀", "\"\\\n\u{0}", "1"])
            .prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

pub(super) fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

pub(super) fn document() -> impl Strategy<Value = Value> {
    let object = prop::collection::btree_map(name(), value(), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()));
    prop_oneof![9 => object, 1 => value()]
}

fn operators() -> impl Strategy<Value = Value> {
    let ordered = scalar().prop_filter("ordered", |value| value.is_number() || value.is_string());
    let one = prop_oneof![
        3 => (prop::sample::select(vec!["$eq", "$ne", "$contains"]), value()),
        3 => (prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]), ordered),
        2 => (
            prop::sample::select(vec!["$in", "$nin"]),
            prop::collection::vec(value(), 0..4).prop_map(Value::from),
        ),
        1 => (Just("$exists"), any::<bool>().prop_map(Value::from)),
        1 => (
            Just("$regex"),
            prop::sample::select(vec!["", "^a", "b$", "a+b", "[^a]", "."]).prop_map(Value::from),
        ),
    ];
    let several = prop::collection::vec(one, 1..3).prop_map(object);
    several.prop_recursive(2, 4, 1, |inner| inner.prop_map(|negated| json!({ "$not": negated })))
}

fn object<N: Into<String>>(members: Vec<(N, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

pub(super) fn filter() -> impl Strategy<Value = Value> {
    let literal = value().prop_filter("a literal", |value| {
        !value.as_object().is_some_and(|members| members.keys().any(|name| name.starts_with('$')))
    });
    let operand = prop_oneof![1 => literal, 3 => operators()];
    let path = prop::collection::vec(name(), 1..4).prop_map(|parts| parts.join("."));
    let fields = prop::collection::vec((path, operand), 0..4).prop_map(object);
    fields.prop_recursive(3, 12, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 1..4).prop_map(Value::from);
        let logical = prop_oneof![
            (prop::sample::select(vec!["$and", "$or"]), several),
            (Just("$not"), inner.clone()),
        ];
        (logical, inner).prop_map(|((name, operand), mut beside)| {
            beside.as_object_mut().unwrap().insert(name.to_owned(), operand);
            beside
        })
    })
}

/// The same value with every member written twice, a decoy first, and names escaped.
pub(super) fn with_decoys(value: &Value, decoy: &str) -> String {
    match value {
        Value::Array(elements) => {
            let elements: Vec<_> =
                elements.iter().map(|element| with_decoys(element, decoy)).collect();
            format!("[ {} ]", elements.join(" , "))
        }
        Value::Object(members) => {
            let write = |(name, value): (&String, &Value)| {
                let escaped: String =
                    name.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
                let name = Value::from(name.as_str());
                format!("{name}:{decoy},\"{escaped}\" :\t{}", with_decoys(value, decoy))
            };
            let members: Vec<_> = members.iter().map(write).collect();
            format!("{{{}}}", members.join("\n,"))
        }
        scalar => scalar.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn agrees_with_the_oracle(filter in filter(), documents in prop::collection::vec(document(), 4)) {
        let compiled = Filter::parse(filter.to_string().as_bytes()).unwrap();
        for document in documents {
            let expected = oracle::matches(&document, &filter);
            prop_assert_eq!(compiled.matches(document.to_string().as_bytes()), expected, "{} {}", filter, document);
        }
    }

    #[test]
    fn repeated_members_count_once(filter in filter(), document in document(), decoy in value()) {
        let compiled = Filter::parse(filter.to_string().as_bytes()).unwrap();
        let text = with_decoys(&document, &decoy.to_string());
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap().to_string(), &document.to_string());
        prop_assert_eq!(compiled.matches(text.as_bytes()), oracle::matches(&document, &filter), "{} {}", filter, text);
    }

    #[test]
    fn text_that_is_not_json_does_no_harm(filter in filter(), document in document(), cut in 0_usize..200, junk in ".{0,3}") {
        let compiled = Filter::parse(filter.to_string().as_bytes()).unwrap();
        let mut text = document.to_string().into_bytes();
        text.truncate(cut);
        text.extend_from_slice(junk.as_bytes());
        compiled.matches(&text);
    }

    #[test]
    fn what_is_not_a_filter_is_refused_not_more(text in r#"[\[\]{}",:0-9a$.\\ ]{0,24}"#, value in document()) {
        drop(Filter::parse(text.as_bytes()));
        drop(Filter::parse(value.to_string().as_bytes()));
    }
}
