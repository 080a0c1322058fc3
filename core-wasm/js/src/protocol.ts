/**
 * The protocol between a host and the module, as `protocol.rs` and docs/abi.md lay it out. A test
 * holds the numbers here against that file.
 */

export const ABI_VERSION = 1;
export const REQUEST_HEADER_BYTES = 56;
export const REPLY_HEADER_BYTES = 32;
export const RECORD_HEADER_BYTES = 64;
export const ITEM_HEADER_BYTES = 16;

export const Flag = { bytes: 1, quiet: 2, end: 4, keep: 8, delete: 16, plain: 32 } as const;
export const ReplyFlag = { bytes: 1, true: 2 } as const;

export const Op = {
  open: 1,
  replay: 2,
  put: 3,
  put_batch: 4,
  get: 5,
  get_many: 6,
  contains: 7,
  delete: 8,
  history: 9,
  version: 10,
  diff: 11,
  restore: 12,
  list_keys: 13,
  list_namespaces: 14,
  lineage: 15,
  effects: 16,
  erase: 17,
  stats: 18,
  verify: 19,
  head: 20,
  embed_reserve: 21,
  embed_batch: 22,
  similar: 23,
  vector: 24,
  maintain: 25,
  query: 26,
  count: 27,
  aggregate: 28,
  create_index: 30,
  drop_index: 31,
  list_indexes: 32,
  search: 33,
  hybrid: 34,
  recall: 40,
  snapshot: 41,
} as const;

/** Kinds of errors; the status of a reply. `fetch` comes only to hosts that ask for values to leave
 * memory, which this one does not. */
export const Status = {
  invalid: 1,
  serialization: 2,
  notFound: 3,
  conflict: 4,
  limit: 5,
  corrupt: 6,
  unsupported: 7,
  internal: 8,
  fetch: 9,
} as const;

/** Kinds of values in a record. */
export const Kind = { json: 0, bytes: 1, deleted: 2 } as const;
