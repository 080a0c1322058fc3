//! Words, queries and snippets: any text searched for in any documents.
//!
//! The first line is the text of a query, the second a filter or nothing, each other line a value,
//! or a text if it is no JSON.

#![no_main]

use koru_delta_core::codec::json::validate;
use koru_delta_core::protocol as op;
use koru_delta_fuzz::{Engine, Parts, is_refusal, lines};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const MAX_VALUES: usize = 12;

fn search(engine: &mut Engine, opcode: u32, control: &str, filter: &[u8], vector: &[u8]) -> usize {
    let parts = Parts {
        namespace: b"n",
        control: control.as_bytes(),
        payload: filter,
        vector,
        ..Parts::default()
    };
    match engine.send(opcode, &parts) {
        Ok((payload, _)) => payload.len(),
        Err(error) => {
            assert!(is_refusal(&error), "{}", error.message);
            0
        }
    }
}

fn search_all(engine: &mut Engine, text: &str, filter: &[u8]) {
    let one = 1_f32.to_le_bytes();
    let plain = json!({"text": text, "top_k": 5});
    let boosted = json!({"text": text, "top_k": 100, "fields": [["a", 2.0], ["content", 1.0]]});
    let hybrid = json!({"text": text, "top_k": 5, "weight": 0.5});
    let recall = json!({
        "text": text, "limit": 5, "min_relevance": 0.0, "now": koru_delta_fuzz::START_US,
        "half_life": 3600.0, "weights": [1.0, 1.0, 1.0], "vector_share": 0.5, "min_cosine": 0.0,
    });
    search(engine, op::SEARCH, &plain.to_string(), filter, b"");
    search(engine, op::SEARCH, &boosted.to_string(), filter, b"");
    search(engine, op::HYBRID, &hybrid.to_string(), filter, &one);
    search(engine, op::RECALL, &recall.to_string(), filter, b"");
}

fuzz_target!(|data: &[u8]| {
    let lines = lines(data);
    let text = String::from_utf8_lossy(lines[0]).into_owned();
    let filter = lines.get(1).copied().unwrap_or_default();
    let mut engine = Engine::open();
    for (i, line) in lines.iter().skip(2).take(MAX_VALUES).enumerate() {
        let key = format!("{}", i % 8);
        if validate(line).is_ok() {
            engine.put("n", &key, line);
        } else {
            let content = String::from_utf8_lossy(line);
            let value = json!({"content": content, "importance": 0.5}).to_string();
            engine.put("n", &key, value.as_bytes());
        }
        if i == 4 {
            search_all(&mut engine, &text, filter);
        }
    }
    search_all(&mut engine, &text, filter);
    let parts = Parts { namespace: b"n", key: b"1", ..Parts::default() };
    engine.send(op::DELETE, &parts).expect("a delete is carried out");
    let parts = Parts { namespace: b"n", key: b"2", ..Parts::default() };
    engine.send(op::ERASE, &parts).expect("an erasure is carried out");
    search_all(&mut engine, &text, filter);
    engine.check();
});
