//! Filters: reading any, matching any value, and the laws of `$not`, `$and` and `$or`.
//!
//! The first line is a filter, each other line a value.

#![no_main]

use koru_delta_core::codec::json::validate;
use koru_delta_core::query::Filter;
use koru_delta_fuzz::lines;
use libfuzzer_sys::fuzz_target;

fn around(before: &str, filter: &[u8], after: &str) -> Option<Filter> {
    Filter::parse(&[before.as_bytes(), filter, after.as_bytes()].concat()).ok()
}

fuzz_target!(|data: &[u8]| {
    let lines = lines(data);
    let (text, values) = lines.split_first().expect("a split gives at least one part");
    let Ok(filter) = Filter::parse(text) else { return };
    let none = around("{\"$not\":", text, "}");
    let all = around("{\"$and\":[{},", text, "]}");
    let any = around("{\"$or\":[{\"$not\":{}},", text, "]}");
    for value in values.iter().filter(|value| validate(value).is_ok()) {
        let matches = filter.matches(value);
        assert!(none.as_ref().is_none_or(|none| none.matches(value) != matches));
        assert!(all.as_ref().is_none_or(|all| all.matches(value) == matches));
        assert!(any.as_ref().is_none_or(|any| any.matches(value) == matches));
    }
});
