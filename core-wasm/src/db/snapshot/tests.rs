use super::*;
use crate::db::{Draft, Options, Replay, Write};
use crate::error::Kind;
use crate::log::recovery::Progress;

const OPTIONS: Options = Options {
    database_id: [7; 16],
    journal: true,
    memory_budget: 0,
    memory_used: || 0,
    aside_above: None,
    metric: crate::vector::Metric::Cosine,
    mode: crate::vector::Mode::Auto,
};

fn at(now_us: u64) -> Write {
    Write { now_us, synced_sequence: 0 }
}

fn put(db: &mut Database, now_us: u64, key: &str, value: &str) {
    db.clear_journal();
    db.put(at(now_us), &Draft::json("n", key, value.as_bytes()), None).unwrap();
    db.acknowledge(u64::MAX);
}

fn delete(db: &mut Database, now_us: u64, key: &str) {
    db.clear_journal();
    assert!(db.delete(at(now_us), "n", key).unwrap());
    db.acknowledge(u64::MAX);
}

/// A database with several versions, a vector, a batch, an erasure and an index.
fn sample() -> Database {
    let mut db = Database::create(&OPTIONS);
    put(&mut db, 10, "a", "1");
    put(&mut db, 20, "b", "{\"x\":1}");
    put(&mut db, 30, "a", "2");
    let vector: Vec<u8> = [1.0_f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    db.put(at(40), &Draft { vector: &vector, ..Draft::json("n", "v", b"0") }, None).unwrap();
    put(&mut db, 50, "gone", "\"secret\"");
    let batch =
        [Draft::json("n", "a", b"3"), Draft::json("n", "gone", b"4"), Draft::json("n", "c", b"5")];
    db.put_batch(at(60), &batch).unwrap();
    db.create_index(at(70), "n", "x").unwrap();
    db.erase(at(80), "n", "gone").unwrap();
    delete(&mut db, 90, "b");
    db.acknowledge(u64::MAX);
    db
}

/// A whole snapshot, in parts of so many bytes.
fn write(db: &Database, max_bytes: usize, retention: Retention) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = Part { max_bytes, retention, last: true, ..Part::default() };
    loop {
        let written = db.snapshot(&part).unwrap();
        bytes.extend_from_slice(&written.bytes);
        if written.is_ended {
            return bytes;
        }
        part.after = written.next;
    }
}

fn open(file: &[u8], verify: bool) -> Result<Database> {
    let mut replay = Replay::new(&OPTIONS, true, verify);
    match replay.feed(0, file, true)? {
        Progress::Done(outcome) => assert_eq!(outcome.valid_bytes, file.len() as u64),
        Progress::More { .. } => panic!("all of it was there"),
    }
    replay.finish()
}

fn history(db: &Database, key: &str) -> Vec<(u64, Vec<u8>)> {
    let records = db.history("n", key, None, u64::MAX);
    records.iter().map(|record| (record.timestamp(), record.value().to_vec())).collect()
}

#[test]
fn a_snapshot_holds_what_the_database_does() {
    let db = sample();
    for max_bytes in [1, 300, 1 << 20] {
        let file = write(&db, max_bytes, Retention::default());
        let mut again = open(&file, false).unwrap();
        assert_eq!((again.head, again.commits, again.timestamp), (db.head, db.commits, 90));
        for key in ["a", "b", "c", "v", "gone"] {
            assert_eq!(history(&again, key), history(&db, key), "{key}");
        }
        assert_eq!(again.verify().unwrap().problems, Vec::<String>::new());
        assert_eq!(again.list_indexes(None).len(), 1);
        assert!(again.sequence() >= db.sequence());
        assert_eq!(again.header.epoch, 2);
        assert_eq!(open(&file, true).unwrap().head, db.head);
        assert!(!file.windows(6).any(|bytes| bytes == b"secret"));
    }
}

#[test]
fn a_snapshot_of_nothing_opens() {
    let db = Database::create(&OPTIONS);
    let mut again = open(&write(&db, 100, Retention::default()), false).unwrap();
    put(&mut again, 5, "k", "1");
    assert_eq!(again.find("n", "k", u64::MAX).unwrap().value, b"1");
}

#[test]
fn a_snapshot_is_no_torn_tail_at_any_length() {
    let file = write(&sample(), 200, Retention::default());
    for end in HEADER_BYTES..file.len() {
        let error = open(&file[..end], false).unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt, "cut at {end}");
        assert!(error.message.contains("ends inside its snapshot"), "{}", error.message);
    }
}

#[test]
fn every_flipped_bit_of_a_snapshot_is_corruption() {
    let mut file = write(&sample(), 200, Retention::default());
    let end = file.len();
    // A commit behind it: damage of the snapshot is none the less no torn tail.
    let mut db = open(&file, false).unwrap();
    put(&mut db, 100, "later", "1");
    file.extend_from_slice(db.journal());
    for bit in 8 * HEADER_BYTES..8 * end {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&damaged, false).unwrap_err().kind, Kind::Corrupt, "bit {bit}");
    }
    for bit in 0..8 * HEADER_BYTES {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&damaged, false).is_err(), "bit {bit}");
    }
}

#[test]
fn writing_goes_on_after_a_snapshot() {
    let db = sample();
    let mut file = write(&db, 1 << 20, Retention { versions: Some(1), since: None });
    let mut again = open(&file, false).unwrap();
    put(&mut again, 1000, "a", "9");
    assert!(again.sequence() > db.sequence());
    file.extend_from_slice(again.journal());
    let third = open(&file, false).unwrap();
    assert_eq!(history(&third, "a"), [(60, b"3".to_vec()), (1000, b"9".to_vec())]);
    assert_eq!((third.head, third.commits), (again.head, db.commits + 1));
    assert_eq!(open(&file, true).unwrap().head, again.head);
    let fourth = open(&write(&third, 50, Retention::default()), false).unwrap();
    assert_eq!((fourth.head, fourth.dropped), (third.head, third.dropped));
}

#[test]
fn each_rule_keeps_what_it_says() {
    let mut db = Database::create(&OPTIONS);
    for time in [10, 20, 30, 40] {
        put(&mut db, time, "k", &time.to_string());
    }
    put(&mut db, 15, "old", "1");
    delete(&mut db, 50, "old");
    let kept = |versions, since| {
        let rules = Retention { versions, since };
        let db = open(&write(&db, 64, rules), false).unwrap();
        let times = |key| history(&db, key).iter().map(|(time, _)| *time).collect::<Vec<_>>();
        (times("k"), times("old"))
    };
    let all = vec![10, 20, 30, 40];
    assert_eq!(kept(None, None), (all.clone(), vec![41, 50]));
    assert_eq!(kept(Some(9), None), (all, vec![41, 50]));
    assert_eq!(kept(Some(2), None), (vec![30, 40], vec![41, 50]));
    assert_eq!(kept(Some(1), None), (vec![40], vec![50]));
    assert_eq!(kept(None, Some(29)), (vec![20, 30, 40], vec![41, 50]));
    assert_eq!(kept(None, Some(30)), (vec![30, 40], vec![41, 50]));
    assert_eq!(kept(None, Some(49)), (vec![40], vec![41, 50]));
    assert_eq!(kept(None, Some(50)), (vec![40], vec![]));
    assert_eq!(kept(Some(1), Some(30)), (vec![30, 40], vec![41, 50]));
    let size = db.snapshot_size(&Retention { versions: Some(2), since: None });
    assert_eq!((size.versions, size.dropped), (4, 2));
}

#[test]
fn what_is_written_meanwhile_is_in_the_last_part_and_stays() {
    let mut db = Database::create(&OPTIONS);
    for time in [10, 20, 30] {
        put(&mut db, time, "k", "0");
    }
    let retention = Retention { versions: Some(1), since: None };
    let mut part = Part { max_bytes: 1, retention, ..Part::default() };
    let first = db.snapshot(&part).unwrap();
    assert!(first.is_complete && !first.is_ended);
    for time in [40, 50] {
        put(&mut db, time, "k", "1");
    }
    let mut bytes = first.bytes;
    part.after = first.next;
    part.last = true;
    loop {
        let written = db.snapshot(&part).unwrap();
        bytes.extend_from_slice(&written.bytes);
        if written.is_ended {
            break;
        }
        part.after = written.next;
    }
    assert_eq!(open(&bytes, true).unwrap().head, db.head);
    let found = history(&open(&bytes, false).unwrap(), "k");
    assert_eq!(found.iter().map(|(time, _)| *time).collect::<Vec<_>>(), [30, 40, 50]);
}

#[test]
fn an_erasure_makes_it_begin_anew_and_the_last_part_waits_for_acknowledgements() {
    let mut db = sample();
    let first = db.snapshot(&Part { max_bytes: 1, ..Part::default() }).unwrap();
    db.erase(at(200), "n", "a").unwrap();
    let last = Part { last: true, max_bytes: 1 << 20, ..Part::default() };
    assert_eq!(db.snapshot(&last).unwrap_err().kind, Kind::Internal);
    db.acknowledge(u64::MAX);
    let next = Part { after: first.next, max_bytes: 1, ..Part::default() };
    assert!(db.snapshot(&next).unwrap().next.is_none());
    assert!(db.snapshot(&last).unwrap().is_ended);
}

#[test]
fn a_copy_is_another_database() {
    let db = sample();
    let part = Part { new_id: Some([9; 16]), max_bytes: 1 << 20, last: true, ..Part::default() };
    let copy = open(&db.snapshot(&part).unwrap().bytes, false).unwrap();
    let header = Header { database_id: [9; 16], epoch: 1, first_sequence: 1, snapshot: true };
    assert_eq!((copy.header, copy.head), (header, db.head));
}
