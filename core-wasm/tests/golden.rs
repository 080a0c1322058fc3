//! A fixed sequence of requests gives exactly these bytes: the log is the same on every host.
//! `tests/golden_requests.py` makes the requests, and runs them on the built module.

#![expect(clippy::unwrap_used, reason = "a test may stop where it is wrong")]

use koru_delta_core::db::{Database, Options, Replay};
use koru_delta_core::dispatch::Instance;
use koru_delta_core::log::recovery::Progress;
use serde::Deserialize;

const GOLDEN: &[u8] = include_bytes!("../../tests/fixtures/golden.koru");
/// BLAKE3 of the log. To approve another one is to change the file format.
const APPROVED: &str = "bed2c2b5a1129d4bf20d4314dc5446152fe2a2111ee4b10cd8746fe4ef6dc038";

#[derive(Deserialize)]
struct Fixture {
    replies_crc32c: u32,
    requests: Vec<(u32, String)>,
}

/// What a run leaves: the log, the replies and the database.
struct Run {
    log: Vec<u8>,
    replies: Vec<u8>,
    instance: Instance,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../tests/fixtures/requests.json")).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn run(fixture: &Fixture) -> Run {
    let mut run = Run { log: Vec::new(), replies: Vec::new(), instance: Instance::default() };
    for (opcode, request) in &fixture.requests {
        let (status, flags, payload) = match run.instance.call(*opcode, &unhex(request), || 0) {
            Ok(reply) => (0, reply.flags, reply.payload.into_owned()),
            Err(error) => (error.kind as u32, 0, Vec::new()),
        };
        let database = run.instance.database().unwrap();
        if status == 0 {
            run.log.extend_from_slice(database.journal());
        }
        run.replies.extend_from_slice(&status.to_le_bytes());
        run.replies.extend_from_slice(&flags.to_le_bytes());
        run.replies.extend_from_slice(&database.sequence().to_le_bytes());
        run.replies.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        run.replies.extend_from_slice(&payload);
    }
    run
}

fn replayed(log: &[u8], verify: bool) -> Database {
    let mut replay = Replay::new(&Options::default(), true, verify);
    let progress = replay.feed(0, log, true).unwrap();
    assert!(matches!(progress, Progress::Done(outcome) if outcome.valid_bytes == log.len() as u64));
    replay.finish().unwrap()
}

#[test]
fn the_log_is_the_approved_one() {
    let log = run(&fixture()).log;
    assert_eq!(log, GOLDEN);
    assert_eq!(blake3::hash(&log).to_hex().as_str(), APPROVED);
}

#[test]
fn the_replies_are_those_of_the_module() {
    let fixture = fixture();
    assert_eq!(crc32c::crc32c(&run(&fixture).replies), fixture.replies_crc32c);
}

#[test]
fn the_log_reads_back_as_the_database_that_wrote_it() {
    let run = run(&fixture());
    let database = run.instance.database().unwrap();
    assert_eq!(replayed(GOLDEN, false).head(), database.head());
    assert_eq!(replayed(GOLDEN, true).head(), database.head(), "with every hash recomputed");
    let (one, other) = (replayed(GOLDEN, false).stats(), database.stats());
    assert_eq!((one.versions, one.commits), (other.versions, other.commits));
    assert_eq!((one.timestamp, one.record_bytes), (other.timestamp, other.record_bytes));
}
