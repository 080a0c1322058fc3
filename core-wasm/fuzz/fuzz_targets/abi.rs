//! Sequences of requests of any kind: none makes the engine panic or forget, and the log that they
//! wrote is the same database.
//!
//! Each request is an opcode and a byte that says how: 1 the bytes follow as they are, else the parts
//! of a request, each behind its length; 2 flags, 4 an as-of time, 8 that the reader has acknowledged
//! less than was written, 16 that the payload is an item of a batch.

#![no_main]

use koru_delta_core::protocol as op;
use koru_delta_fuzz::{Engine, Input, Parts, START_US, batch_item, request};
use libfuzzer_sys::fuzz_target;

const MAX_REQUESTS: u64 = 24;

fn send(engine: &mut Engine, input: &mut Input<'_>, now: u64) {
    let (opcode, how) = (u32::from(input.byte()), input.byte());
    if how & 1 != 0 {
        let bytes = input.part();
        let _ = engine.send_bytes(opcode, bytes);
        return;
    }
    let flags = if how & 2 != 0 { u32::from(input.byte()) } else { 0 };
    let at = if how & 4 != 0 { START_US + (input.number() & 0xFFFF) } else { 0 };
    let missing = if how & 8 != 0 { u64::from(input.byte()) } else { 0 };
    let (namespace, key, control) = (input.part(), input.part(), input.part());
    let (payload, vector) = (input.part(), input.part());
    let item = batch_item(namespace, key, payload, flags);
    let payload = if how & 16 != 0 { &item } else { payload };
    let parts = Parts { namespace, key, control, payload, vector, flags, at };
    let acknowledged = engine.sequence.saturating_sub(missing);
    let bytes = request(&parts, START_US + 1_000 * now, acknowledged, acknowledged);
    let _ = engine.send_bytes(opcode, &bytes);
}

fuzz_target!(|data: &[u8]| {
    let mut engine =
        if data.len().is_multiple_of(2) { Engine::open() } else { Engine::open_lean() };
    engine.put("kept", "value", b"[1]");
    let mut input = Input(data);
    for now in 0..MAX_REQUESTS {
        if input.0.is_empty() {
            break;
        }
        send(&mut engine, &mut input, now);
    }
    let parts = Parts { namespace: b"kept", key: b"value", ..Parts::default() };
    engine.send(op::HISTORY, &parts).expect("it still answers");
    engine.check();
    engine.check_log();
});
