use super::*;
use crate::db::{Draft, Retention, Write};
use crate::log::header::HEADER_BYTES;

fn at(now_us: u64) -> Write {
    Write { now_us, synced_sequence: now_us }
}

/// A log of commits of one to three versions, and where each ends.
fn log() -> (Vec<u8>, Vec<usize>) {
    let mut db = Database::create(&Options::default());
    let mut bytes = db.journal().to_vec();
    let mut ends = vec![bytes.len()];
    for time in 1..=6 {
        db.clear_journal();
        let value = time.to_string();
        let keys = ["a", "b", "c"];
        let drafts = keys.iter().take(time % 3 + 1);
        let drafts: Vec<Draft<'_>> =
            drafts.map(|key| Draft::json("n", key, value.as_bytes())).collect();
        db.put_batch(at(time as u64), &drafts).unwrap();
        db.acknowledge(u64::MAX);
        bytes.extend_from_slice(db.journal());
        ends.push(bytes.len());
    }
    db.clear_journal();
    db.erase(at(10), "n", "c").unwrap();
    bytes.extend_from_slice(db.journal());
    ends.push(bytes.len());
    (bytes, ends)
}

/// What is intact, the stretches that are lost, and the bytes that are.
fn salvage(file: &[u8], piece: usize) -> (Database, Vec<(u64, u64)>, u64) {
    let mut replay = Replay::salvage(&Options::default());
    let bytes = feed(&mut replay, file, piece);
    let lost = replay.lost();
    (replay.finish().unwrap(), lost, bytes)
}

/// Feeds a file in pieces of at least `piece` bytes; the bytes that were dropped.
fn feed(replay: &mut Replay, file: &[u8], piece: usize) -> u64 {
    let (mut offset, mut want) = (0, 0);
    loop {
        let end = file.len().min(offset + piece.max(want));
        let fed = replay.feed(offset as u64, &file[offset..end], end == file.len());
        match fed.unwrap() {
            Progress::More { offset: next, want: more } => {
                (offset, want) = (usize::try_from(next).unwrap(), more);
            }
            Progress::Done(outcome) => return outcome.dropped_bytes,
        }
    }
}

fn times(db: &Database, key: &str) -> Vec<u64> {
    db.history("n", key, None, u64::MAX).iter().map(|record| record.timestamp()).collect()
}

#[test]
fn a_sound_file_is_salvaged_whole() {
    let (file, _) = log();
    for piece in [64, 100, 1 << 20] {
        let (db, lost, bytes) = salvage(&file, piece);
        assert_eq!((lost, bytes), (vec![], 0));
        assert_eq!(times(&db, "a"), [1, 2, 3, 4, 5, 6]);
        assert_eq!(times(&db, "c"), Vec::<u64>::new());
    }
}

#[test]
fn one_damaged_byte_costs_one_commit() {
    let (file, ends) = log();
    for byte in HEADER_BYTES..file.len() {
        let mut damaged = file.clone();
        damaged[byte] ^= 0x55;
        let group = ends.iter().filter(|end| **end <= byte).count();
        let (mut db, lost, bytes) = salvage(&damaged, 1 << 20);
        let (from, to) = (ends[group - 1] as u64, ends[group] as u64);
        assert_eq!((lost, bytes), (vec![(from, to)], to - from), "byte {byte}");
        let expected: Vec<u64> = (1..=6).filter(|time| *time != group as u64).collect();
        assert_eq!(times(&db, "a"), expected, "byte {byte}");
        assert_eq!(db.verify().unwrap().problems, Vec::<String>::new());
        // What was salvaged is a database again.
        let copy = db.snapshot(&crate::db::Part {
            max_bytes: 1 << 20,
            retention: Retention::default(),
            new_id: Some([1; 16]),
            last: true,
            after: None,
        });
        let copy = copy.unwrap().bytes;
        let mut replay = Replay::new(&Options::default(), true, false);
        assert!(matches!(replay.feed(0, &copy, true), Ok(Progress::Done(_))), "byte {byte}");
        assert_eq!(times(&replay.finish().unwrap(), "a"), expected);
    }
}

#[test]
fn a_key_that_begins_again_was_erased() {
    let mut db = Database::create(&Options::default());
    let mut file = db.journal().to_vec();
    let mut ends = Vec::new();
    for step in 1..=3 {
        db.clear_journal();
        if step == 2 {
            db.erase(at(2), "n", "k").unwrap();
        } else {
            db.put(at(step), &Draft::json("n", "k", b"1"), None).unwrap();
        }
        file.extend_from_slice(db.journal());
        ends.push(file.len());
    }
    file[ends[0] + 8] ^= 1;
    let (db, lost, _) = salvage(&file, 1 << 20);
    assert_eq!(times(&db, "k"), [3]);
    assert_eq!(lost, [(ends[0] as u64, ends[1] as u64)]);
}

/// A file of more versions than an opening takes the ids of, each written to a key of its own, and
/// their ids.
fn many() -> (Vec<u8>, Vec<VersionId>) {
    let mut db = Database::create(&Options::default());
    let mut bytes = db.journal().to_vec();
    let keys: Vec<String> = (0..IDS_AT_ONCE + 3_000).map(|key| key.to_string()).collect();
    for (time, keys) in (1..).zip(keys.chunks(1_000)) {
        db.clear_journal();
        let drafts: Vec<Draft<'_>> = keys.iter().map(|key| Draft::json("n", key, b"1")).collect();
        db.put_batch(at(time), &drafts).unwrap();
        db.acknowledge(u64::MAX);
        bytes.extend_from_slice(db.journal());
    }
    let id = |key: &String| db.history("n", key, None, u64::MAX)[0].id();
    let ids = keys.iter().map(id).collect();
    (bytes, ids)
}

fn opened(file: &[u8]) -> Database {
    let mut replay = Replay::new(&Options::default(), true, false);
    assert!(matches!(replay.feed(0, file, true).unwrap(), Progress::Done(_)));
    replay.finish().unwrap()
}

#[test]
fn versions_are_found_whenever_their_ids_come_in() {
    let (file, ids) = many();
    let key = |db: &Database, id: &VersionId| db.version(id).unwrap().fields().key.to_owned();
    let last = ids.len() - 1;
    for slices in 0..4 {
        let mut db = opened(&file);
        let is_done = (0..slices).fold(false, |_, _| db.maintain(300, &[]));
        assert_eq!(is_done, slices == 3, "{slices} slices of 1,200 ids, where 3,000 are missing");
        // What is written and erased while ids are missing.
        db.put(at(100), &Draft::json("n", "new", b"2"), None).unwrap();
        db.erase(at(101), "n", &last.to_string()).unwrap();
        db.acknowledge(u64::MAX);
        let new = db.history("n", "new", None, u64::MAX)[0].id();
        assert_eq!(key(&db, &ids[last - 1]), (last - 1).to_string());
        assert_eq!(key(&db, &ids[0]), "0");
        assert_eq!(key(&db, &new), "new");
        assert!(db.version(&ids[last]).is_err());
        assert!(db.maintain(0, &[]));
        for (index, id) in ids.iter().enumerate().take(last) {
            assert_eq!(key(&db, id), index.to_string());
        }
    }
}

/// A log in which each step is a commit: puts of vectors, and an erasure of all of them before one of
/// another dimension; and where each ends.
fn vectors_log() -> (Vec<u8>, Vec<usize>) {
    let mut db = Database::create(&Options::default());
    let mut bytes = db.journal().to_vec();
    let mut ends = vec![bytes.len()];
    let vector = |floats: &[f32]| floats.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    for step in 1..=6_u8 {
        db.clear_journal();
        let write = Write { now_us: u64::from(step), synced_sequence: 0 };
        if step == 4 {
            for key in ["a", "b"] {
                db.erase(write, "n", key).unwrap();
                bytes.extend_from_slice(db.journal());
                ends.push(bytes.len());
                db.clear_journal();
            }
            continue;
        }
        let dimension = if step < 4 { 3 } else { 5 };
        let floats = vector(&(0..dimension).map(|at| f32::from(step + at)).collect::<Vec<f32>>());
        let draft = |key| Draft { vector: &floats, ..Draft::json("n", key, b"1") };
        db.put_batch(write, &[draft("a"), draft("b")]).unwrap();
        db.acknowledge(u64::MAX);
        bytes.extend_from_slice(db.journal());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

#[test]
fn vectors_of_a_group_that_is_not_whole_are_let_go_of() {
    let (file, ends) = vectors_log();
    for cut in HEADER_BYTES..=file.len() {
        let whole = *ends.iter().rfind(|end| **end <= cut).unwrap();
        let (found, expected) = (opened(&file[..cut]), opened(&file[..whole]));
        let sets = |db: &Database| {
            let stats = db.vectors.stats();
            stats.iter().map(|set| (set.dimension, set.vectors, set.held)).collect::<Vec<_>>()
        };
        assert_eq!(sets(&found), sets(&expected), "cut at {cut}");
        for key in ["a", "b"] {
            let held = |db: &Database| {
                let places =
                    db.keyspace.chain("n", key, &db.versions).map(|chain| chain.places().to_vec());
                let versions = places.unwrap_or_default().into_iter();
                let held = versions.filter_map(|place| db.versions.get(place)?.vector());
                held.map(|held| db.vectors.bytes(held)).collect::<Vec<_>>()
            };
            assert_eq!(held(&found), held(&expected), "cut at {cut}");
        }
    }
}

#[test]
fn vectors_come_with_their_versions_in_pieces_of_any_size() {
    let (file, _) = vectors_log();
    for piece in [64, 100, 1 << 20] {
        let mut replay = Replay::new(&Options::default(), true, false);
        feed(&mut replay, &file, piece);
        let mut db = replay.finish().unwrap();
        let stats = db.vectors.stats();
        assert_eq!((stats[0].dimension, stats[0].vectors, stats[0].held), (5, 2, 4));
        assert_eq!(db.verify().unwrap().problems, Vec::<String>::new());
    }
}
