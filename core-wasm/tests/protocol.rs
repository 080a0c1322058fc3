//! The protocol is approved as it stands: hosts in the field speak it.

/// BLAKE3 of `src/protocol.rs`.
const APPROVED: &str = "747a7128203dc5fc7b9156953123fce32fd874f5b3a9a816bac2217c4c8af35c";

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
