/**
 * koru-delta: an embedded database that keeps every version of every value.
 *
 * @packageDocumentation
 */

export type {
  AsOf, FieldIndex, Filter, ListOptions, PatchOperation, PutOptions, QueryOptions, QueryRecord, SearchOptions,
  SimilarOptions, Vector, VectorIndex, VectorMetric, VerifyReport, VersionLike,
} from "./database.js";
export { Database } from "./database.js";
export * from "./errors.js";
export type { JsonValue } from "./json.js";
export type {
  AgentMemory, AgentMemoryOptions, Embedder, MemoryRecall, MemoryType, RecallOptions, RememberOptions,
} from "./memory.js";
export type { Options } from "./session.js";
export { MemoryStorage, type Storage } from "./storage.js";
export type { Time } from "./times.js";
export { type Match, type Value, Version } from "./versions.js";
