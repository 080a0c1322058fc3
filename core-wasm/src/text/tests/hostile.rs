//! Documents and queries that mean harm.

use super::*;
use crate::limits::{MAX_JSON_DEPTH, MAX_VALUE_BYTES};

#[test]
fn long_strings_and_many_words() {
    let mut index = Index::new();
    let one_word = format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES - 2));
    let same_words = format!("\"{}\"", "y ".repeat(MAX_VALUE_BYTES / 2 - 1));
    let run = format!("\"{}\"", "東".repeat(MAX_VALUE_BYTES / 3 - 1));
    let distinct: Vec<String> = (0..500_000).map(|number| format!("{number:x}")).collect();
    let distinct = format!("\"{}\"", distinct.join(" "));
    for value in [one_word, same_words, run, distinct] {
        index.add(value.as_bytes()).unwrap();
    }
    assert_eq!(rows(&mut index, "y"), [1]);
    assert_eq!(rows(&mut index, "\"東東東\""), [2]);
    assert_eq!(rows(&mut index, "7a11f"), [3]);
    assert_eq!(rows(&mut index, "7a11*"), [3]);
    let before = index.bytes();
    (1..4).for_each(|row| index.erase(row));
    index.compact().unwrap();
    assert!(index.bytes() < before / 100, "{} of {before}", index.bytes());
    assert_eq!(rows(&mut index, &"x".repeat(64)), [0]);
}

#[test]
fn many_fields_and_deep_values() {
    let mut index = Index::new();
    let members: Vec<String> = (0..50_000).map(|number| format!(r#""f{number}":"w w""#)).collect();
    index.add(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
    let alternating = format!("[{}]", vec![r#"{"a":"w","b":"v"}"#; 50_000].join(","));
    index.add(alternating.as_bytes()).unwrap();
    let depth = MAX_JSON_DEPTH;
    let deep = r#"{"a":"#.repeat(depth) + r#""deep""# + &"}".repeat(depth);
    index.add(deep.as_bytes()).unwrap();
    assert_eq!(rows(&mut index, "w"), [0, 1]);
    assert_eq!(rows(&mut index, "\"w w\""), [0]);
    assert_eq!(rows(&mut index, "deep"), [2]);
    let path = ["a"; MAX_JSON_DEPTH].join(".");
    for (path, expected) in [(path.as_str(), vec![2]), ("f777", vec![0]), ("a", vec![1, 2])] {
        let fields = [(path, 2.0)];
        let query = Query::parse("w deep", Fields::Some(&fields)).unwrap();
        let hits = index.search(&query, Among::Current, &|_| true, 10, &by_row).unwrap().hits;
        let mut found: Vec<u32> = hits.iter().map(|hit| hit.row).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn long_queries() {
    let mut index = filled(&["a b c d e f", "b c d"]);
    let long = |part: &str| part.repeat(crate::limits::MAX_SEARCH_TEXT_BYTES / part.len());
    for part in ["a ", "\"", "+a ", "-", "* ", "a* ", "\"a b\" ", "東", "a\"b\"", "a b c d e f "] {
        rows(&mut index, &long(part));
    }
    let alphabet: Vec<String> = (0..1000).map(|number| format!("a{number}")).collect();
    assert_eq!(rows(&mut index, &format!("{} f", alphabet[..700].join(" "))), [0]);
    assert_eq!(rows(&mut index, &format!("\"{}", long("a b ").trim_end())), [] as [u32; 0]);
}

proptest! {
    #[test]
    fn any_text_is_taken(texts in prop::collection::vec(any::<String>(), 1..8), query: String) {
        let mut index = Index::new();
        for text in &texts {
            index.add(serde_json::json!({"t": text, "l": [text]}).to_string().as_bytes()).unwrap();
        }
        let query = Query::parse(&query, Fields::All).unwrap();
        for hit in index.search(&query, Among::Current, &|_| true, 10, &by_row).unwrap().hits {
            let value = serde_json::json!(texts[hit.row as usize]).to_string();
            prop_assert!(snippet(value.as_bytes(), &query, 100).is_some());
        }
        for text in &texts {
            let found = Query::parse(text, Fields::All).unwrap();
            index.search(&found, Among::Current, &|_| true, 10, &by_row).unwrap();
        }
    }

    #[test]
    fn bytes_that_are_no_json_end(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut index = Index::new();
        index.add(&bytes).unwrap();
        _ = snippet(&bytes, &Query::parse("a b*", Fields::All).unwrap(), 10);
    }
}
