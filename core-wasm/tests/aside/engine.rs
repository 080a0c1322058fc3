//! An engine with its file, which fetches what it is asked for.

use koru_delta_core::dispatch::Instance;
use koru_delta_core::error::{Error, Kind};
use koru_delta_core::protocol as op;
use serde_json::{Value, json};

pub(crate) const BUDGET: usize = 6 << 20;
pub(crate) const START: u64 = 1_700_000_000_000_000;

pub(crate) type Answer = Result<(Vec<u8>, u32), Error>;

#[derive(Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    pub(crate) space: &'a str,
    pub(crate) key: &'a str,
    pub(crate) control: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) vector: &'a [f32],
    pub(crate) at: Option<u64>,
    pub(crate) flags: u32,
}

/// An engine with its file.
#[derive(Default)]
pub(crate) struct Engine {
    pub(crate) instance: Instance,
    pub(crate) file: Vec<u8>,
    pub(crate) sequence: u64,
    /// Whether old values are set aside.
    pub(crate) is_lean: bool,
    pub(crate) fetched: usize,
    /// How many stretches it was asked for at a time, and how many bytes.
    pub(crate) asked: Vec<(usize, usize)>,
}

impl Engine {
    pub(crate) fn open(is_lean: bool) -> Self {
        let mut engine = Self { is_lean, ..Self::default() };
        let control = engine.open_control().to_string();
        engine
            .once(op::OPEN, &engine.bytes(0, &Ask { control: &control, ..Ask::default() }))
            .unwrap();
        engine
    }

    pub(crate) fn open_control(&self) -> Value {
        let aside_above = self.is_lean.then_some(0);
        json!({
            "database_id": "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a", "journal": true,
            "memory_budget": BUDGET, "aside_above": aside_above,
        })
    }

    pub(crate) fn bytes(&self, now: u64, ask: &Ask<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let vector: Vec<u8> = ask.vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        for word in [now, self.sequence, ask.at.unwrap_or(op::NOW)] {
            bytes.extend(word.to_le_bytes());
        }
        let parts = [ask.space.as_bytes(), ask.key.as_bytes(), ask.control.as_bytes(), ask.payload];
        parts.iter().for_each(|part| bytes.extend((part.len() as u32).to_le_bytes()));
        bytes.extend(ask.flags.to_le_bytes());
        bytes.extend((vector.len() as u32).to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        parts.iter().for_each(|part| bytes.extend(*part));
        bytes.extend(vector);
        bytes
    }

    pub(crate) fn once(&mut self, opcode: u32, bytes: &[u8]) -> Answer {
        let answer = self.instance.call(opcode, bytes, || 1);
        let answer = answer.map(|reply| (reply.payload.into_owned(), reply.flags));
        if let Some(database) = self.instance.database() {
            if answer.is_ok() {
                self.file.extend(database.journal());
            }
            self.sequence = database.sequence();
        }
        answer
    }

    /// As a host does it: what the engine wants is read and handed over, and it is asked again.
    pub(crate) fn ask_at(&mut self, now: u64, opcode: u32, ask: &Ask<'_>) -> Answer {
        let bytes = self.bytes(now, ask);
        for _ in 0..1000 {
            let answer = self.once(opcode, &bytes);
            if answer.as_ref().err().map(|error| error.kind) != Some(Kind::Fetch) {
                return answer;
            }
            assert!(self.is_lean);
            let mut brought = Vec::new();
            loop {
                let request = self.bytes(0, &Ask { payload: &brought, ..Ask::default() });
                let (stretches, flags) = self.once(op::FETCH, &request)?;
                if flags & op::REPLY_TRUE != 0 {
                    assert!(stretches.is_empty());
                    break;
                }
                brought = self.read(&stretches);
            }
        }
        panic!("it asks for ever");
    }

    pub(crate) fn read(&mut self, stretches: &[u8]) -> Vec<u8> {
        let mut brought = Vec::new();
        let mut end = 0;
        for stretch in stretches.chunks_exact(12) {
            let offset = u64::from_le_bytes(stretch[..8].try_into().unwrap()) as usize;
            let length = u32::from_le_bytes(stretch[8..].try_into().unwrap()) as usize;
            assert!(offset >= end && length > 0, "ascending, and apart");
            end = offset + length;
            brought.extend(&self.file[offset..end]);
        }
        self.fetched += brought.len();
        self.asked.push((stretches.len() / 12, brought.len()));
        brought
    }

    /// A new instance with what the file has; in pieces.
    pub(crate) fn reopen(&mut self, piece: usize) {
        self.instance = Instance::default();
        let mut offset = 0;
        loop {
            let control = json!({
                "open": self.open_control(), "writable": true, "verify": false, "offset": offset,
            });
            let end = (offset + piece).min(self.file.len());
            let payload = self.file[offset..end].to_vec();
            let flags = if end == self.file.len() { op::FLAG_END } else { 0 };
            let control = control.to_string();
            let ask = Ask { control: &control, payload: &payload, flags, ..Ask::default() };
            let bytes = self.bytes(0, &ask);
            let reply = self.instance.call(op::REPLAY, &bytes, || 1).unwrap();
            let said: Value = serde_json::from_slice(&reply.payload).unwrap();
            if said.get("valid_bytes").is_some() {
                assert_eq!(said["dropped_bytes"], 0);
                break;
            }
            offset = said["offset"].as_u64().unwrap() as usize;
            assert!(said["want"].as_u64().unwrap() as usize <= piece);
        }
        self.sequence = self.instance.database().unwrap().sequence();
    }

    pub(crate) fn stats(&mut self) -> Value {
        let (payload, _) = self.ask_at(0, op::STATS, &Ask::default()).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    /// All changes from a time on, with the records, however many pages it takes.
    pub(crate) fn changes(&mut self, since: u64, ask: &Ask<'_>) -> Result<Vec<u8>, Error> {
        let (mut timestamp, mut taken, mut all) = (since, 0, Vec::new());
        loop {
            let control = json!({"timestamp": timestamp, "taken": taken}).to_string();
            let (page, flags) = self.ask_at(0, op::CHANGES, &Ask { control: &control, ..*ask })?;
            let next = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().unwrap());
            assert!((next(0), next(8)) >= (timestamp, taken));
            (timestamp, taken) = (next(0), next(8));
            let count = u32::from_le_bytes(page[16..20].try_into().unwrap()) as usize;
            let mut body = &page[20 + 16 * count..];
            for change in page[20..20 + 16 * count].chunks_exact(16) {
                all.extend(change);
                for at in [8, 12] {
                    let length =
                        u32::from_le_bytes(change[at..at + 4].try_into().unwrap()) as usize;
                    all.extend(&body[..length]);
                    body = &body[length..];
                }
            }
            if flags & op::REPLY_TRUE == 0 {
                return Ok(all);
            }
        }
    }
}
