//! The protocol is approved as it stands: hosts in the field speak it.

/// BLAKE3 of `src/protocol.rs`.
const APPROVED: &str = "a11b0e65cf675824fd0b5ebd27101858fcb6b01046b86a9a93249188b1a64833";

#[test]
fn the_protocol_is_the_approved_one() {
    let found = blake3::hash(include_bytes!("../src/protocol.rs")).to_hex();
    assert_eq!(
        found.as_str(),
        APPROVED,
        "src/protocol.rs has changed: raise ABI_VERSION there and in python-host/koru_delta/_protocol.py, \
         then approve the file by putting the hash on the left into tests/protocol.rs",
    );
}
