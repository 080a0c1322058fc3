//! Validation of JSON agrees with a parser, but for what it refuses on purpose.

#![no_main]

use koru_delta_core::codec::json::validate;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const MAX_DEPTH: usize = 128;
/// Integers of fewer digits fit 64 bits.
const SAFE_DIGITS: usize = 18;

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn longest_number(text: &[u8]) -> usize {
    text.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or(0)
}

fuzz_target!(|text: &[u8]| {
    // The parser recurses: what is nested deeper than the stack is the validator's alone.
    let nesting = text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    let accepted = validate(text).is_ok();
    if nesting > 2_000 {
        return;
    }
    match serde_json::from_slice::<Value>(text) {
        Ok(value) if depth(&value) <= MAX_DEPTH && longest_number(text) <= SAFE_DIGITS => {
            assert!(accepted, "a good value is refused");
        }
        Ok(value) if depth(&value) > MAX_DEPTH => assert!(!accepted, "a deep value is accepted"),
        Ok(_) => {}
        Err(error) => assert!(!accepted, "a bad value is accepted: {error}"),
    }
});
