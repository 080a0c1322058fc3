//! The protocol is approved as it stands: hosts in the field speak it.

/// BLAKE3 of `src/protocol.rs`.
const APPROVED: &str = "e71b28227701a2478d8d13055662589aeee8d384619993f4f16c2ccc8bf09406";

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
