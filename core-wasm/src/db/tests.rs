use std::cell::Cell;

use super::*;
use crate::codec::hex;
use crate::error::{Error, Kind};
use crate::limits::{MAX_SUGGESTIONS, MAX_TIMESTAMP_US, MIN_MEMORY_RESERVE_BYTES};
use crate::log::recovery::Progress;

const NOW: u64 = u64::MAX;
const MIB: usize = 1 << 20;

thread_local! {
    static USED: Cell<usize> = const { Cell::new(0) };
}

/// A database that is told how much memory is in use, and may use `memory_budget` of it.
fn bounded(memory_budget: usize) -> Options {
    USED.set(0);
    Options { memory_budget, memory_used: || USED.get(), ..Options::default() }
}

fn at(now_us: u64) -> Write {
    Write { now_us, synced_sequence: 0 }
}

fn put(db: &mut Database, now_us: u64, key: &str, value: &str) -> crate::error::Result<()> {
    db.clear_journal();
    db.put(at(now_us), &Draft::json("n", key, value.as_bytes()), None).map(drop)?;
    db.acknowledge(u64::MAX);
    Ok(())
}

fn kind<T>(outcome: crate::error::Result<T>) -> Option<Kind> {
    outcome.err().map(|error| error.kind)
}

#[test]
fn new_data_leaves_a_part_of_the_budget_free_to_the_byte() {
    for (budget, reserve) in [(64 * MIB, 4 * MIB), (8 * MIB, MIN_MEMORY_RESERVE_BYTES)] {
        let mut db = Database::create(&bounded(budget));
        let needed = 2 * ("n".len() + "k".len() + "[1]".len()) + 384;
        USED.set(budget - reserve - needed + 1);
        assert_eq!(kind(put(&mut db, 1, "k", "[1]")), Some(Kind::Limit));
        assert_eq!((db.sequence(), db.journal(), db.head()), (0, &b""[..], [0; 32]));
        USED.set(budget - reserve - needed);
        assert_eq!(put(&mut db, 1, "k", "[1]"), Ok(()));
    }
}

/// Found by fuzzing: such a record was written, and then refused when the log was read back.
#[test]
fn a_deletion_with_a_value_or_a_vector_is_refused() {
    let mut db = Database::create(&Options::default());
    put(&mut db, 1, "k", "[1]").unwrap();
    let (sequence, head) = (db.sequence(), db.head());
    let good = Draft::deleted("n", "k");
    for bad in [Draft { value: b"1", ..good }, Draft { vector: &[0; 8], ..good }] {
        db.clear_journal();
        assert_eq!(kind(db.put(at(2), &bad, None)), Some(Kind::Invalid));
        assert_eq!(kind(db.put_batch(at(2), &[bad, good])), Some(Kind::Invalid));
        assert_eq!((db.sequence(), db.head(), db.journal()), (sequence, head, &b""[..]));
    }
    assert!(db.put(at(2), &good, None).is_ok());
}

#[test]
fn a_full_database_reads_deletes_and_erases() {
    let mut db = Database::create(&bounded(8 * MIB));
    put(&mut db, 1, "deleted", "1").unwrap();
    put(&mut db, 2, "erased", "2").unwrap();
    USED.set(8 * MIB);
    assert_eq!(kind(put(&mut db, 3, "new", "3")), Some(Kind::Limit));
    let id = db.history("n", "deleted", None, u64::MAX)[0].id();
    assert_eq!(kind(db.restore(at(3), "n", "deleted", &id)), Some(Kind::Limit));
    let batch = [Draft::json("n", "new", b"3"), Draft::deleted("n", "deleted")];
    assert_eq!(kind(db.put_batch(at(3), &batch)), Some(Kind::Limit));
    assert_eq!(db.get("n", "deleted", NOW).unwrap().value, b"1");
    assert_eq!(db.delete(at(3), "n", "deleted"), Ok(true));
    assert_eq!(db.erase(at(3), "n", "erased"), Ok(1));
    db.acknowledge(u64::MAX);
    assert_eq!(db.list_keys("n", Listing::default(), NOW), Vec::<&str>::new());
    assert_eq!(db.verify().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_budget_of_nothing_is_no_bound() {
    let mut db = Database::create(&bounded(0));
    USED.set(usize::MAX);
    assert_eq!(put(&mut db, 1, "k", "1"), Ok(()));
    assert!(db.diff("n", "k", None, None).is_ok());
}

#[test]
fn opening_may_use_what_new_data_leaves_free() {
    let options = bounded(8 * MIB);
    let mut db = Database::create(&options);
    let mut log = db.journal().to_vec();
    put(&mut db, 1, "k", "1").unwrap();
    log.extend_from_slice(db.journal());
    let opened = |used| {
        USED.set(used);
        let mut replay = Replay::new(&options, true, false);
        let progress = replay.feed(0, &log, true)?;
        assert!(matches!(progress, Progress::Done(_)));
        Ok::<Database, Error>(replay.finish().unwrap())
    };
    let full = 8 * MIB - MIN_MEMORY_RESERVE_BYTES;
    let mut again = opened(full).unwrap();
    assert_eq!(again.get("n", "k", NOW).unwrap().value, b"1");
    assert_eq!(kind(put(&mut again, 2, "new", "2")), Some(Kind::Limit));
    assert!(opened(full + MIN_MEMORY_RESERVE_BYTES / 2).is_ok());
    assert_eq!(kind(opened(8 * MIB)), Some(Kind::Limit));
}

#[test]
fn a_diff_that_may_not_fit_is_refused() {
    let mut db = Database::create(&bounded(8 * MIB));
    put(&mut db, 1, "k", "[1,2]").unwrap();
    put(&mut db, 2, "k", "[1,3]").unwrap();
    USED.set(8 * MIB - 100);
    assert_eq!(kind(db.diff("n", "k", None, None)), Some(Kind::Limit));
    USED.set(0);
    let patch = db.diff("n", "k", None, None).unwrap();
    assert_eq!(patch, r#"[{"op":"replace","path":"/1","value":3}]"#);
}

#[test]
fn time_goes_forwards_whatever_the_clock_does() {
    let mut db = Database::create(&Options::default());
    let clock = [1_000, 999, 0, 1_000, 5_000, 5_000, 4_000, 6_000];
    for (now_us, value) in clock.into_iter().zip(0..) {
        put(&mut db, now_us, "k", &format!("{value}")).unwrap();
    }
    let times: Vec<u64> = db
        .history("n", "k", None, u64::MAX)
        .iter()
        .map(|record| record.fields().timestamp)
        .collect();
    assert_eq!(times, [1_000, 1_001, 1_002, 1_003, 5_000, 5_001, 5_002, 6_000]);
    for (time, value) in times.into_iter().zip(0..) {
        assert_eq!(db.get("n", "k", time).unwrap().value, format!("{value}").as_bytes());
    }
    assert_eq!(db.erase(at(0), "n", "k"), Ok(8));
    put(&mut db, 0, "k", "8").unwrap();
    let time = db.history("n", "k", None, u64::MAX)[0].fields().timestamp;
    assert_eq!(time, 6_002, "an erasure has a time of its own");
}

#[test]
fn the_last_time_is_the_last() {
    let mut db = Database::create(&Options::default());
    assert_eq!(kind(put(&mut db, MAX_TIMESTAMP_US + 1, "k", "1")), Some(Kind::Invalid));
    assert_eq!(db.sequence(), 0);
    assert_eq!(put(&mut db, MAX_TIMESTAMP_US, "k", "1"), Ok(()));
    let head = db.head();
    assert_eq!(kind(put(&mut db, 0, "k", "2")), Some(Kind::Invalid));
    assert_eq!(kind(db.delete(at(0), "n", "k")), Some(Kind::Invalid));
    assert_eq!(kind(db.erase(at(0), "n", "k")), Some(Kind::Invalid));
    assert_eq!((db.head(), db.get("n", "k", NOW).unwrap().value), (head, &b"1"[..]));
    assert_eq!(db.verify().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_key_of_ten_thousand_versions_is_found_as_of_any_time() {
    let mut db = Database::create(&Options { journal: false, ..Options::default() });
    let mut model: Vec<(u64, Option<String>)> = Vec::new();
    for number in 0..10_000_u64 {
        let now_us = 10 + 7 * number + number % 3;
        if number % 10 == 9 {
            db.delete(at(now_us), "n", "k").unwrap();
            model.push((now_us, None));
        } else {
            put(&mut db, now_us, "k", &number.to_string()).unwrap();
            model.push((now_us, Some(number.to_string())));
        }
        if number % 5 == 0 {
            put(&mut db, now_us + 1, "other", "0").unwrap();
        }
    }
    assert_eq!(db.history("n", "k", None, u64::MAX).len(), 10_000);
    let mut next = model.iter().peekable();
    let mut current = None;
    for time in 0..=model.last().unwrap().0 + 10 {
        while let Some((_, value)) = next.next_if(|(written, _)| *written <= time) {
            current = value.as_deref();
        }
        let found = db.find("n", "k", time).map(|found| found.value);
        assert_eq!(found, current.map(str::as_bytes), "at {time}");
    }
}

#[test]
fn what_is_not_acknowledged_is_not_seen() {
    let mut db = Database::create(&Options::default());
    for (key, now_us) in [("a", 1), ("b", 2), ("c", 3)] {
        db.put(at(now_us), &Draft::json("n", key, b"1"), None).unwrap();
    }
    let keys = |db: &Database| db.list_keys("n", Listing::default(), NOW).join("");
    // Each commit is a version's frame and its own: sequences 2, 4 and 6.
    for (acknowledged, seen) in [(0, ""), (1, ""), (2, "a"), (3, "a"), (5, "ab"), (2, "ab")] {
        db.acknowledge(acknowledged);
        assert_eq!(keys(&db), seen, "up to {acknowledged}");
    }
    let id = db.versions.id(db.versions.places().last().unwrap()).unwrap();
    assert_eq!(kind(db.version(&id)), Some(Kind::NotFound));
    assert_eq!(kind(db.lineage(&id, None)), Some(Kind::NotFound));
    assert_eq!(db.stats().keys, 2);
    db.acknowledge(6);
    assert_eq!((keys(&db).as_str(), db.stats().keys), ("abc", 3));
}

fn suggestions(db: &Database, namespace: &str, key: &str, at: u64) -> (Vec<String>, String) {
    let error = db.get(namespace, key, at).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    let names = error.details["suggestions"].as_array().unwrap();
    (names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(), error.suggestion)
}

#[test]
fn a_missing_key_comes_with_near_ones() {
    let mut db = Database::create(&Options::default());
    for (key, now_us) in [("alice", 10), ("alicia", 20), ("bob", 30), ("\u{e4}lice", 40)] {
        put(&mut db, now_us, key, "1").unwrap();
    }
    assert_eq!(suggestions(&db, "n", "alicf", NOW).0, ["alice", "alicia"]);
    assert_eq!(suggestions(&db, "n", "\u{e4}licf", NOW).0, ["\u{e4}lice"]);
    assert_eq!(suggestions(&db, "n", "alicf", 15).0, ["alice"], "what was there at the time");
    let (names, next) = suggestions(&db, "n", "zzz", NOW);
    assert_eq!((names.len(), next.contains("list_keys")), (0, true));
    db.delete(at(50), "n", "alice").unwrap();
    db.acknowledge(u64::MAX);
    assert!(!suggestions(&db, "n", "alice", NOW).0.contains(&"alice".to_owned()));
    let (names, next) = suggestions(&db, "nn", "bob", NOW);
    assert_eq!((names.len(), next.contains("\"n\"")), (0, true), "{next}");
    assert!(suggestions(&db, "elsewhere", "bob", NOW).1.contains("put something"));
}

#[test]
fn suggestions_are_few_and_near_however_many_keys_there_are() {
    let mut db = Database::create(&Options { journal: false, ..Options::default() });
    for number in 0..6_000 {
        put(&mut db, 1, &format!("key-{number:05}"), "1").unwrap();
    }
    let (names, _) = suggestions(&db, "n", "key-03000x", NOW);
    assert_eq!(names.len(), MAX_SUGGESTIONS);
    assert_eq!(names[0], "key-03000");
    let long = "\u{1f600}".repeat(256);
    assert_eq!(suggestions(&db, "n", &long, NOW).0.len(), 0);
}

#[test]
fn a_version_that_was_damaged_in_memory_is_found_out() {
    let mut db = Database::create(&Options::default());
    put(&mut db, 1, "k", "1").unwrap();
    assert_eq!(db.verify().unwrap().problems.len(), 0);
    assert_eq!(db.verify().unwrap().head, hex::encode(&db.head()));
    db.head[0] ^= 1;
    assert_eq!(db.verify().unwrap().problems.len(), 1);
}
