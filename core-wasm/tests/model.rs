//! Whatever is done, in whatever order: the database answers as a plain list of versions does,
//! before and after its log was cut anywhere and read back.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop where it is wrong"
)]

use std::collections::{BTreeMap, BTreeSet};

use koru_delta_core::codec::hex::VersionId;
use koru_delta_core::db::{Database, Draft, Expected, Listing, Options, Replay, Write};
use koru_delta_core::error::{Error, Kind};
use koru_delta_core::log::record::{Record, ValueKind};
use koru_delta_core::log::recovery::{Outcome, Progress};
use proptest::prelude::*;

const NAMESPACES: [&str; 2] = ["a", "\u{1f600}"];
const KEYS: [&str; 5] = ["k", "k1", "k\u{e9}", "l", "\u{ffff}"];
const PREFIXES: [&str; 5] = ["", "k", "k1", "l", "x"];
const VALUES: [&str; 5] = ["1", "{\"a\":[1,2]}", "null", "\"\\ud83d\\ude00\"", "{\"a\":[1,3]}"];
const NOT_JSON: &str = "[1,";
const NOW: u64 = u64::MAX;

type Name = (&'static str, &'static str);

/// One version of the model.
#[derive(Clone, Debug)]
struct Entry {
    id: VersionId,
    time: u64,
    name: Name,
    kind: ValueKind,
    value: Vec<u8>,
    causes: Vec<VersionId>,
}

/// All versions that are not erased, in commit order.
#[derive(Clone, Debug, Default)]
struct Model(Vec<Entry>);

impl Model {
    fn history(&self, name: Name, until: u64) -> Vec<&Entry> {
        self.0.iter().filter(|entry| entry.name == name && entry.time <= until).collect()
    }

    fn value(&self, name: Name, until: u64) -> Option<&Entry> {
        self.history(name, until).pop().filter(|entry| entry.kind != ValueKind::Deleted)
    }

    fn keys(&self, namespace: &'static str, until: u64) -> Vec<&'static str> {
        let names: BTreeSet<&str> = self.0.iter().map(|entry| entry.name.1).collect();
        names.into_iter().filter(|key| self.value((namespace, key), until).is_some()).collect()
    }

    fn entry(&self, id: &VersionId, until: u64) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.id == *id && entry.time <= until)
    }

    /// Steps from a version to each that can be reached along `forward` links or against them.
    fn distances(&self, id: &VersionId, until: u64, effects: bool) -> BTreeMap<VersionId, usize> {
        let seen: Vec<&Entry> = self.0.iter().filter(|entry| entry.time <= until).collect();
        let mut found = BTreeMap::from([(*id, 0)]);
        for steps in 0..seen.len() {
            for (one, other) in seen.iter().flat_map(|one| seen.iter().map(move |two| (one, two))) {
                let linked = if effects {
                    other.causes.contains(&one.id)
                } else {
                    one.causes.contains(&other.id)
                };
                if linked && found.get(&one.id) == Some(&steps) {
                    found.entry(other.id).or_insert(steps + 1);
                }
            }
        }
        found.remove(id);
        found
    }
}

/// One step of a sequence. Numbers pick among what there is.
#[derive(Clone, Debug)]
enum Step {
    Put {
        name: Name,
        value: (bool, &'static str),
        expected: Option<usize>,
        causes: Vec<usize>,
    },
    Batch(Vec<(Name, (bool, &'static str))>),
    Delete(Name),
    Erase(Name),
    Restore {
        name: Name,
        version: usize,
    },
    /// Acknowledge all but so many of the commits.
    Acknowledge(usize),
}

fn names() -> impl Strategy<Value = Name> {
    (prop::sample::select(&NAMESPACES[..]), prop::sample::select(&KEYS[..]))
}

/// A value: whether it is bytes, and its text.
fn values() -> impl Strategy<Value = (bool, &'static str)> {
    let values = prop::sample::select(&VALUES[..]);
    prop_oneof![
        20 => (any::<bool>(), values),
        1 => any::<bool>().prop_map(|bytes| (bytes, NOT_JSON)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(Step, i64)>> {
    let causes = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(0_usize..40, 1..4)];
    let step = prop_oneof![
        6 => (names(), values(), prop::option::weighted(0.3, 0_usize..20), causes).prop_map(
            |(name, value, expected, causes)| Step::Put { name, value, expected, causes }
        ),
        3 => prop::collection::vec((names(), values()), 0..6).prop_map(Step::Batch),
        2 => names().prop_map(Step::Delete),
        1 => names().prop_map(Step::Erase),
        2 => (names(), 0_usize..40).prop_map(|(name, version)| Step::Restore { name, version }),
        4 => (0_usize..3).prop_map(Step::Acknowledge),
    ];
    // The clock of the host: mostly forwards, sometimes backwards.
    prop::collection::vec((step, prop_oneof![5 => 0_i64..1000, 1 => -5000_i64..0]), 1..40)
}

/// A database, its model, its log, and the model after each commit.
struct World {
    db: Database,
    model: Model,
    log: Vec<u8>,
    /// Time and sequence of each commit, where the log ended then, and the model.
    commits: Vec<(u64, u64, usize, Model)>,
    acknowledged: usize,
    now: u64,
}

fn draft(name: Name, (bytes, value): (bool, &'static str)) -> Draft<'static> {
    let kind = if bytes { ValueKind::Bytes } else { ValueKind::Json };
    Draft { kind, ..Draft::json(name.0, name.1, value.as_bytes()) }
}

impl World {
    fn new() -> Self {
        let db = Database::create(&Options { database_id: [7; 16], ..Options::default() });
        let log = db.journal().to_vec();
        let (model, commits) = (Model::default(), Vec::new());
        Self { db, model, log, commits, acknowledged: 0, now: 1_000_000 }
    }

    fn visible(&self) -> u64 {
        self.acknowledged.checked_sub(1).map_or(0, |last| self.commits[last].0)
    }

    fn write(&self) -> Write {
        let last = self.acknowledged.checked_sub(1).map_or(0, |last| self.commits[last].1);
        Write { now_us: self.now, synced_sequence: last }
    }

    /// The version that a number picks, or an id that no version has.
    fn pick(&self, number: usize) -> VersionId {
        self.model.0.get(number).map_or([0xee; 16], |entry| entry.id)
    }

    fn run(&mut self, step: &Step) {
        self.db.clear_journal();
        let before = (self.db.head(), self.db.sequence());
        let wrote = match step {
            Step::Put { name, value, expected, causes } => {
                self.put(*name, *value, *expected, causes)
            }
            Step::Batch(items) => self.put_batch(items),
            Step::Delete(name) => {
                let present = self.model.value(*name, NOW).is_some();
                assert_eq!(self.db.delete(self.write(), name.0, name.1), Ok(present));
                let entry = (*name, ValueKind::Deleted, Vec::new(), Vec::new());
                present.then(|| self.note(vec![entry])).is_some()
            }
            Step::Erase(name) => {
                let held = self.model.history(*name, NOW).len();
                assert_eq!(self.db.erase(self.write(), name.0, name.1), Ok(held));
                self.model.0.retain(|entry| entry.name != *name);
                (held > 0).then(|| self.commit(self.next_time())).is_some()
            }
            Step::Restore { name, version } => self.restore(*name, *version),
            Step::Acknowledge(but) => {
                self.acknowledged = self.acknowledged.max(self.commits.len().saturating_sub(*but));
                let last = self.acknowledged.checked_sub(1).map(|last| self.commits[last].1);
                self.db.acknowledge(last.unwrap_or(0));
                false
            }
        };
        assert_eq!(wrote, (self.db.head(), self.db.sequence()) != before);
        assert_eq!(wrote, !self.db.journal().is_empty());
    }

    fn put(
        &mut self,
        name: Name,
        value: (bool, &'static str),
        expected: Option<usize>,
        causes: &[usize],
    ) -> bool {
        let ids: Vec<VersionId> = causes.iter().map(|number| self.pick(*number)).collect();
        let known = ids.iter().all(|id| self.model.entry(id, NOW).is_some());
        let causes = match self.db.check_causes(&ids) {
            Ok(causes) => causes,
            Err(error) => {
                assert_eq!((error.kind, known), (Kind::Invalid, false));
                return false;
            }
        };
        assert!(known);
        let latest = self.model.history(name, NOW).last().map(|entry| entry.id);
        let (expected, holds) = match expected {
            None => (None, true),
            Some(0..7) => (Some(Expected::Nothing), self.model.value(name, NOW).is_none()),
            Some(7..14) => {
                let id = latest.unwrap_or([0xee; 16]);
                (Some(Expected::Version(id)), latest.is_some())
            }
            Some(number) => {
                let id = self.pick(number);
                (Some(Expected::Version(id)), latest == Some(id))
            }
        };
        let draft = Draft { causes: &causes, ..draft(name, value) };
        let outcome = self.db.put(self.write(), &draft, expected).map(<[u8]>::to_vec);
        match outcome {
            Err(error) if value == (false, NOT_JSON) => {
                assert_eq!(error.kind, Kind::Serialization);
                false
            }
            Err(error) => {
                assert_eq!((error.kind, holds), (Kind::Conflict, false));
                false
            }
            Ok(record) => {
                assert!(holds);
                let causes = causes.chunks(16).map(|id| id.try_into().unwrap()).collect();
                self.note(vec![(name, draft.kind, value.1.as_bytes().to_vec(), causes)]);
                assert_eq!(record[..16], self.model.0.last().unwrap().id);
                true
            }
        }
    }

    fn put_batch(&mut self, items: &[(Name, (bool, &'static str))]) -> bool {
        let drafts: Vec<Draft<'_>> =
            items.iter().map(|(name, value)| draft(*name, *value)).collect();
        let outcome = self.db.put_batch(self.write(), &drafts);
        if items.iter().any(|(_, value)| *value == (false, NOT_JSON)) {
            assert_eq!(outcome.unwrap_err().kind, Kind::Serialization);
            return false;
        }
        assert_eq!(outcome, Ok(()));
        let entries = items.iter().zip(&drafts).map(|((name, value), draft)| {
            (*name, draft.kind, value.1.as_bytes().to_vec(), Vec::new())
        });
        if !items.is_empty() {
            self.note(entries.collect());
        }
        !items.is_empty()
    }

    fn restore(&mut self, name: Name, version: usize) -> bool {
        let id = self.pick(version);
        let old = self.model.entry(&id, self.visible()).cloned();
        let outcome = self.db.restore(self.write(), name.0, name.1, &id).map(<[u8]>::to_vec);
        match (outcome, old) {
            (Ok(_), Some(old)) => {
                assert_eq!(old.name, name);
                self.note(vec![(name, old.kind, old.value, vec![id])]);
                true
            }
            (Err(error), Some(old)) => {
                assert!(old.name != name || old.kind == ValueKind::Deleted);
                assert_eq!(error.kind, Kind::Invalid);
                false
            }
            (Err(error), None) => {
                assert_eq!(error.kind, Kind::NotFound);
                false
            }
            (Ok(_), None) => panic!("an unknown version was restored"),
        }
    }

    /// When the next commit happens: at the host's time, but later than the one before.
    fn next_time(&self) -> u64 {
        self.now.max(self.commits.last().map_or(0, |commit| commit.0) + 1)
    }

    /// Takes versions of one commit into the model, with the ids that the database gave them.
    fn note(&mut self, entries: Vec<(Name, ValueKind, Vec<u8>, Vec<VersionId>)>) {
        let time = self.next_time();
        let ids = record_ids(self.db.journal());
        assert_eq!(ids.len(), entries.len());
        for (id, (name, kind, value, causes)) in ids.into_iter().zip(entries) {
            self.model.0.push(Entry { id, time, name, kind, value, causes });
        }
        self.commit(time);
    }

    fn commit(&mut self, time: u64) {
        self.log.extend_from_slice(self.db.journal());
        self.commits.push((time, self.db.sequence(), self.log.len(), self.model.clone()));
    }
}

/// The ids of the versions in some frames.
fn record_ids(mut frames: &[u8]) -> Vec<VersionId> {
    let mut ids = Vec::new();
    while !frames.is_empty() {
        let length = u32::from_le_bytes(frames[4..8].try_into().unwrap()) as usize;
        if frames[8] == 1 {
            ids.push(frames[40..56].try_into().unwrap());
        }
        frames = &frames[(40 + length).next_multiple_of(8)..];
    }
    ids
}

fn is_same(record: &Record, entry: &Entry) -> bool {
    let fields = record.fields();
    let causes: Vec<VersionId> = record.causes().collect();
    record.id() == entry.id
        && fields.timestamp == entry.time
        && (fields.namespace, fields.key) == entry.name
        && (fields.kind, fields.value) == (entry.kind, &entry.value)
        && causes == entry.causes
}

fn check_records(found: &[&Record], expected: &[&Entry]) {
    assert_eq!(found.len(), expected.len());
    for (record, entry) in found.iter().zip(expected) {
        assert!(is_same(record, entry), "{:?} is not {entry:?}", record.fields());
    }
}

/// Asks everything about now and about a time.
fn check(db: &Database, model: &Model, visible: u64, at: u64) {
    let until = at.min(visible);
    for namespace in NAMESPACES {
        for key in KEYS {
            let value = model.value((namespace, key), until);
            let expected = value.map(|entry| (entry.kind, &entry.value[..]));
            let found = db.find(namespace, key, at);
            assert_eq!(found.map(|found| (found.kind, found.value)), expected);
            let kind = db.get(namespace, key, at).map_err(|error| error.kind);
            assert_eq!(kind, found.ok_or(Kind::NotFound));
            let keys = [key.to_owned()];
            let one: Vec<&Entry> = value.into_iter().collect();
            check_records(&db.get_many(namespace, &keys, at), &one);
        }
        let keys = model.keys(namespace, until);
        let all: Vec<&Entry> =
            keys.iter().filter_map(|key| model.value((namespace, key), until)).collect();
        check_records(&db.get_all(namespace, at), &all);
        check_listings(db, namespace, &keys, at);
    }
    let held = NAMESPACES.into_iter().filter(|namespace| !model.keys(namespace, until).is_empty());
    assert_eq!(db.list_namespaces(at), held.collect::<Vec<_>>());
}

fn check_listings(db: &Database, namespace: &str, keys: &[&str], at: u64) {
    let starts = [None, Some("k"), Some("k2"), Some("z")];
    for (prefix, start_after) in PREFIXES.iter().flat_map(|prefix| starts.map(|s| (prefix, s))) {
        for limit in [None, Some(0), Some(2)] {
            let expected: Vec<&str> = keys
                .iter()
                .copied()
                .filter(|key| key.starts_with(prefix) && start_after.is_none_or(|s| *key > s))
                .take(limit.unwrap_or(usize::MAX))
                .collect();
            let listing = Listing { prefix, start_after, limit };
            assert_eq!(db.list_keys(namespace, listing, at), expected, "{listing:?}");
        }
    }
}

/// Asks about versions and what led to them.
fn check_versions(db: &mut Database, model: &Model, visible: u64) {
    for name in NAMESPACES.into_iter().flat_map(|space| KEYS.map(|key| (space, key))) {
        let history = model.history(name, visible);
        check_records(&db.history(name.0, name.1, None, u64::MAX), &history);
        let newest = &history[history.len().saturating_sub(2)..];
        check_records(&db.history(name.0, name.1, Some(2), u64::MAX), newest);
    }
    for entry in &model.0 {
        let found = db.version(&entry.id).map_err(|error: Error| error.kind);
        if entry.time > visible {
            assert_eq!(found.map(Record::id), Err(Kind::NotFound));
            continue;
        }
        assert!(is_same(found.unwrap(), entry));
        for effects in [false, true] {
            let distances = model.distances(&entry.id, visible, effects);
            for depth in [None, Some(0), Some(1), Some(2)] {
                let walk = if effects { Database::effects } else { Database::lineage };
                let walked = walk(db, &entry.id, depth).unwrap();
                let ids: Vec<VersionId> = walked.iter().map(|record| record.id()).collect();
                let steps: Vec<usize> = ids.iter().map(|id| distances[id]).collect();
                assert!(steps.is_sorted(), "nearest first");
                let near = distances.values().filter(|steps| depth.is_none_or(|d| **steps <= d));
                assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each once");
                assert_eq!(ids.len(), near.count());
            }
        }
    }
    assert_eq!(db.verify().unwrap().problems, Vec::<String>::new());
}

/// Reads a log back in pieces of about these sizes.
fn replay(log: &[u8], pieces: &[usize]) -> (Database, Outcome) {
    let options = Options { database_id: [7; 16], ..Options::default() };
    let mut replay = Replay::new(&options, true, false);
    let (mut offset, mut want) = (0, 0);
    for piece in pieces.iter().cycle() {
        let end = log.len().min(offset + want.max(*piece));
        match replay.feed(offset as u64, &log[offset..end], end == log.len()).unwrap() {
            Progress::More { offset: next, want: more } => {
                offset = usize::try_from(next).unwrap();
                want = more;
            }
            Progress::Done(outcome) => return (replay.finish().unwrap(), outcome),
        }
    }
    panic!("there are no pieces")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_database_answers_as_a_list_of_versions(
        steps in steps(),
        moments in prop::collection::vec((any::<prop::sample::Index>(), -1_i64..=1), 40),
        pieces in prop::collection::vec(1_usize..3000, 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 4),
    ) {
        let mut world = World::new();
        for ((step, passed), (moment, shift)) in steps.iter().zip(&moments) {
            world.now = world.now.saturating_add_signed(*passed);
            world.run(step);
            check(&world.db, &world.model, world.visible(), NOW);
            if !world.commits.is_empty() {
                let time = world.commits[moment.index(world.commits.len())].0;
                check(&world.db, &world.model, world.visible(), time.saturating_add_signed(*shift));
            }
        }
        let visible = world.visible();
        check_versions(&mut world.db, &world.model, visible);

        let (mut again, outcome) = replay(&world.log, &pieces);
        prop_assert_eq!(outcome, Outcome { valid_bytes: world.log.len() as u64, dropped_bytes: 0 });
        world.db.acknowledge(u64::MAX);
        prop_assert_eq!(again.head(), world.db.head());
        prop_assert_eq!(again.stats(), world.db.stats());
        check(&again, &world.model, NOW, NOW);
        check_versions(&mut again, &world.model, NOW);
        let write = Write { now_us: world.now, synced_sequence: again.sequence() };
        for db in [&mut again, &mut world.db] {
            db.clear_journal();
            db.put(write, &draft(("a", "k"), (false, "1")), None).unwrap();
        }
        prop_assert_eq!(again.journal(), world.db.journal(), "both go on alike");

        for cut in cuts {
            let size = 64 + cut.index(world.log.len() - 63);
            let whole = world.commits.iter().filter(|commit| commit.2 <= size).count();
            let (mut found, outcome) = replay(&world.log[..size], &pieces);
            let last = whole.checked_sub(1).map(|last| &world.commits[last]);
            prop_assert_eq!(outcome.valid_bytes, last.map_or(64, |commit| commit.2 as u64));
            prop_assert_eq!(found.sequence(), last.map_or(0, |commit| commit.1));
            let model = last.map_or(Model::default(), |commit| commit.3.clone());
            check(&found, &model, NOW, NOW);
            check_versions(&mut found, &model, NOW);
        }
    }
}
