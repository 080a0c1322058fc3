//! Long values, limits, and what an index is not for.

use core::ops::Bound;

use super::{FieldIndex, Names};
use crate::limits::{MAX_INDEX_KEY_BYTES, MAX_JSON_DEPTH};
use crate::query::{Filter, Indexes, Lookup};

impl Indexes for FieldIndex {
    fn count(&self, field: &str, lookup: &Lookup, at_most: usize) -> Option<usize> {
        (field == self.field()).then(|| FieldIndex::count(self, lookup, at_most))
    }

    fn is_single_valued(&self, _: &str) -> bool {
        FieldIndex::is_single_valued(self)
    }

    fn is_exact(&self, _: &str, lookup: &Lookup) -> bool {
        FieldIndex::is_exact(self, lookup)
    }
}

/// Documents without names stand in the order of their places.
impl Names for () {
    fn name(&self, _: u32) -> &[u8] {
        b""
    }
}

fn index(documents: &[String]) -> FieldIndex {
    let mut index = FieldIndex::new("a").unwrap();
    for (place, document) in (0..).zip(documents) {
        index.insert(place, document.as_bytes(), &());
    }
    index
}

fn found(index: &FieldIndex, filter: &str) -> Vec<u32> {
    let filter = Filter::parse(filter.as_bytes()).unwrap();
    let plan = filter.plan(index, usize::MAX).unwrap();
    let mut places: Vec<u32> =
        plan.parts.iter().flat_map(|(_, lookup)| index.places(lookup)).collect();
    places.sort_unstable();
    places.dedup();
    places
}

#[test]
fn long_values_are_found_by_how_they_begin() {
    // A type and a byte for each character fill the key at 255 characters.
    let text = |length: usize, end: &str| format!("{}{end}", "x".repeat(length));
    let fits = MAX_INDEX_KEY_BYTES - 2;
    let values = [text(fits, ""), text(fits + 1, ""), text(fits + 1, "a"), text(fits + 9, "b")];
    let documents: Vec<String> = values.iter().map(|one| format!(r#"{{"a":"{one}"}}"#)).collect();
    let index = index(&documents);
    assert_eq!(found(&index, &documents[0]), [0]);
    for document in &documents[1..] {
        assert_eq!(found(&index, document), [1, 2, 3]);
    }
    let with = |operator: &str, value: &str| format!(r#"{{"a":{{"{operator}":"{value}"}}}}"#);
    assert_eq!(found(&index, &with("$gt", &values[0])), [1, 2, 3]);
    assert_eq!(found(&index, &with("$lt", &values[1])), [0, 1, 2, 3]);
    assert_eq!(found(&index, &with("$gt", &values[3])), [1, 2, 3]);
    assert_eq!(found(&index, &with("$lt", &values[0])), [0; 0]);
    let between = format!(r#"{{"a":{{"$gt":"{}","$lt":"{}"}}}}"#, values[1], values[2]);
    assert_eq!(found(&index, &between), [1, 2, 3]);
    let either = format!(r#"{{"a":{{"$in":["{}","{}"]}}}}"#, values[1], values[3]);
    let either = Filter::parse(either.as_bytes()).unwrap();
    let plan = either.plan(&index, usize::MAX).unwrap();
    assert_eq!(plan.documents, 3); // one set, though asked for twice
    let runs = index.runs(None, true).unwrap();
    let runs: Vec<_> = runs.map(|run| (run.places.iter().collect(), run.is_whole)).collect();
    assert_eq!(runs, [(vec![1, 2, 3], false), (vec![0], false)]); // the one that fits might be cut
}

#[test]
fn arrays_have_no_order_here() {
    for value in ["[]", "[1]", "[1,2]"] {
        let mut index = index(&[r#"{"a":1}"#.to_owned(), format!(r#"{{"a":{value}}}"#)]);
        assert!(!index.is_single_valued() && index.runs(None, false).is_none(), "{value}");
        index.remove(1, format!(r#"{{"a":{value}}}"#).as_bytes(), &());
        assert!(index.is_single_valued() && index.runs(None, false).is_some());
    }
    let index = index(&[r#"{"a":1}"#.to_owned()]);
    assert!(index.runs(Some(&Lookup::Points(Vec::new())), false).is_none());
}

#[test]
fn empty_ranges_do_no_harm() {
    let index = index(&[r#"{"a":1}"#.to_owned()]);
    let bounds = [Bound::Included(vec![6]), Bound::Excluded(vec![6]), Bound::Included(vec![5])];
    for low in &bounds {
        for high in &bounds {
            let lookup = Lookup::Range(low.clone(), high.clone());
            assert_eq!(index.count(&lookup, 9), 0);
            assert_eq!(index.runs(Some(&lookup), true).unwrap().count(), 0);
        }
    }
}

#[test]
fn taking_out_what_is_not_in_changes_nothing() {
    let mut index = index(&[r#"{"a":1}"#.to_owned()]);
    let before = index.bytes();
    index.remove(7, br#"{"a":1}"#, &());
    index.remove(0, br#"{"a":2}"#, &());
    assert_eq!((index.documents(), index.bytes()), (1, before));
    assert_eq!(found(&index, r#"{"a":1}"#), [0]);
}

#[test]
fn fields_are_paths() {
    let deep = |parts: usize| vec!["a"; parts].join(".");
    assert!(FieldIndex::new(&deep(MAX_JSON_DEPTH)).is_ok());
    let error = FieldIndex::new(&deep(MAX_JSON_DEPTH + 1)).unwrap_err();
    assert_eq!(error.message, "field: a path of 129 parts, more than 128");
    let error = FieldIndex::new("$key").unwrap_err();
    assert_eq!(error.message, "field: \"$key\" is not a field's path");
}
