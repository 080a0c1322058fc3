//! The protocol is approved as it stands: hosts in the field speak it.

/// BLAKE3 of `src/protocol.rs`.
const APPROVED: &str = "bf0cdbd5973f495239c56bd9ba83d129d61b83ddb6b8958fd3c00eac1a57aa5a";

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
