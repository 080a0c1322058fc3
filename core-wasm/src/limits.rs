//! Every limit of the engine, in one place. Each is tested at the limit and one past it.

/// Longest namespace, key or model name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 1024;
/// Longest key of a definition of an index or view: a few names.
pub const MAX_OWN_KEY_BYTES: usize = 3 * MAX_NAME_BYTES;
/// Longest value, in bytes as stored.
pub const MAX_VALUE_BYTES: usize = 8 * 1024 * 1024;
/// Most items in one atomic batch.
pub const MAX_BATCH_ITEMS: usize = 100_000;
/// Most bytes of names and values in one atomic batch.
pub const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;
/// Deepest nesting of arrays and objects in a JSON value.
pub const MAX_JSON_DEPTH: usize = 128;
/// Most versions that one version may name as its causes.
pub const MAX_CAUSES: usize = 1024;
/// Most components of a vector.
pub const MAX_DIMENSION: usize = 8192;
/// Latest time a version may carry, in microseconds since 1970: the year 10000, exact in a
/// `datetime` and in a JavaScript number.
pub const MAX_TIMESTAMP_US: u64 = 253_402_300_800_000_000 - 1;
/// Most keys compared when looking for the near ones of a missing key.
pub const MAX_SUGGESTION_CANDIDATES: usize = 2048;
/// Most near keys named in an error.
pub const MAX_SUGGESTIONS: usize = 3;
/// Largest payload that one log frame may declare: a value with its names, causes and vector.
pub const MAX_FRAME_PAYLOAD_BYTES: usize =
    MAX_VALUE_BYTES + 4 * MAX_NAME_BYTES + 16 * MAX_CAUSES + 4 * MAX_DIMENSION;
/// Part of the memory budget kept free of new data, so that a full database still answers,
/// deletes and erases: one sixteenth, but at least this many bytes.
pub const MIN_MEMORY_RESERVE_BYTES: usize = 2 * 1024 * 1024;
/// Shortest record, in bytes, that is set aside: of it stays less than half as much in memory.
pub const MIN_ASIDE_BYTES: usize = 96;
/// Most bytes of the file that are asked for at a time, but for a longer frame by itself.
pub const MAX_FETCH_BYTES: usize = 960 * 1024;
/// Bytes between two frames that are fetched along with them.
pub const MAX_FETCH_GAP_BYTES: usize = 4096;
/// Longest filter, in bytes of its JSON: room for an `$in` of a few hundred thousand keys.
pub const MAX_FILTER_BYTES: usize = 8 * 1024 * 1024;
/// Deepest nesting of filters and operator objects; their operands may nest like any JSON.
pub const MAX_FILTER_DEPTH: usize = 64;
/// Most conditions in one filter: one for each operator, literal or empty filter.
pub const MAX_FILTER_CONDITIONS: usize = 1000;
/// Longest pattern of `$regex`, in bytes of UTF-8.
pub const MAX_REGEX_BYTES: usize = 4096;
/// Largest program that a `$regex` may compile to, in bytes.
pub const MAX_REGEX_PROGRAM_BYTES: usize = 256 * 1024;
/// Most hits that a search returns.
pub const MAX_TOP_K: usize = 10_000;
/// Most queries in one batch of searches.
pub const MAX_QUERIES: usize = 10_000;
/// Most filters whose matching rows are remembered for each set of vectors.
pub const MAX_REMEMBERED_FILTERS: usize = 32;
/// Most erasures that are remembered for readers of changes.
pub const MAX_REMEMBERED_ERASURES: usize = 10_000;
/// Most changes in one page of a feed.
pub const MAX_CHANGES: usize = 1000;
/// Most bytes of records in one page of a feed, but for the first change of it.
pub const MAX_CHANGES_BYTES: usize = 1024 * 1024;
/// Most indexes, and most views, of one namespace.
pub const MAX_DEFINITIONS: usize = 64;
/// Most versions passed over for one page of a feed.
pub const MAX_SCANNED_CHANGES: usize = 50_000;
/// Longest snippet of a hit, in characters.
pub const MAX_SNIPPET_CHARS: usize = 160;
/// Most fields to order by.
pub const MAX_ORDER_FIELDS: usize = 32;
/// Most paths in a selection.
pub const MAX_SELECT_PATHS: usize = 1000;
/// Most paths to group by.
pub const MAX_GROUP_PATHS: usize = 32;
/// Most aggregates in one specification.
pub const MAX_AGGREGATES: usize = 100;
/// Most groups that one aggregation keeps.
pub const MAX_GROUPS: usize = 100_000;
/// Most bytes that one aggregation keeps for its groups.
pub const MAX_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// Most values of one document that an index finds it by, and longest array or object among them, in
/// bytes. A document with more is looked at by every lookup.
pub const MAX_INDEX_VALUES: usize = 64;
/// See [`MAX_INDEX_VALUES`].
pub const MAX_INDEX_COMPOUND_BYTES: usize = 4096;
/// Most bytes of one field in a view's key; longer ones are compared when the view is read.
pub const MAX_VIEW_KEY_BYTES: usize = 512;
/// Longest key of an index, in bytes of its encoding; of longer values this much is kept.
pub const MAX_INDEX_KEY_BYTES: usize = 256;
/// Longest text of a full-text query, in bytes of UTF-8.
pub const MAX_SEARCH_TEXT_BYTES: usize = 4096;
/// Most fields that a full-text query may name.
pub const MAX_SEARCH_FIELDS: usize = 256;
/// Longest word of the full-text index, in characters: longer words are cut, in queries too.
pub const MAX_WORD_CHARACTERS: usize = 64;
/// Most words that a `prefix*` of a full-text query may stand for.
pub const MAX_PREFIX_WORDS: usize = 10_000;
