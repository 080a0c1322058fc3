//! Orders, selections, aggregations and views, through requests: any control and any filter over
//! any documents; with indexes the answers are the same.
//!
//! The first line is a control object, the second a filter or nothing, each other line a value.

#![no_main]

use koru_delta_core::codec::json::validate;
use koru_delta_core::protocol as op;
use koru_delta_fuzz::{Answer, Engine, Parts, is_refusal, lines};
use libfuzzer_sys::fuzz_target;

const FIELDS: [&str; 5] = ["a", "b", "a.b", "a.0", "tags"];
const MAX_VALUES: usize = 16;

fn ask(engine: &mut Engine, opcode: u32, key: &str, control: &[u8], filter: &[u8]) -> Answer {
    let parts = Parts {
        namespace: b"n",
        key: key.as_bytes(),
        control,
        payload: filter,
        ..Parts::default()
    };
    let answer = engine.send(opcode, &parts);
    if let Err(error) = &answer {
        assert!(is_refusal(error), "{}", error.message);
    }
    answer
}

fn answers(engine: &mut Engine, control: &[u8], filter: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for opcode in [op::QUERY, op::AGGREGATE] {
        answers.push(ask(engine, opcode, "", control, filter));
    }
    answers.push(ask(engine, op::COUNT, "", b"", filter));
    answers
}

fn payloads(answers: Vec<Answer>) -> Vec<Option<Vec<u8>>> {
    answers.into_iter().map(|answer| answer.ok().map(|(payload, _)| payload)).collect()
}

fuzz_target!(|data: &[u8]| {
    let lines = lines(data);
    let (control, filter) = (lines[0], lines.get(1).copied().unwrap_or_default());
    let mut engine = Engine::open();
    let values = lines.iter().skip(2).filter(|value| validate(value).is_ok());
    for (i, value) in values.take(MAX_VALUES).enumerate() {
        engine.put("n", &format!("{}", i % 12), value);
    }
    let scanned = payloads(answers(&mut engine, control, filter));
    for field in FIELDS {
        ask(&mut engine, op::CREATE_INDEX, field, b"", b"").expect("an index is made");
    }
    let _ = ask(&mut engine, op::EXPLAIN, "", control, filter);
    assert_eq!(payloads(answers(&mut engine, control, filter)), scanned);
    if ask(&mut engine, op::CREATE_VIEW, "v", control, filter).is_ok() {
        ask(&mut engine, op::VIEW, "v", b"", b"").expect("a view is read");
    }
    engine.put("n", "0", b"{\"a\":1,\"tags\":[\"new\"]}");
    let _ = ask(&mut engine, op::VIEW, "v", control, b"");
    let _ = answers(&mut engine, control, filter);
    engine.check_log();
});
