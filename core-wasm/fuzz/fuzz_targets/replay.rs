//! Reading a log: any bytes, and frames of any content under checksums that hold.
//!
//! The first byte says how: 1 mends every checksum, 2 opens for writing, 4 recomputes ids, and the
//! high bits are the size of the pieces. The rest is a file.

#![no_main]

use crc32c::{crc32c, crc32c_append};
use koru_delta_core::protocol as op;
use koru_delta_fuzz::{Engine, Parts, replay};
use libfuzzer_sys::fuzz_target;

const HEADER: usize = 64;
const FRAME: usize = 40;

/// Gives the header, and each frame that can be found by walking, checksums that hold.
fn mend(file: &mut [u8]) {
    if file.len() < HEADER {
        return;
    }
    let sum = crc32c(&file[..60]).to_le_bytes();
    file[60..64].copy_from_slice(&sum);
    let seed = crc32c(&file[24..40]);
    let mut at = HEADER;
    while at + FRAME <= file.len() {
        file[at..at + 4].copy_from_slice(b"KFRM");
        let length = u32::from_le_bytes(file[at + 4..at + 8].try_into().expect("four bytes"));
        let body = at + FRAME;
        let end = body.saturating_add(length as usize).min(file.len());
        let sum = crc32c(&file[body..end]).to_le_bytes();
        file[at + 32..at + 36].copy_from_slice(&sum);
        let sum = crc32c_append(seed, &file[at..at + 36]).to_le_bytes();
        file[at + 36..at + 40].copy_from_slice(&sum);
        at = end.next_multiple_of(8);
    }
}

fn names(engine: &mut Engine, opcode: u32, namespace: &str) -> Vec<String> {
    let parts = Parts { namespace: namespace.as_bytes(), ..Parts::default() };
    let (payload, _) = engine.send(opcode, &parts).expect("names are listed");
    serde_json::from_slice(&payload).expect("names come as JSON")
}

/// Looks at everything that was read.
fn look(engine: &mut Engine) {
    for namespace in names(engine, op::LIST_NAMESPACES, "") {
        for key in names(engine, op::LIST_KEYS, &namespace) {
            let parts =
                Parts { namespace: namespace.as_bytes(), key: key.as_bytes(), ..Parts::default() };
            engine.send(op::GET, &parts).expect("a listed key has a value");
            engine.send(op::HISTORY, &parts).expect("a listed key has a history");
            let _ = engine.send(op::VECTOR, &parts);
            let _ = engine.send(op::DIFF, &parts);
        }
    }
    for opcode in [op::STATS, op::VERIFY, op::HEAD, op::LIST_INDEXES, op::LIST_VIEWS] {
        engine.send(opcode, &Parts::default()).expect("it answers about itself");
    }
    let _ = engine.send(op::CHANGES, &Parts { control: b"{\"timestamp\":0}", ..Parts::default() });
}

fuzz_target!(|data: &[u8]| {
    let Some((how, file)) = data.split_first() else { return };
    let mut file = file.to_vec();
    if how & 1 != 0 {
        mend(&mut file);
    }
    let (writable, verify, piece) = (how & 2 != 0, how & 4 != 0, 1 << (how >> 3));
    let Ok((mut engine, outcome)) = replay(&file, piece.min(1 << 20), writable, verify) else {
        return;
    };
    if !verify {
        look(&mut engine);
    }
    let head = engine.head();
    let (mut again, same) =
        replay(&file[..outcome.valid], 1 << 20, writable, verify).expect("what is valid opens");
    assert_eq!((same.valid, same.dropped), (outcome.valid, 0));
    assert_eq!(again.head(), head);
    if writable && !verify {
        // Ids are verify's work: a forged version may be in there, and is reported, not refused.
        engine.put("after", "key", b"1");
        let parts = Parts { namespace: b"after", key: b"key", ..Parts::default() };
        assert_eq!(engine.send(op::GET, &parts).expect("what was put is read").0, b"1");
    }
});
