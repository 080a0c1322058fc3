//! The index against a naive oracle, which shares no code with it.

mod hostile;
mod oracle;
mod pruning;

use core::cmp::Ordering;

use oracle::{Ask, Kind as AskKind, Model};
use proptest::prelude::*;

use super::query::Sign;
use super::*;

fn by_row(a: u32, b: u32) -> Ordering {
    a.cmp(&b)
}

/// The rows found among the current ones, best first.
fn rows(index: &mut Index, query: &str) -> Vec<u32> {
    let query = Query::parse(query, Fields::All).unwrap();
    let hits = index.search(&query, Among::Current, &|_| true, 100, &by_row).unwrap().hits;
    hits.iter().map(|hit| hit.row).collect()
}

fn filled(texts: &[&str]) -> Index {
    let mut index = Index::new();
    for text in texts {
        index.add(serde_json::json!(text).to_string().as_bytes()).unwrap();
    }
    index
}

#[test]
fn documents_are_found_in_any_script() {
    let mut index = filled(&[
        "Die Straße nach Großräschen",
        "東京都は日本の首都",
        "Crème brûlée",
        "call os.path.join(a, b)",
        "한국어 문서",
        "ภาษาไทย",
        "Київ і Львів",
        "🎉 party",
        "",
    ]);
    for (query, expected) in [
        ("STRASSE", vec![0]),
        ("grossraschen", vec![0]),
        ("東京", vec![1]),
        ("都", vec![1]),
        ("京", vec![1]),
        ("\"日本の首都\"", vec![1]),
        ("\"日本首都\"", vec![]),
        ("creme", vec![2]),
        ("os.path", vec![3]),
        ("\"path join\"", vec![3]),
        ("국", vec![4]),
        ("한국", vec![4]),
        ("ไทย", vec![5]),
        ("киів", vec![6]),
        ("part*", vec![7]),
        ("🎉", vec![]),
        ("-party", vec![]),
        ("+++ *** \"\"", vec![]),
    ] {
        assert_eq!(rows(&mut index, query), expected, "{query}");
    }
}

#[test]
fn an_index_of_one_path_has_nothing_else() {
    let (mut one, mut all) = (Index::of("a"), Index::new());
    for (value, alone) in [
        (r#"{"a": "red sea", "b": "blue sea", "ab": "sea"}"#, r#"{"a": "red sea"}"#),
        (r#"{"b": "sea", "a": {"x": ["deep", "sea"]}}"#, r#"{"a": {"x": ["deep", "sea"]}}"#),
        (r#"{"b": {"a": "sea"}}"#, "{}"),
    ] {
        one.add(value.as_bytes()).unwrap();
        all.add(alone.as_bytes()).unwrap();
    }
    for text in ["sea", "red", "blue", "deep sea", "\"red sea\"", "se*"] {
        let query = Query::parse(text, Fields::All).unwrap();
        let hits = |index: &mut Index| {
            index.search(&query, Among::Current, &|_| true, 9, &by_row).unwrap().hits
        };
        assert_eq!(hits(&mut one), hits(&mut all), "{text}");
    }
}

#[test]
fn phrases_stay_in_one_string() {
    let mut index = Index::new();
    for value in
        [r#"["a b", "c d"]"#, r#"{"x": "a b", "y": "c d"}"#, r#"{"x": ["b", "c"], "y": "b c"}"#]
    {
        index.add(value.as_bytes()).unwrap();
    }
    assert_eq!(rows(&mut index, "\"a b\""), [0, 1]);
    assert_eq!(rows(&mut index, "\"b c\""), [2]);
    assert_eq!(rows(&mut index, "\"c d\""), [0, 1]);
}

#[test]
fn a_prefix_of_too_many_words_is_refused() {
    let mut index = Index::new();
    let words = |from: usize, to: usize| {
        let words: Vec<String> = (from..to).map(|number| format!("w{number}")).collect();
        serde_json::json!(words.join(" ")).to_string()
    };
    let most = crate::limits::MAX_PREFIX_WORDS;
    index.add(words(0, most).as_bytes()).unwrap();
    assert_eq!(rows(&mut index, "w*"), [0]);
    index.add(words(most, most + 1).as_bytes()).unwrap();
    let query = Query::parse("+w1 w*", Fields::All).unwrap();
    let error = index.search(&query, Among::Current, &|_| true, 10, &by_row).unwrap_err();
    assert_eq!(error.kind, crate::error::Kind::Invalid);
    // What was begun leaves no trace.
    assert_eq!(rows(&mut index, "w10000"), [1]);
    assert_eq!(rows(&mut index, "w1*"), [0, 1]);
}

#[test]
fn erased_words_leave_memory() {
    let mut index = filled(&["kept words", "secret words"]);
    index.add(br#"{"secretfield": "secret"}"#).unwrap();
    let holds = |index: &Index| index.terms.find(b"secret").is_some();
    index.retire(1);
    assert_eq!(rows(&mut index, "words"), [0]);
    index.compact().unwrap();
    assert!(holds(&index));
    index.erase(1);
    index.erase(2);
    let all = [u64::MAX];
    let query = Query::parse("secret", Fields::All).unwrap();
    assert!(
        index.search(&query, Among::Bitmap(&all), &|_| true, 9, &by_row).unwrap().hits.is_empty()
    );
    index.compact().unwrap();
    assert!(!holds(&index) && index.terms.len() == 2);
    assert_eq!(rows(&mut index, "words"), [0]);
    assert_eq!(index.add(br#""secret words""#), Ok(3));
    assert_eq!(rows(&mut index, "words secret"), [3, 0]);
}

#[test]
fn equal_documents_score_equally_and_go_by_the_tie() {
    let mut index = filled(&["a b c", "x", "a b c", "a b", "a b c"]);
    let query = Query::parse("c a", Fields::All).unwrap();
    let backwards = |a: u32, b: u32| b.cmp(&a);
    let hits = index.search(&query, Among::Current, &|_| true, 3, &backwards).unwrap().hits;
    assert_eq!(hits.iter().map(|hit| hit.row).collect::<Vec<_>>(), [4, 2, 0]);
    assert_eq!(hits[0].score.to_bits(), hits[2].score.to_bits());
}

const VOCABULARY: [&str; 7] = ["a", "ab", "abc", "b", "ba", "c", "x1"];

fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&VOCABULARY[..]);
    let space = prop::sample::select(&[" ", " ", ", ", "-", "_", ".", "'"][..]);
    prop::collection::vec((word, space), 0..12)
        .prop_map(|words| words.into_iter().map(|(word, space)| format!("{word}{space}")).collect())
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        text().prop_map(|text| serde_json::json!(text)),
        (text(), text(), text())
            .prop_map(|(t, v, w)| serde_json::json!({"t": t, "u": {"v": [v, w]}, "n": 1})),
        (text(), text(), text(), text())
            .prop_map(|(a, b, c, d)| serde_json::json!([{"t": a, "u": b}, {"t": c, "tt": d}])),
        Just(serde_json::json!(null)),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let word = || prop::sample::select(&VOCABULARY[..]).prop_map(str::to_owned);
    let kind = prop_oneof![
        4 => word().prop_map(AskKind::Word),
        2 => prop::collection::vec(word(), 1..4).prop_map(AskKind::Phrase),
        1 => prop::sample::select(&["a", "ab", "b", "x", "z"][..]).prop_map(|p| AskKind::Prefix(p.to_owned())),
        1 => prop::collection::vec(word(), 2..3).prop_map(AskKind::Compound),
    ];
    let sign =
        prop_oneof![5 => Just(Sign::Any), 1 => Just(Sign::Required), 1 => Just(Sign::Excluded)];
    (sign, kind).prop_map(|(sign, kind)| Ask { sign, kind })
}

type Boosts = Option<Vec<(&'static str, f64)>>;

fn boosts() -> impl Strategy<Value = Boosts> {
    let path = prop::sample::select(&["t", "u", "u.v", "$", "tt", "none"][..]);
    let boost = prop::sample::select(&[1.0, 2.0, 0.3, 10.0][..]);
    let some = prop::collection::btree_map(path, boost, 1..4);
    prop_oneof![Just(None), some.prop_map(|some| Some(some.into_iter().collect()))]
}

/// Searches the index and the model: the same rows with the same scores, in order.
fn compare(
    index: &mut Index,
    model: &Model,
    asks: &[Ask],
    boosts: &Boosts,
    view: (Option<u64>, Option<u64>),
    k: usize,
) {
    let text: Vec<String> = asks.iter().map(Ask::text).collect();
    let fields = boosts.as_ref().map_or(Fields::All, |boosts| Fields::Some(boosts));
    let query = Query::parse(&text.join(" "), fields).unwrap();
    let (among, filter) = view;
    let bits = among.map(|bits| [bits]);
    let among = bits.as_ref().map_or(Among::Current, |bits| Among::Bitmap(bits));
    let filter_bits = filter.map(|bits| [bits]);
    let filter = filter_bits.as_ref().map(|bits| &bits[..]);
    let accept = |row| filter.is_none_or(|rows| bitmap::contains(rows, row));
    let hits = index.search(&query, among, &accept, k, &by_row).unwrap().hits;
    let expected = model.search(asks, boosts.as_deref(), view.0, view.1);
    let context = format!("{text:?} {boosts:?} {view:?}\n{hits:?}\n{expected:?}");
    assert_eq!(hits.len(), expected.len().min(k), "{context}");
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
    for (at, hit) in hits.iter().enumerate() {
        let score = f64::from(hit.score);
        let own = expected.iter().find(|(row, _)| *row == hit.row);
        assert!(own.is_some_and(|(_, own)| near(*own, score)), "{context}");
        assert!(near(expected[at].1, score), "{context}");
        if let Some(next) = hits.get(at + 1) {
            assert!(
                (next.score, hit.row) < (hit.score, next.row) || next.score < hit.score,
                "{context}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn searches_equal_the_oracle(
        documents in prop::collection::vec((document(), 0_u8..8), 0..40),
        compacts in any::<bool>(),
        queries in prop::collection::vec(
            (prop::collection::vec(ask(), 1..5), boosts(), (any::<Option<u64>>(), any::<Option<u64>>()), 1_usize..12),
            1..6,
        ),
    ) {
        let (mut index, mut model) = (Index::new(), Model::default());
        for (row, (document, fate)) in (0..).zip(&documents) {
            assert_eq!(index.add(document.to_string().as_bytes()), Ok(row));
            model.add(document);
            let target = row / 2;
            match fate {
                0 => {
                    index.retire(target);
                    model.retire(target);
                }
                1 => {
                    index.erase(target);
                    model.erase(target);
                    if compacts {
                        index.compact().unwrap();
                    }
                }
                _ => {}
            }
        }
        for (asks, boosts, view, k) in &queries {
            compare(&mut index, &model, asks, boosts, *view, *k);
        }
        index.compact().unwrap();
        for (asks, boosts, view, k) in &queries {
            compare(&mut index, &model, asks, boosts, *view, *k);
        }
    }
}
