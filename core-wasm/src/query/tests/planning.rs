//! Plans and indexes against scans.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::properties::{document, filter, name, scalar, with_decoys};
use crate::index::FieldIndex;
use crate::limits::MAX_FILTER_BYTES;
use crate::query::{Filter, Indexes, Lookup, Order, Plan, equality};

struct All(Vec<FieldIndex>);

impl All {
    fn of(fields: &[&str], documents: &[String]) -> Self {
        let index = |field: &&str| {
            let mut index = FieldIndex::new(field).unwrap();
            for (place, document) in (0..).zip(documents) {
                index.insert(place, document.as_bytes(), &());
            }
            index
        };
        Self(fields.iter().map(index).collect())
    }

    fn index(&self, field: &str) -> Option<&FieldIndex> {
        self.0.iter().find(|index| index.field() == field)
    }

    fn places(&self, plan: &Plan<'_>) -> BTreeSet<u32> {
        let parts = plan.parts.iter();
        parts.flat_map(|(field, lookup)| self.index(field).unwrap().places(lookup)).collect()
    }
}

impl Indexes for All {
    fn count(&self, field: &str, lookup: &Lookup, at_most: usize) -> Option<usize> {
        self.index(field).map(|index| index.count(lookup, at_most))
    }

    fn is_single_valued(&self, field: &str) -> bool {
        self.index(field).is_some_and(FieldIndex::is_single_valued)
    }

    fn is_exact(&self, field: &str, lookup: &Lookup) -> bool {
        self.index(field).is_some_and(|index| index.is_exact(lookup))
    }
}

/// Indexes of every field.
struct Any;

impl Indexes for Any {
    fn count(&self, _: &str, _: &Lookup, _: usize) -> Option<usize> {
        Some(0)
    }

    fn is_single_valued(&self, _: &str) -> bool {
        true
    }

    fn is_exact(&self, _: &str, _: &Lookup) -> bool {
        true
    }
}

#[test]
fn what_is_no_filter_of_one_value_is_left_to_the_reader() {
    for filter in [
        "",
        "{",
        "{}",
        "[]",
        "1",
        "null",
        r#"{"a":1,"b":2}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"$and":1}"#,
        r#"{"a":[1]}"#,
        r#"{"a":{}}"#,
        r#"{"a":1"#,
        r#"{"a":1}}"#,
        r#"{"a":1e999}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a"}"#,
    ] {
        assert_eq!(equality(filter.as_bytes()), None, "{filter}");
    }
    assert_eq!(equality(b"{\"a\":\"\xff\"}"), None);
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_FILTER_BYTES));
    assert_eq!(equality(long.as_bytes()), None);
}

fn scan(filter: &Filter, documents: &[String]) -> BTreeSet<u32> {
    let matching = (0..).zip(documents).filter(|(_, one)| filter.matches(one.as_bytes()));
    matching.map(|(place, _)| place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn plans_miss_nothing(
        filter in filter(),
        fields in prop::collection::btree_set(prop::collection::vec(name(), 1..3).prop_map(|parts| parts.join(".")), 1..6),
        documents in prop::collection::vec(document(), 0..12),
    ) {
        let mut fields: Vec<String> = fields.into_iter().collect();
        let compiled = Filter::parse(filter.to_string().as_bytes()).unwrap();
        fields.extend(compiled.fields());
        fields.dedup();
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let indexes = All::of(&fields, &texts);
        if let Some(plan) = compiled.plan(&indexes, usize::MAX) {
            let places = indexes.places(&plan);
            let expected = scan(&compiled, &texts);
            prop_assert!(expected.is_subset(&places), "{} {:?}", filter, plan);
            prop_assert!(!plan.is_exact || places == expected, "{} {:?}", filter, plan);
            prop_assert!(places.len() <= plan.documents);
            prop_assert_eq!(compiled.plan(&indexes, plan.documents), None);
        }
    }

    #[test]
    fn one_value_is_looked_up_as_a_plan_does(any in filter(), name in name(), value in scalar()) {
        let one = serde_json::json!({ name.clone(): value });
        let key = equality(one.to_string().as_bytes()).map(|(found, _)| found.into_owned());
        prop_assert_eq!(key, Some(name));
        for filter in [one.to_string(), any.to_string(), format!(" {one:#} ")] {
            let compiled = Filter::parse(filter.as_bytes()).unwrap();
            let Some((field, key)) = equality(filter.as_bytes()) else { continue };
            let plan = compiled.plan(&Any, usize::MAX).unwrap();
            prop_assert_eq!(plan.parts, [(&*field, Lookup::Points(vec![key]))]);
            prop_assert!(plan.is_exact);
        }
    }

    #[test]
    fn what_is_taken_out_is_gone(
        field in prop::collection::vec(name(), 1..3).prop_map(|parts| parts.join(".")),
        documents in prop::collection::vec(document(), 1..12),
        decoy in document(),
    ) {
        let all = Lookup::Range(core::ops::Bound::Unbounded, core::ops::Bound::Unbounded);
        let mut index = FieldIndex::new(&field).unwrap();
        for (place, document) in (0..).zip(&documents) {
            index.insert(place, document.to_string().as_bytes(), &());
        }
        prop_assert_eq!(index.documents(), documents.len());
        let kept = documents.len() / 2;
        for (place, document) in (0..).zip(&documents).skip(kept) {
            index.remove(place, with_decoys(document, &decoy.to_string()).as_bytes(), &());
        }
        let places: BTreeSet<u32> = index.places(&all).collect();
        prop_assert!(places.into_iter().eq((0..).take(kept)));
        for (place, document) in (0..).zip(&documents).take(kept) {
            index.remove(place, document.to_string().as_bytes(), &());
        }
        prop_assert!(index.documents() == 0 && index.count(&all, 1) == 0);
        prop_assert!(index.is_single_valued() && index.bytes() == 0);
    }

    #[test]
    fn runs_are_in_order(
        documents in prop::collection::vec(document(), 0..12),
        descending in any::<bool>(),
    ) {
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        let indexes = All::of(&["a"], &texts);
        let index = &indexes.0[0];
        let order = Order::parse(format!(r#"[["a",{descending}]]"#).as_bytes()).unwrap();
        let key = |place: u32| order.key(texts[place as usize].as_bytes(), &format!("{place:03}"), 0);
        match index.runs(None, descending) {
            None => prop_assert!(!index.is_single_valued()),
            Some(runs) => {
                let mut out = Vec::new();
                for run in runs {
                    let mut places: Vec<u32> = run.places.iter().collect();
                    places.sort_by_key(|place| key(*place));
                    out.extend(places);
                }
                let mut expected: Vec<u32> = (0..).take(texts.len()).collect();
                expected.sort_by_key(|place| key(*place));
                prop_assert_eq!(out, expected);
            }
        }
    }
}

fn plan(filter: &str, fields: &[&str], documents: &[&str]) -> Option<(usize, Vec<String>)> {
    let documents: Vec<String> = documents.iter().map(|one| (*one).to_owned()).collect();
    let filter = Filter::parse(filter.as_bytes()).unwrap();
    let plan = filter.plan(&All::of(fields, &documents), usize::MAX)?;
    Some((plan.documents, plan.parts.iter().map(|(field, _)| (*field).to_owned()).collect()))
}

#[test]
fn the_fewest_documents_are_looked_at() {
    let single = [
        r#"{"a":1,"b":1}"#,
        r#"{"a":2,"b":1}"#,
        r#"{"a":3,"b":1}"#,
        r#"{"a":"x","b":2}"#,
        r#"{"b":2}"#,
    ];
    let with_array = [&single[..], &[r#"{"a":[0,9]}"#]].concat();
    let found = |count: usize, fields: &[&str]| {
        Some((count, fields.iter().map(|field| (*field).to_owned()).collect()))
    };
    let both = ["a", "b"];
    for (filter, expected) in [
        (r#"{"a":2}"#, found(1, &["a"])),
        (r#"{"a":2,"b":1}"#, found(1, &["a"])),
        (r#"{"b":2,"a":{"$gt":0}}"#, found(2, &["b"])),
        (r#"{"a":{"$gt":1,"$lt":3}}"#, found(1, &["a"])),
        (r#"{"a":{"$gte":1.0,"$lte":2}}"#, found(2, &["a"])),
        (r#"{"a":{"$gt":3,"$lt":1}}"#, found(0, &["a"])),
        (r#"{"a":{"$gt":1,"$gte":1,"$lte":3,"$lt":3}}"#, found(1, &["a"])),
        (r#"{"$and":[{"a":{"$gt":1}},{"b":{"$exists":true}},{"a":{"$lt":3}}]}"#, found(1, &["a"])),
        (r#"{"a":{"$in":[1,3,7]}}"#, found(2, &["a"])),
        (r#"{"a":{"$exists":true}}"#, found(4, &["a"])),
        (r#"{"a":{"$exists":false}}"#, found(1, &["a"])),
        (r#"{"a":{"$regex":"x"}}"#, found(1, &["a"])),
        (r#"{"a":{"$contains":"x"}}"#, found(1, &["a"])),
        (r#"{"$or":[{"a":1},{"b":2}]}"#, found(3, &["a", "b"])),
        (r#"{"$or":[{"a":1},{"c":2}]}"#, None),
        (r#"{"$or":[{"a":1},{}]}"#, None),
        (r#"{"c":1}"#, None),
        ("{}", None),
        (r#"{"a":{"$ne":1}}"#, None),
        (r#"{"$not":{"a":1}}"#, None),
    ] {
        assert_eq!(plan(filter, &both, &single), expected, "{filter}");
    }
    // Two elements may fulfil two conditions, so each range is looked up by itself.
    assert_eq!(plan(r#"{"a":{"$gt":1,"$lt":3}}"#, &both, &with_array), found(3, &["a"]));
}
