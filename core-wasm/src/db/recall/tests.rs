use super::*;
use crate::db::{Draft, Options, Write};
use crate::protocol::NOW;

const TIME: u64 = 1_700_000_000_000_000;

/// Memories that differ by their age alone, written within one millisecond of the host's clock.
fn memories() -> Database {
    let mut db = Database::create(&Options::default());
    for key in ["a", "c", "b", "e", "d"] {
        db.clear_journal();
        let value = br#"{"content": "the nightly backup", "importance": 0.5}"#;
        let write = Write { now_us: TIME, synced_sequence: 0 };
        db.put(write, &Draft::json("m", key, value), None).unwrap();
        db.acknowledge(u64::MAX);
    }
    db
}

/// The keys that a question as of a time recalls, and how recent the first is.
fn recalled(db: &mut Database, now_us: u64, at: u64) -> (String, f64) {
    let text = "backup";
    let found = db.recall(&Recall {
        search: TextSearch { namespace: "m", text, fields: None, top_k: 10, filter: None, at },
        query: None,
        model: None,
        written: 0..=u64::MAX,
        min_relevance: 0.0,
        now_us,
        half_life_us: 1e6,
        weights: [1.0, 0.3, 0.3],
        vector_share: 0.6,
        min_cosine: 0.3,
    });
    let found = found.unwrap();
    let first = found.first().map_or(0.0, |first| first.recency);
    (found.iter().map(|one| one.record.fields().key).collect(), first)
}

/// Found under Pyodide, whose clock counts milliseconds: ages were cut to 0, and ties went by key.
#[test]
fn memories_of_one_moment_of_the_clock_are_ranked_by_their_age() {
    let mut db = memories();
    assert_eq!(recalled(&mut db, TIME, NOW), ("debca".into(), 1.0));
    assert_eq!(recalled(&mut db, 0, NOW), ("debca".into(), 1.0), "the clock went back");
    assert_eq!(recalled(&mut db, TIME, TIME + 2), ("bca".into(), 1.0), "as of a time");
    let (keys, recency) = recalled(&mut db, TIME + 4 + 1_000_000, NOW);
    assert_eq!((keys.as_str(), recency), ("debca", 0.5), "a half-life after the last");
}
