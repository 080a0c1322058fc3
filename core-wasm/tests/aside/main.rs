//! Values that were set aside: an engine that keeps none of the past in memory answers, byte for byte,
//! what one answers that keeps everything, and damage of the file is told, never answered with.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test may stop where it is wrong"
)]

mod engine;

use koru_delta_core::error::Kind;
use koru_delta_core::limits::{MAX_FETCH_BYTES, MAX_FETCH_GAP_BYTES, MIN_ASIDE_BYTES};
use koru_delta_core::log::frame::FRAME_HEADER_BYTES;
use koru_delta_core::log::record::RECORD_HEADER_BYTES;
use koru_delta_core::protocol as op;
use serde_json::{Value, json};

use engine::{Answer, Ask, BUDGET, Engine, START};

/// One engine that keeps everything in memory, and one that keeps nothing of the past.
struct Twins {
    kept: Engine,
    lean: Engine,
    now: u64,
    state: u64,
    ids: Vec<String>,
}

const SPACES: [&str; 2] = ["n", "m"];
const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl Twins {
    fn new(seed: u64) -> Self {
        let (kept, lean) = (Engine::open(false), Engine::open(true));
        Self { kept, lean, now: START, state: seed.wrapping_mul(2) + 1, ids: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.state >> 33) % bound as u64) as usize
    }

    fn both(&mut self, opcode: u32, ask: &Ask<'_>) -> Answer {
        let answer = self.kept.ask_at(self.now, opcode, ask);
        assert_eq!(self.lean.ask_at(self.now, opcode, ask), answer, "{opcode}");
        assert_eq!(self.lean.file, self.kept.file, "the same bytes");
        answer
    }

    fn name(&mut self) -> (&'static str, &'static str) {
        (SPACES[self.below(10) / 8], KEYS[self.below(KEYS.len())])
    }

    /// A moment of the past, or of the future.
    fn moment(&mut self) -> Option<u64> {
        let span = (self.now - START) as usize + 2;
        Some(START - 1 + self.below(span) as u64)
    }

    fn value(&mut self) -> String {
        let words = ["red", "green", "blue", "old", "new", "fish"];
        let text: Vec<&str> = (0..3 + self.below(30)).map(|_| words[self.below(6)]).collect();
        let (rank, importance) = (self.below(5), self.below(11) as f64 / 10.0);
        json!({"content": text.join(" "), "rank": rank, "importance": importance}).to_string()
    }

    fn note(&mut self, answer: Answer) {
        if let Ok((record, _)) = answer {
            let id = record[..16].iter().map(|byte| format!("{byte:02x}")).collect();
            self.ids.push(id);
        }
    }

    fn write(&mut self) {
        self.now += 1 + self.below(3) as u64;
        let ((space, key), value) = (self.name(), self.value());
        let vector: Vec<f32> = (0..4).map(|_| self.below(7) as f32 - 3.2).collect();
        let id = self.id();
        let ask = Ask { space, key, payload: value.as_bytes(), ..Ask::default() };
        match self.below(12) {
            0 => drop(self.both(op::DELETE, &ask)),
            1 if self.below(4) == 0 => drop(self.both(op::ERASE, &ask)),
            2 => {
                let control = json!({"caused_by": [id]}).to_string();
                let answer = self.both(op::PUT, &Ask { control: &control, ..ask });
                self.note(answer);
            }
            3 => {
                let answer = self.both(op::RESTORE, &Ask { payload: id.as_bytes(), ..ask });
                self.note(answer);
            }
            4 => {
                let mut payload = Vec::new();
                for key in KEYS {
                    let value = self.value();
                    for length in [space.len(), key.len(), value.len(), 0] {
                        payload.extend((length as u32).to_le_bytes());
                    }
                    payload.extend([space, key, &value].concat().as_bytes());
                }
                self.both(op::PUT_BATCH, &Ask { payload: &payload, ..Ask::default() }).unwrap();
            }
            5 => drop(self.both(op::PUT, &Ask { vector: &vector, flags: op::FLAG_KEEP, ..ask })),
            6 | 7 => {
                let answer = self.both(op::PUT, &Ask { vector: &vector, ..ask });
                self.note(answer);
            }
            _ => {
                let answer = self.both(op::PUT, &ask);
                self.note(answer);
            }
        }
    }

    fn id(&mut self) -> String {
        match self.ids.len() {
            0 => "00".repeat(16),
            count => {
                let index = self.below(count);
                self.ids[index].clone()
            }
        }
    }

    fn read(&mut self) {
        let ((space, key), at, id) = (self.name(), self.moment(), self.id());
        let ask = Ask { space, key, at, ..Ask::default() };
        let of_id = Ask { payload: id.as_bytes(), ..ask };
        let limit = json!({"limit": 1 + self.below(4)}).to_string();
        match self.below(14) {
            0..3 => drop(self.both(op::GET, &ask)),
            3 => drop(self.both(op::GET_MANY, &Ask { payload: b"[\"a\",\"c\",\"x\"]", ..ask })),
            4 => drop(self.both(op::GET_MANY, &ask)),
            5 => {
                drop(self.both(op::HISTORY, &Ask { at: None, ..ask }));
                drop(self.both(op::HISTORY, &Ask { control: &limit, ..ask }));
            }
            6 => drop(self.both(op::VERSION, &of_id)),
            7 => {
                let control = json!({"from": id, "to": self.id()}).to_string();
                drop(self.both(op::DIFF, &Ask { control: &control, ..ask }));
                drop(self.both(op::DIFF, &ask));
            }
            8 => {
                drop(self.both(op::LINEAGE, &of_id));
                drop(self.both(op::EFFECTS, &Ask { control: &limit, ..of_id }));
            }
            9 => self.query(&ask),
            10 => self.search(&ask),
            11 => {
                let since = at.unwrap_or_default();
                let ask = if self.below(2) == 0 { Ask { space: "", key: "", ..ask } } else { ask };
                let ask = Ask { at: None, ..ask };
                for payload in [&b""[..], b"{\"rank\":1}"] {
                    let ask = Ask { payload, ..ask };
                    assert!(self.lean.changes(since, &ask) == self.kept.changes(since, &ask));
                }
            }
            12 => {
                drop(self.both(op::LIST_KEYS, &ask));
                drop(self.both(op::LIST_NAMESPACES, &ask));
                drop(self.both(op::CONTAINS, &ask));
                drop(self.both(op::VECTOR, &ask));
            }
            _ => {
                let (report, _) = self.both(op::VERIFY, &Ask::default()).unwrap();
                let report: Value = serde_json::from_slice(&report).unwrap();
                assert_eq!(report["problems"], json!([]));
            }
        }
    }

    fn query(&mut self, ask: &Ask<'_>) {
        let filter = json!({"rank": {"$gte": self.below(5)}}).to_string();
        let ask = Ask { payload: filter.as_bytes(), ..*ask };
        let limit = 1 + self.below(3);
        let controls = [
            json!({"limit": limit}),
            json!({"limit": limit, "offset": 1, "order_by": [["content", true]]}),
            json!({"order_by": [["rank", false]], "select": ["rank"]}),
        ];
        for control in controls.map(|control| control.to_string()) {
            drop(self.both(op::QUERY, &Ask { control: &control, ..ask }));
            drop(self.both(op::QUERY, &Ask { control: &control, payload: b"", ..ask }));
        }
        drop(self.both(op::COUNT, &ask));
        drop(self.both(op::COUNT, &Ask { payload: b"", ..ask }));
        let sum = json!({"group_by": "rank", "aggregates": {"n": {"$count": "rank"}}}).to_string();
        let control = json!({"aggregation": sum}).to_string();
        drop(self.both(op::AGGREGATE, &Ask { control: &control, ..ask }));
    }

    fn search(&mut self, ask: &Ask<'_>) {
        let filter = json!({"rank": {"$lt": self.below(6)}}).to_string();
        let filter = if self.below(2) == 0 { &b""[..] } else { filter.as_bytes() };
        let at = if self.below(4) == 0 { None } else { ask.at };
        let query: Vec<f32> = (0..4).map(|_| self.below(5) as f32 - 1.9).collect();
        let ask = Ask { payload: filter, at, ..*ask };
        let control = json!({"text": "red fish", "top_k": 3}).to_string();
        drop(self.both(op::SEARCH, &Ask { control: &control, ..ask }));
        let near = Ask { vector: &query, ..ask };
        let control = json!({"queries": 1, "top_k": 3}).to_string();
        drop(self.both(op::SIMILAR, &Ask { control: &control, ..near }));
        drop(self.both(op::SIMILAR, &Ask { control: &control, space: "", ..near }));
        let control = json!({"text": "old blue", "top_k": 4, "weight": 0.5}).to_string();
        drop(self.both(op::HYBRID, &Ask { control: &control, ..near }));
        let control = json!({
            "text": "green", "limit": 4, "min_relevance": 0.0, "now": self.now, "half_life": 0.1,
            "weights": [1.0, 1.0, 1.0], "vector_share": 0.5, "min_cosine": 0.3,
        });
        let control = control.to_string();
        drop(self.both(op::RECALL, &Ask { control: &control, ..near }));
        drop(self.both(op::RECALL, &Ask { control: &control, ..ask }));
    }

    /// Has both write a snapshot, and go on from it.
    fn compact(&mut self) {
        let mut control = json!({"max_bytes": 2000, "last": true});
        match self.below(4) {
            0 => control["keep_versions"] = json!(1 + self.below(4)),
            1 => control["since"] = json!(self.moment()),
            _ => {}
        }
        drop(
            self.both(op::SNAPSHOT_SIZE, &Ask { control: &control.to_string(), ..Ask::default() }),
        );
        let mut file = Vec::new();
        loop {
            let asked = control.to_string();
            let (part, _) =
                self.both(op::SNAPSHOT, &Ask { control: &asked, ..Ask::default() }).unwrap();
            let (part, length) = part.split_at(part.len() - 4);
            let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
            let (bytes, said) = part.split_at(part.len() - length);
            let said: Value = serde_json::from_slice(said).unwrap();
            file.extend(bytes);
            control["after"] = said["next"].clone();
            if said["ended"] == true {
                break;
            }
        }
        for engine in [&mut self.kept, &mut self.lean] {
            engine.file.clone_from(&file);
            engine.reopen(1000);
        }
    }
}

#[test]
fn an_engine_that_keeps_no_old_value_in_memory_answers_the_same() {
    let (mut aside, mut fetched) = (0, 0);
    for seed in 0..40 {
        let mut twins = Twins::new(seed);
        for step in 0..150 {
            match twins.below(40) {
                0 => {
                    twins.kept.reopen(4096);
                    twins.lean.reopen(1 << 20);
                }
                1 => twins.compact(),
                2 if step < 50 => {
                    let ask = Ask { space: "n", key: "rank", ..Ask::default() };
                    drop(twins.both(op::CREATE_INDEX, &ask));
                    let ask = Ask { space: "n", key: "view", payload: b"{\"rank\":2}", ..ask };
                    drop(twins.both(op::CREATE_VIEW, &ask));
                }
                3 => {
                    let at = twins.moment();
                    drop(twins.both(op::VIEW, &Ask { key: "view", at, ..Ask::default() }));
                }
                4..22 => twins.write(),
                _ => twins.read(),
            }
        }
        let stats = twins.lean.stats();
        assert_eq!(stats["versions"], twins.kept.stats()["versions"]);
        assert_eq!(stats["record_bytes"], twins.kept.stats()["record_bytes"]);
        aside += stats["aside"].as_u64().unwrap();
        fetched += twins.lean.fetched;
        assert_eq!(twins.kept.stats()["aside"], 0);
    }
    assert!(aside > 1000 && fetched > 1_000_000, "{aside} versions, {fetched} bytes");
}

/// Versions of one key, all but the last of them set aside.
fn overwritten(count: usize, length: usize) -> Engine {
    let mut engine = Engine::open(true);
    for index in 0..=count {
        let value = json!({"index": index, "text": "x".repeat(length)}).to_string();
        let ask = Ask { space: "n", key: "k", payload: value.as_bytes(), ..Ask::default() };
        engine.ask_at(START + index as u64, op::PUT, &ask).unwrap();
    }
    let ask = Ask { space: "n", key: "other", payload: b"1", ..Ask::default() };
    engine.ask_at(START + count as u64 + 1, op::PUT, &ask).unwrap();
    engine
}

#[test]
fn every_flipped_bit_of_a_value_in_the_file_is_damage_with_its_offset() {
    let mut engine = overwritten(1, 40);
    assert_eq!(engine.stats()["aside"], 1);
    let ask = Ask { space: "n", key: "k", at: Some(START), ..Ask::default() };
    let good = engine.ask_at(0, op::GET, &ask).unwrap();
    let frame = 64..64 + 40 + engine.fetched - 40;
    for bit in 8 * frame.start..8 * frame.end {
        engine.file[bit / 8] ^= 1 << (bit % 8);
        let error = engine.ask_at(0, op::GET, &ask).unwrap_err();
        assert_eq!(
            (error.kind, error.details["offset"].as_u64()),
            (Kind::Corrupt, Some(64)),
            "{bit}"
        );
        engine.file[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(engine.ask_at(0, op::GET, &ask).unwrap(), good);
}

#[test]
fn the_whole_frame_of_another_version_is_not_taken_for_the_one_that_was_asked_for() {
    let mut engine = overwritten(2, 40);
    let ask = |at| Ask { space: "n", key: "k", at: Some(at), ..Ask::default() };
    engine.ask_at(0, op::GET, &ask(START)).unwrap();
    let length = engine.fetched;
    let second = 64 + length + 80;
    let other = engine.file[second..second + length].to_vec();
    engine.file[64..64 + length].copy_from_slice(&other);
    assert_eq!(engine.ask_at(0, op::GET, &ask(START)).unwrap_err().kind, Kind::Corrupt);
    assert!(engine.ask_at(0, op::GET, &ask(START + 1)).is_ok());
}

#[test]
fn more_than_memory_has_room_for_is_refused_and_a_part_of_it_is_not() {
    let mut engine = overwritten(100, 100_000);
    let ask = Ask { space: "n", key: "k", ..Ask::default() };
    let refused = engine.ask_at(0, op::HISTORY, &ask).unwrap_err();
    assert_eq!(refused.kind, Kind::Limit);
    assert!(refused.message.contains("old values"), "{refused}");
    let page = Ask { control: "{\"limit\":10}", at: Some(START + 50), ..ask };
    let (payload, _) = engine.ask_at(0, op::HISTORY, &page).unwrap();
    assert_eq!(payload[..4], 10_u32.to_le_bytes());
    let (report, _) = engine.ask_at(0, op::VERIFY, &ask).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!((&report["versions"], &report["problems"]), (&json!(102), &json!([])));
}

#[test]
fn a_request_in_between_and_other_bytes_are_dealt_with() {
    let mut engine = overwritten(3, 200);
    let ask = Ask { space: "n", key: "k", at: Some(START), ..Ask::default() };
    let good = engine.ask_at(0, op::GET, &ask).unwrap();
    let wanting = engine.bytes(0, &ask);
    let nothing = engine.bytes(0, &Ask::default());
    let kind = |answer: Answer| answer.err().map(|error| error.kind);
    // The host could not read what it was asked for, and somebody else asks for something.
    assert_eq!(kind(engine.once(op::GET, &wanting)), Some(Kind::Fetch));
    engine.once(op::FETCH, &nothing).unwrap();
    assert!(engine.ask_at(0, op::GET, &Ask { at: Some(START + 1), ..ask }).is_ok());
    assert_eq!(engine.ask_at(0, op::GET, &ask).unwrap(), good);
    // Bytes that nobody asked for, too many, and too few.
    let unasked = engine.bytes(0, &Ask { payload: b"12345678", ..Ask::default() });
    assert_eq!(kind(engine.once(op::FETCH, &unasked)), Some(Kind::Internal));
    assert_eq!(kind(engine.once(op::GET, &wanting)), Some(Kind::Fetch));
    engine.once(op::FETCH, &nothing).unwrap();
    assert_eq!(kind(engine.once(op::FETCH, &unasked)), Some(Kind::Internal));
    assert_eq!(engine.ask_at(0, op::GET, &ask).unwrap(), good);
    // Nothing is wanted.
    assert_eq!(engine.once(op::FETCH, &nothing).unwrap(), (Vec::new(), op::REPLY_TRUE));
}

#[test]
fn what_is_not_acknowledged_sets_nothing_aside() {
    let mut engine = overwritten(1, 200);
    let before = engine.stats()["aside"].clone();
    let acknowledged = engine.sequence;
    for index in 0..3 {
        let ask = Ask { space: "n", key: "k", payload: b"2", ..Ask::default() };
        engine.sequence = acknowledged;
        let bytes = engine.bytes(START + 10 + index, &ask);
        engine.once(op::PUT, &bytes).unwrap();
    }
    engine.sequence = acknowledged;
    let bytes = engine.bytes(0, &Ask { space: "n", key: "k", ..Ask::default() });
    let (value, _) = engine.once(op::GET, &bytes).unwrap();
    assert!(value.len() > 200, "the value that is acknowledged");
    assert_eq!(engine.stats()["aside"], before);
}

/// Puts values, one after the other, under their keys.
fn written(values: &[(&str, usize)]) -> Engine {
    let mut engine = Engine::open(true);
    for (index, (key, length)) in values.iter().enumerate() {
        let value = json!("x".repeat(length - 2)).to_string();
        let ask = Ask { space: "n", key, payload: value.as_bytes(), ..Ask::default() };
        engine.ask_at(START + index as u64, op::PUT, &ask).unwrap();
    }
    engine
}

#[test]
fn short_records_stay_in_memory() {
    for (length, aside) in [(MIN_ASIDE_BYTES - 1, 0), (MIN_ASIDE_BYTES, 1)] {
        let value = length - RECORD_HEADER_BYTES - 2;
        let mut engine = written(&[("k", value), ("k", 9), ("k", 9), ("k", 9)]);
        assert_eq!(engine.stats()["aside"], aside, "{length}");
    }
}

#[test]
fn frames_that_lie_close_to_each_other_are_read_in_one_go() {
    let filler = MAX_FETCH_GAP_BYTES - 2 * 80 - FRAME_HEADER_BYTES - RECORD_HEADER_BYTES - 2;
    for (length, stretches) in [(filler, 1), (filler + 1, 2)] {
        let values = [("k", 200), ("f", length), ("k", 200), ("k", 9), ("k", 9)];
        let mut engine = written(&values);
        engine.ask_at(0, op::HISTORY, &Ask { space: "n", key: "k", ..Ask::default() }).unwrap();
        assert_eq!(engine.asked.len(), 1);
        assert_eq!(engine.asked[0].0, stretches, "{length}");
    }
}

#[test]
fn what_is_long_is_read_in_parts() {
    let most = MAX_FETCH_BYTES.min(BUDGET / 32);
    let mut engine = overwritten(12, most / 3);
    let ask = Ask { space: "n", key: "k", ..Ask::default() };
    let (payload, _) = engine.ask_at(0, op::HISTORY, &ask).unwrap();
    assert_eq!(payload[..4], 13_u32.to_le_bytes());
    assert_eq!(engine.asked.len(), 6, "two fit in each");
    assert!(engine.asked.iter().all(|(_, bytes)| *bytes <= most));
    let mut engine = overwritten(2, 2 * most);
    engine.ask_at(0, op::HISTORY, &ask).unwrap();
    assert!(engine.asked.iter().all(|(_, bytes)| *bytes > most), "longer ones by themselves");
}
