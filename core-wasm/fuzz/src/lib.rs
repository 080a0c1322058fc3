//! What the fuzz targets have in common: inputs taken apart, and an engine that is spoken to as a
//! host speaks to it.

use koru_delta_core::dispatch::Instance;
use koru_delta_core::error::{Error, Kind};
use koru_delta_core::protocol as op;
use serde_json::{Value, json};

/// When the first request of a run is sent, in microseconds since 1970.
pub const START_US: u64 = 1_700_000_000_000_000;
/// The memory budget that instances are given.
pub const BUDGET_BYTES: usize = 64 << 20;
const DATABASE_ID: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// What a reply says: its payload and its flags.
pub type Answer = Result<(Vec<u8>, u32), Error>;

/// An input that is taken apart from its beginning; what is missing reads as zeros.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// So many bytes, or what is left.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A length of one byte, or of two behind 255, and that many bytes.
    pub fn part(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            255 => usize::from(self.byte()) << 8 | usize::from(self.byte()),
            short => usize::from(short),
        };
        self.take(length)
    }

    /// Eight bytes as a number.
    pub fn number(&mut self) -> u64 {
        self.take(8).iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// A request's parts.
#[derive(Clone, Copy, Default)]
pub struct Parts<'a> {
    pub namespace: &'a [u8],
    pub key: &'a [u8],
    pub control: &'a [u8],
    pub payload: &'a [u8],
    pub vector: &'a [u8],
    pub flags: u32,
    /// As-of time; 0 stands for now.
    pub at: u64,
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("inputs are short").to_le_bytes()
}

/// The bytes of a request.
pub fn request(parts: &Parts<'_>, now: u64, acknowledged: u64, synced: u64) -> Vec<u8> {
    let at = if parts.at == 0 { op::NOW } else { parts.at };
    let mut bytes = Vec::new();
    bytes.extend(now.to_le_bytes());
    bytes.extend(acknowledged.to_le_bytes());
    bytes.extend(at.to_le_bytes());
    for part in [parts.namespace, parts.key, parts.control, parts.payload] {
        bytes.extend(length(part));
    }
    bytes.extend(parts.flags.to_le_bytes());
    bytes.extend(length(parts.vector));
    bytes.extend(synced.to_le_bytes());
    for part in [parts.namespace, parts.key, parts.control, parts.payload, parts.vector] {
        bytes.extend(part);
    }
    bytes
}

/// One item of a batch's payload.
pub fn batch_item(namespace: &[u8], key: &[u8], value: &[u8], flags: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [namespace, key, value] {
        bytes.extend(length(part));
    }
    bytes.extend(flags.to_le_bytes());
    for part in [namespace, key, value] {
        bytes.extend(part);
    }
    bytes
}

fn open_control() -> Value {
    json!({"database_id": DATABASE_ID, "journal": true, "memory_budget": BUDGET_BYTES})
}

/// An instance with the log that it wrote.
#[derive(Default)]
pub struct Engine {
    pub instance: Instance,
    pub log: Vec<u8>,
    pub sequence: u64,
    now: u64,
}

impl Engine {
    /// An empty database.
    pub fn open() -> Self {
        Self::open_with(open_control())
    }

    /// An empty database that keeps no value of the past in memory.
    pub fn open_lean() -> Self {
        let mut control = open_control();
        control["aside_above"] = json!(0);
        Self::open_with(control)
    }

    fn open_with(control: Value) -> Self {
        let mut engine = Self::default();
        let control = control.to_string();
        let parts = Parts { control: control.as_bytes(), ..Parts::default() };
        engine.send(op::OPEN, &parts).expect("an empty database opens");
        engine
    }

    /// Sends a request as a host does that has acknowledged and synced everything.
    pub fn send(&mut self, opcode: u32, parts: &Parts<'_>) -> Answer {
        self.now += 1_000;
        let bytes = request(parts, START_US + self.now, self.sequence, self.sequence);
        self.send_bytes(opcode, &bytes)
    }

    /// Sends the bytes of a request, whatever they are.
    pub fn send_bytes(&mut self, opcode: u32, bytes: &[u8]) -> Answer {
        let mut answer = self.call(opcode, bytes);
        // Some need one value to know which other they need.
        for _ in 0..10_000 {
            if answer.as_ref().err().map(|error| error.kind) != Some(Kind::Fetch) {
                break;
            }
            answer = self.fetch().and_then(|()| self.call(opcode, bytes));
        }
        if let Some(database) = self.instance.database() {
            if answer.is_ok() {
                self.log.extend(database.journal());
            }
            self.sequence = database.sequence();
        }
        if let Err(error) = &answer {
            assert!(!error.message.is_empty());
        }
        answer
    }

    fn call(&mut self, opcode: u32, bytes: &[u8]) -> Answer {
        let reply = self.instance.call(opcode, bytes, || 0)?;
        Ok((reply.payload.into_owned(), reply.flags))
    }

    /// Hands over what the engine wants of the log.
    fn fetch(&mut self) -> Result<(), Error> {
        let mut brought = Vec::new();
        loop {
            let parts = Parts { payload: &brought, ..Parts::default() };
            let (stretches, flags) = self.call(op::FETCH, &request(&parts, 0, 0, 0))?;
            if flags & op::REPLY_TRUE != 0 {
                return Ok(());
            }
            brought = Vec::new();
            for stretch in stretches.chunks_exact(12) {
                let offset = u64::from_le_bytes(stretch[..8].try_into().expect("eight bytes"));
                let length = u32::from_le_bytes(stretch[8..].try_into().expect("four bytes"));
                let offset = usize::try_from(offset).expect("the log is short");
                brought.extend(&self.log[offset..offset + length as usize]);
            }
        }
    }

    /// Puts a value, which must be accepted.
    pub fn put(&mut self, namespace: &str, key: &str, value: &[u8]) {
        let parts = Parts {
            namespace: namespace.as_bytes(),
            key: key.as_bytes(),
            payload: value,
            ..Parts::default()
        };
        self.send(op::PUT, &parts).expect("a good value is stored");
    }

    /// The hash of the latest commit.
    pub fn head(&mut self) -> Vec<u8> {
        self.send(op::HEAD, &Parts::default()).expect("there is a head").0
    }

    /// Everything held is as it was hashed.
    pub fn check(&mut self) {
        let (payload, _) = self.send(op::VERIFY, &Parts::default()).expect("verify answers");
        let report: Value = serde_json::from_slice(&payload).expect("verify answers in JSON");
        assert_eq!(report["problems"], json!([]), "{report}");
    }

    /// The log, read back, is the same database.
    pub fn check_log(&mut self) {
        // A replay that recomputes everything keeps nothing but the head.
        let (mut checked, outcome) = replay(&self.log, 1 << 16, true, true).expect("own log holds");
        assert_eq!(outcome, Outcome { valid: self.log.len(), dropped: 0 });
        assert_eq!(checked.head(), self.head());
        let (mut again, outcome) = replay(&self.log, 1 << 12, true, false).expect("own log opens");
        assert_eq!(outcome, Outcome { valid: self.log.len(), dropped: 0 });
        assert_eq!(again.head(), self.head());
        let parts = Parts::default();
        for opcode in [op::LIST_NAMESPACES, op::LIST_INDEXES, op::LIST_VIEWS] {
            assert_eq!(again.send(opcode, &parts).ok(), self.send(opcode, &parts).ok());
        }
    }
}

/// What a log came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub valid: usize,
    pub dropped: usize,
}

/// Feeds a log to a new instance, in pieces, as a host does.
///
/// # Errors
/// What the engine makes of it.
pub fn replay(
    log: &[u8],
    piece: usize,
    writable: bool,
    verify: bool,
) -> Result<(Engine, Outcome), Error> {
    let mut engine = Engine::default();
    let (mut offset, mut want) = (0, 0);
    for _ in 0..16 + 4 * log.len() {
        let end = (offset + piece.max(want)).min(log.len());
        let control = json!({
            "open": open_control(), "writable": writable, "verify": verify, "offset": offset,
        })
        .to_string();
        let parts = Parts {
            control: control.as_bytes(),
            payload: log.get(offset..end).unwrap_or_default(),
            flags: if end == log.len() { op::FLAG_END } else { 0 },
            ..Parts::default()
        };
        let (payload, _) = engine.send(op::REPLAY, &parts)?;
        let report: Value = serde_json::from_slice(&payload).expect("progress is JSON");
        let number = |name: &str| report[name].as_u64().and_then(|n| usize::try_from(n).ok());
        if let (Some(valid), Some(dropped)) = (number("valid_bytes"), number("dropped_bytes")) {
            assert!(valid + dropped <= log.len());
            return Ok((engine, Outcome { valid, dropped }));
        }
        offset = number("offset").expect("progress says where to go on");
        want = number("want").expect("progress says how much it needs");
        assert!(offset <= log.len(), "it asks for bytes behind the end");
    }
    panic!("reading a log of {} bytes does not end", log.len());
}

/// Lines of an input: what it consists of where it is text.
pub fn lines(data: &[u8]) -> Vec<&[u8]> {
    data.split(|byte| *byte == b'\n').collect()
}

/// A failure that is the caller's fault, or a full memory: never a broken engine.
pub fn is_refusal(error: &Error) -> bool {
    error.kind != Kind::Internal || error.message.contains("as expected")
}
