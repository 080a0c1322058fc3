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

/// A memory at a time, with a vector at an angle.
fn remember(db: &mut Database, now_us: u64, number: u64, importance: u64) {
    db.clear_journal();
    let value = format!(r#"{{"content": "entry {number}", "importance": 0.{importance}}}"#);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let angle = (number % 50) as f32 / 200.0;
    let vector = [angle.cos(), angle.sin(), 0.0, 0.0].map(f32::to_le_bytes);
    let key = format!("{number}");
    let draft = Draft { vector: vector.as_flattened(), ..Draft::json("m", &key, value.as_bytes()) };
    db.put(Write { now_us, synced_sequence: 0 }, &draft, None).unwrap();
    db.acknowledge(u64::MAX);
}

/// What is kept from one question for the next never shows, whatever was written or asked between them.
#[test]
fn recalls_do_not_depend_on_what_was_asked_before() {
    let mut writes: Vec<(u64, u64, u64)> = (0..300).map(|n| (TIME + n, n, n * 7 % 10)).collect();
    let filled = |writes: &[(u64, u64, u64)]| {
        let mut db = Database::create(&Options::default());
        for (time, number, importance) in writes {
            remember(&mut db, *time, *number, *importance);
        }
        db
    };
    let mut asked = filled(&writes);
    let mut now_us = TIME + 300;
    for step in 0..120_u64 {
        // Now and then a write; a question again, later, of the past, or with another half-life.
        now_us += [0, 10, 1_000, 400_000][(step * step % 7 % 4) as usize];
        if step % 3 == 0 {
            let write = (now_us, step * 37 % 320, step % 10);
            writes.push(write);
            remember(&mut asked, write.0, write.1, write.2);
            now_us += 1;
        }
        let at = if step % 5 == 4 { (now_us - 500_000).max(TIME + 200) } else { NOW };
        let recall = Recall {
            search: TextSearch {
                namespace: "m",
                text: "7 entry",
                fields: None,
                top_k: 10,
                filter: None,
                at,
            },
            query: Some(&[1.0, 0.1, 0.0, 0.0]),
            model: None,
            written: 0..=u64::MAX,
            min_relevance: 0.0,
            now_us: if at == NOW { now_us } else { at },
            half_life_us: if step % 11 == 10 { 1e4 } else { 1e5 },
            weights: [1.0, 0.8, 0.9],
            vector_share: 0.6,
            min_cosine: 0.3,
        };
        let found = |db: &mut Database| -> Vec<(String, f64)> {
            let found = db.recall(&recall).unwrap();
            found.iter().map(|one| (one.record.fields().key.to_owned(), one.score)).collect()
        };
        let expected = found(&mut filled(&writes));
        assert_eq!(expected.len(), 10);
        assert_eq!(found(&mut asked), expected, "at step {step}");
    }
}
