//! The conformance vectors, natively: `tests/conformance.py` makes them from the specification.

#![expect(unsafe_code, reason = "vectors are written where the engine made room for them")]
#![expect(clippy::unwrap_used, reason = "a test may stop where it is wrong")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it reads files of vectors, and says how many there were"
)]

use std::path::Path;

use koru_delta_core::db::Database;
use koru_delta_core::dispatch::Instance;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Document {
    name: String,
    steps: Vec<Step>,
    log: String,
}

#[derive(Deserialize)]
struct Step {
    about: String,
    request: Request,
    reply: Reply,
    /// Bytes that belong where the reply's payload says.
    fill: Option<String>,
}

#[derive(Deserialize)]
struct Request {
    opcode: u32,
    bytes: String,
    namespace: String,
    control: Value,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Reply {
    status: u32,
    flags: u32,
    #[serde(default)]
    payload: String,
    #[serde(default)]
    error: Map<String, Value>,
    journal: String,
    sequence: u64,
}

fn documents() -> Vec<Document> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the engine answers to a request, as far as `expected` says something about it.
fn answer(instance: &mut Instance, request: &Request, expected: &Reply) -> Reply {
    let mut found = Reply::default();
    match instance.call(request.opcode, &unhex(&request.bytes), || 0) {
        Ok(reply) => {
            found.flags = reply.flags;
            found.payload = hex(&reply.payload);
        }
        Err(error) => {
            let told: Map<String, Value> = serde_json::from_slice(&error.to_json()).unwrap();
            assert!(told.contains_key("message") && told.contains_key("suggestion"));
            found.status = error.kind as u32;
            found.error =
                told.into_iter().filter(|(name, _)| expected.error.contains_key(name)).collect();
        }
    }
    let database = instance.database();
    if found.status == 0 {
        found.journal = database.map(|database| hex(database.journal())).unwrap_or_default();
    }
    found.sequence = database.map_or(0, Database::sequence);
    found
}

/// Makes room for vectors, and writes them there. An address of 64 bits fits in no reply, so the
/// database is asked by itself.
fn fill(instance: &mut Instance, request: &Request, content: &[u8]) -> Reply {
    let Instance::Open(database) = instance else { return Reply::default() };
    let Value::Object(control) = &request.control else { return Reply::default() };
    let number = |name: &str| control[name].as_u64().unwrap();
    let (dimension, count) = (number("dimension"), number("count"));
    let (dimension, count) = (usize::try_from(dimension).unwrap(), u32::try_from(count).unwrap());
    let model = control["model"].as_str().unwrap();
    let stretches = database.reserve_vectors(&request.namespace, model, dimension, count).unwrap();
    let mut rest = content;
    for (address, length) in stretches {
        let (part, others) = rest.split_at(length);
        let room = core::ptr::with_exposed_provenance_mut::<u8>(address);
        // SAFETY: the database has just made room for `length` bytes there, and nothing was called since.
        unsafe { core::ptr::copy_nonoverlapping(part.as_ptr(), room, length) };
        rest = others;
    }
    assert!(rest.is_empty());
    Reply { sequence: database.sequence(), ..Reply::default() }
}

#[test]
fn every_step_comes_to_what_the_vectors_say() {
    let documents = documents();
    for document in &documents {
        let mut instance = Instance::default();
        let mut log = String::new();
        for step in &document.steps {
            let found = match &step.fill {
                Some(content) => fill(&mut instance, &step.request, &unhex(content)),
                None => answer(&mut instance, &step.request, &step.reply),
            };
            assert_eq!(found, step.reply, "{}: {}", document.name, step.about);
            log += &found.journal;
        }
        assert_eq!(log, document.log, "the log of {}", document.name);
    }
    let steps: usize = documents.iter().map(|document| document.steps.len()).sum();
    println!("{{\"files\": {}, \"steps\": {steps}, \"wrong\": []}}", documents.len());
    assert!(steps > 150);
}
