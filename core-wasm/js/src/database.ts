/** The database. */

import {
  batchOf, boostsOf, checkLimit, checkText, filterOf, idOf, type Item, orderOf, valueForNow, vectorOf,
} from "./arguments.js";
import { KeyNotFoundError, ValidationError } from "./errors.js";
import { parse, stringify } from "./json.js";
import { AgentMemory, type AgentMemoryOptions } from "./memory.js";
import { Flag, Op, ReplyFlag } from "./protocol.js";
import { ownModule } from "./load.js";
import { type Options, Session } from "./session.js";
import { joined, MemoryStorage } from "./storage.js";
import { type Time, toMicroseconds } from "./times.js";
import {
  copied, hex, hitsOf, hitsWithParts, type Match, matchOf, type Value, Version, versionsOf,
} from "./versions.js";

const SNAPSHOT_PART_BYTES = 960 * 1024;
const EMBED_COMMIT_BYTES = 4 * 2 ** 20;
const decoder = new TextDecoder();

export type { VectorIndex, VectorMetric } from "./session.js";

/** A version, or its id. */
export type VersionLike = Version | string;
/** An array of numbers. A `Float32Array` is copied once: into the engine's memory. */
export type Vector = Float32Array | Float64Array | readonly number[];
/** A filter: `{ age: { $gte: 18 }, tags: "vip" }`, with $eq $ne $gt $gte $lt $lte $in $nin $exists
 * $contains $regex $and $or $not and dotted paths. */
export type Filter = Readonly<Record<string, unknown>>;

/** As of when to read; now if it is left out. */
export interface AsOf {
  at?: Time;
}

export interface PutOptions {
  /** A vector that finds this version in {@link Database.similar}. */
  embedding?: Vector;
  /** Name of the model that made it. */
  model?: string;
  /** Versions that this one is derived from. */
  causedBy?: VersionLike | readonly VersionLike[];
  /** Write only if the key's latest version is this one; null for a key that holds no value. */
  expectedVersion?: VersionLike | null;
}

export interface ListOptions extends AsOf {
  /** Only keys that begin with this. */
  prefix?: string;
  /** Only keys after this one: the last of the page before. */
  startAfter?: string;
  limit?: number;
}

export interface QueryOptions extends AsOf {
  /** A field, `"-field"` for descending, or several. Ties go by key. */
  orderBy?: string | readonly string[];
  limit?: number;
  offset?: number;
  /** Dotted paths: values have these fields only. */
  select?: readonly string[];
}

export interface SimilarOptions extends AsOf {
  /** Only hits that score at least this. */
  threshold?: number;
  where?: Filter;
  /** Model of the vectors; the one that there is of this dimension if it is left out. */
  model?: string;
  /** Search without loss. */
  exact?: boolean;
}

export interface SearchOptions extends AsOf {
  where?: Filter;
  /** Fields to search, all if it is left out: an array, or an object of fields with their boosts. */
  fields?: readonly string[] | Readonly<Record<string, number>>;
}

/** One value that a query selected. */
export interface QueryRecord {
  readonly namespace: string;
  readonly key: string;
  readonly value: Value;
  readonly versionId: string;
  readonly timestamp: Date;
}

/** One operation of a JSON Patch (RFC 6902). */
export interface PatchOperation {
  readonly op: string;
  readonly path: string;
  readonly value?: Value;
  readonly from?: string;
}

/** An index that {@link Database.createIndex} made. */
export interface FieldIndex {
  readonly namespace: string;
  readonly field: string;
  /** Memory that it takes. */
  readonly bytes: number;
}

/** What {@link Database.verify} found. */
export interface VerifyReport {
  readonly ok: boolean;
  readonly versions: number;
  readonly commits: number;
  readonly head: string;
  readonly problems: readonly string[];
}

/**
 * An open database.
 *
 * Every write is a new version of its key, with its time and its causes; an awaited write is durable
 * as its storage says. Namespaces and keys are text of 1 to 1,024 bytes of UTF-8. Methods reject with
 * a {@link KoruDeltaError}.
 */
export class Database {
  /** @internal */
  readonly session: Session;

  /** @internal */
  constructor(session: Session) {
    this.session = session;
  }

  /**
   * Open the database in a storage, or make one; in memory without a storage.
   *
   * @example
   * ```js
   * const db = await Database.open({ storage: await FileStorage.open("memory.koru") });
   * ```
   */
  static async open(options: Options = {}): Promise<Database> {
    return new Database(await Session.open(options.module ?? (await ownModule()), options));
  }

  /** Open the bytes of a file, as {@link exportBytes} or the Python package writes them. Every hash is
   * recomputed first. With a storage, which must be empty, the database is kept there from then on. */
  static async importBytes(bytes: Uint8Array, options: Options = {}): Promise<Database> {
    const module = options.module ?? (await ownModule());
    const { storage = new MemoryStorage() } = options;
    if ((await storage.size()) > 0) {
      throw new ValidationError("the storage holds a database already", "give an empty one");
    }
    await Session.verify(module, bytes, options);
    await storage.append(bytes);
    await storage.sync();
    return new Database(await Session.open(module, { ...options, storage }));
  }

  /** Write a new version of a key. The value is JSON, or a `Uint8Array`, of up to 8 MiB. */
  async put(namespace: string, key: string, value: unknown, options?: PutOptions): Promise<Version> {
    return this.#put(namespace, key, value, options);
  }

  /** With the flag *keep* the present value stays. */
  #put(
    namespace: string, key: string, value: unknown, options?: PutOptions, flag = 0,
  ): Version | Promise<Version> {
    checkText("the namespace", namespace);
    checkText("the key", key);
    const control = options === undefined ? "" : putControl(options);
    const vector = options?.embedding === undefined ? undefined : vectorOf(options.embedding);
    const { payload, flags } = flag === Flag.keep ? { payload: "", flags: flag } : valueForNow(value);
    return this.session.write(Op.put, { namespace, key, control, payload, flags, vector }, versionOf);
  }

  /** Write several versions at one time, all or none: up to 100,000 items of 64 MiB together. */
  async putBatch(items: readonly (readonly [namespace: string, key: string, value: unknown])[]): Promise<number> {
    const payload = batchOf(items.map(([namespace, key, value]) => ({ namespace, key, value })));
    await this.session.write(Op.put_batch, { payload }, nothing);
    return items.length;
  }

  /** The value of a key, now or as of a time. Without one it rejects with a `KeyNotFoundError` that
   * names near keys, or answers `default`, if that is given. */
  async get<T = Value>(namespace: string, key: string, options?: AsOf & { default?: T }): Promise<T> {
    checkText("the namespace", namespace);
    checkText("the key", key);
    if (options === undefined) return this.session.read(Op.get, { namespace, key }, valueFrom);
    const flags = "default" in options ? Flag.quiet : 0;
    const found = this.session.read(Op.get, { namespace, key, flags, at: moment(options) }, valueFrom);
    return found === undefined ? (options.default as T) : found;
  }

  /** The value of a key as of a time. */
  async getAt<T = Value>(namespace: string, key: string, at: Time): Promise<T> {
    return this.get<T>(namespace, key, { at });
  }

  /** The values of several keys; those without one are left out. */
  async getMany(namespace: string, keys: readonly string[], options?: AsOf): Promise<Map<string, Value>> {
    if (keys.length === 0) return new Map();
    const payload = JSON.stringify(keys.map((key) => checkText("the key", key)));
    const found = this.session.read(
      Op.get_many, { namespace: checkText("the namespace", namespace), payload, at: moment(options) }, versionsOf,
    );
    return new Map(found.map((version) => [version.key, version.value]));
  }

  /** Whether a key has a value. */
  async contains(namespace: string, key: string, options?: AsOf): Promise<boolean> {
    return this.session.read(Op.contains, { ...names(namespace, key), at: moment(options) }, yes);
  }

  /** Delete a key by writing a deleted version; false, with nothing written, if there was no value. */
  async delete(namespace: string, key: string): Promise<boolean> {
    return this.session.write(Op.delete, names(namespace, key), yes);
  }

  /** Write an old value of a key, and its vector, as a new version caused by the old one. */
  async restore(namespace: string, key: string, version: VersionLike): Promise<Version> {
    return this.session.write(Op.restore, { ...names(namespace, key), payload: idOf(version) }, versionOf);
  }

  /** Remove every version of a key for good; how many there were. Their bytes stay in the storage
   * until a copy of it is made with {@link exportBytes}. */
  async erase(namespace: string, key: string): Promise<number> {
    return this.session.write(Op.erase, names(namespace, key), json);
  }

  /** The versions of a key, oldest first, deletions included; the last `limit` of them. */
  async history(namespace: string, key: string, options?: { limit?: number }): Promise<Version[]> {
    const control = limitControl(options?.limit);
    return this.session.read(Op.history, { ...names(namespace, key), control }, versionsOf);
  }

  /** A version by its id. */
  async version(id: string): Promise<Version> {
    return this.session.read(Op.version, { payload: idOf(id) }, versionOf);
  }

  /** What changed between two versions of a key, the last two unless given, as a JSON Patch. */
  async diff(namespace: string, key: string, from?: VersionLike, to?: VersionLike): Promise<PatchOperation[]> {
    const control = JSON.stringify({
      from: from === undefined ? null : idOf(from), to: to === undefined ? null : idOf(to),
    });
    return this.session.read(Op.diff, { ...names(namespace, key), control }, json);
  }

  /** What led to a version, along `causedBy`, nearest first. */
  async lineage(version: VersionLike, options?: { depth?: number }): Promise<Version[]> {
    return this.#walk(Op.lineage, version, options?.depth);
  }

  /** What came of a version, along `causedBy`, nearest first. */
  async effects(version: VersionLike, options?: { depth?: number }): Promise<Version[]> {
    return this.#walk(Op.effects, version, options?.depth);
  }

  #walk(opcode: number, version: VersionLike, depth?: number): Version[] {
    return this.session.read(opcode, { payload: idOf(version), control: limitControl(depth) }, versionsOf);
  }

  /** Keys that have a value, sorted by their UTF-8 bytes. */
  async listKeys(namespace: string, options: ListOptions = {}): Promise<string[]> {
    const control = JSON.stringify({
      prefix: checkText("prefix", options.prefix ?? ""),
      start_after: options.startAfter === undefined ? null : checkText("startAfter", options.startAfter),
      limit: checkLimit("limit", options.limit),
    });
    const request = { namespace: checkText("the namespace", namespace), control, at: moment(options) };
    return this.session.read(Op.list_keys, request, json);
  }

  /** Namespaces in which a key has a value, sorted by their UTF-8 bytes. */
  async listNamespaces(options?: AsOf): Promise<string[]> {
    return this.session.read(Op.list_namespaces, { at: moment(options) }, json);
  }

  /** The values of a namespace that match a filter. */
  async query(namespace: string, where?: Filter | null, options: QueryOptions = {}): Promise<QueryRecord[]> {
    const control = JSON.stringify({
      order_by: orderOf(options.orderBy),
      limit: checkLimit("limit", options.limit),
      offset: checkLimit("offset", options.offset) ?? 0,
      select: options.select ?? null,
    });
    const found = this.session.read(Op.query, { ...asked(namespace, where, options), control }, versionsOf);
    return found.map(({ namespace, key, value, versionId, timestamp }) => ({
      namespace, key, value, versionId, timestamp,
    }));
  }

  /** How many values of a namespace match a filter. */
  async count(namespace: string, where?: Filter | null, options?: AsOf): Promise<number> {
    return this.session.read(Op.count, asked(namespace, where, options), json);
  }

  /** Sums and the like over the values of a namespace: `{ total: { $sum: "amount" } }`. */
  async aggregate(
    namespace: string, aggregates: Readonly<Record<string, unknown>>,
    options: AsOf & { groupBy?: string | readonly string[]; where?: Filter; orderBy?: string | readonly string[] } = {},
  ): Promise<Record<string, Value>[]> {
    const groups = typeof options.groupBy === "string" ? [options.groupBy] : (options.groupBy ?? null);
    const control = JSON.stringify({
      aggregation: stringify({ spec: aggregates, group_by: groups }), order_by: orderOf(options.orderBy),
    });
    return this.session.read(Op.aggregate, { ...asked(namespace, options.where, options), control }, json);
  }

  /** Keep an index of a field, by its dotted path; false if there was one. Filters and orders of the
   * field use it, and answer the same as without. It is stored with the database. */
  async createIndex(namespace: string, field: string): Promise<boolean> {
    return this.session.write(Op.create_index, fieldOf(namespace, field), yes);
  }

  /** Drop the index of a field; false if there was none. */
  async dropIndex(namespace: string, field: string): Promise<boolean> {
    return this.session.write(Op.drop_index, fieldOf(namespace, field), yes);
  }

  /** The indexes of a namespace, or of all, sorted by namespace and field. */
  async listIndexes(namespace?: string): Promise<FieldIndex[]> {
    const request = namespace === undefined ? {} : { namespace: checkText("the namespace", namespace) };
    return this.session.read(Op.list_indexes, request, json);
  }

  /** The values whose text fits best, best first: BM25 over all strings. `"a phrase"`, `+must`,
   * `-not` and `prefix*` are understood. */
  async search(namespace: string, text: string, topK = 10, options: SearchOptions = {}): Promise<Match[]> {
    const control = JSON.stringify(searchControl(text, topK, options));
    return this.#found(Op.search, { ...asked(namespace, options.where, options), control });
  }

  /** Write a new version of a key with a vector. Without a value the present one is kept. */
  async embed(
    namespace: string, key: string, embedding: Vector, value?: unknown, options?: { model?: string },
  ): Promise<Version> {
    return this.#put(namespace, key, value, { ...options, embedding }, value === undefined ? Flag.keep : 0);
  }

  /** Write many versions with vectors: `embeddings` is one after the other, or an array of them.
   * They are copied once, to where they will live. Commits are of some 4 MiB. */
  async embedBatch(
    namespace: string, keys: readonly string[], embeddings: Float32Array | readonly Vector[],
    values?: readonly unknown[], options?: { model?: string },
  ): Promise<number> {
    const count = keys.length;
    if (count === 0) return 0;
    const rows = embeddings instanceof Float32Array ? embeddings : joinedRows(embeddings);
    const dimension = rows.length / count;
    if (!Number.isInteger(dimension) || dimension === 0 || (values !== undefined && values.length !== count)) {
      throw new ValidationError(
        `there are ${count} keys, ${rows.length} components and ${values?.length ?? count} values`,
        "give a vector of the same length, and a value, for each key",
      );
    }
    const items: Item[] = keys.map((key, index) => ({
      namespace: "", key, value: values?.[index], flags: values === undefined ? Flag.keep : 0,
    }));
    const step = Math.max(1, Math.floor(EMBED_COMMIT_BYTES / (4 * dimension)));
    for (let start = 0; start < count; start += step) {
      const end = Math.min(start + step, count);
      const some = rows.subarray(start * dimension, end * dimension);
      await this.#embedRows(namespace, options?.model ?? "", some, dimension, items.slice(start, end));
    }
    this.session.maintain();
    return count;
  }

  async #embedRows(
    namespace: string, model: string, rows: Float32Array, dimension: number, items: Item[],
  ): Promise<void> {
    const payload = batchOf(items); // Nothing may come between making room and using it.
    this.session.checkWritable();
    const control = JSON.stringify({ model: checkText("model", model), dimension, count: items.length });
    const request = { namespace: checkText("the namespace", namespace), control };
    const stretches = this.session.read(Op.embed_reserve, request, (bytes) => new Uint32Array(bytes.slice().buffer));
    const source = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    let at = 0;
    for (let index = 0; index < stretches.length; index += 2) {
      const [address = 0, length = 0] = stretches.subarray(index, index + 2);
      this.session.fill(address, source.subarray(at, at + length));
      at += length;
    }
    await this.session.write(Op.embed_batch, { payload }, nothing);
  }

  /** The vector of a key, as float32. */
  async vector(namespace: string, key: string, options?: AsOf): Promise<Float32Array> {
    return this.session.read(Op.vector, { ...names(namespace, key), at: moment(options) }, (payload, flags) => {
      if (flags & ReplyFlag.true) return new Float32Array(payload.slice().buffer);
      throw new KeyNotFoundError(`${namespace}/${key} has no vector`, "write one with embed");
    });
  }

  /** The versions whose vectors are nearest to a query, best first; in all namespaces for null. */
  async similar(namespace: string | null, query: Vector, topK = 10, options: SimilarOptions = {}): Promise<Match[]> {
    const { threshold = null, model = null, exact = false } = options;
    const control = JSON.stringify({ queries: 1, top_k: topK, threshold, model, exact });
    const request = { ...asked(namespace ?? "", options.where, options), control, vector: vectorOf(query, "the query") };
    const [found = []] = this.session.read(Op.similar, request, hitsOf);
    return found.map((hit) => matchOf(hit));
  }

  /** The values that fit a text and a vector best: `weight` 0 is text alone, 1 vectors alone. */
  async hybrid(
    namespace: string, text: string, query: Vector, topK = 10,
    options: SearchOptions & { weight?: number; model?: string } = {},
  ): Promise<Match[]> {
    const { weight = 0.5, model = null } = options;
    if (!(weight >= 0 && weight <= 1)) {
      throw new ValidationError(`weight is ${weight}`, "0 is text alone, 1 is vectors alone");
    }
    const control = JSON.stringify({ ...searchControl(text, topK, options), weight, model });
    const vector = vectorOf(query, "the query");
    return this.#found(Op.hybrid, { ...asked(namespace, options.where, options), control, vector });
  }

  #found(opcode: number, request: object): Match[] {
    const { hits, parts } = this.session.read(opcode, request, hitsWithParts);
    return hits.map((hit, index) => matchOf(hit, parts[index]));
  }

  /** What an agent remembers, in this database. */
  agentMemory(agentId: string, options?: AgentMemoryOptions): AgentMemory {
    return new AgentMemory(this, agentId, options);
  }

  /** Counts and sizes: keys, namespaces, versions, commits and what vectors and indexes take. */
  async stats(): Promise<Record<string, Value>> {
    const counts = this.session.read(Op.stats, {}, json);
    return { ...counts, memory_bytes: this.session.memoryBytes, recovered_bytes: this.session.recoveredBytes };
  }

  /** Rehash everything that is held, and walk the chain of commits. */
  async verify(): Promise<VerifyReport> {
    const report = this.session.read(Op.verify, {}, json);
    return { ok: report.problems.length === 0, ...report };
  }

  /** Hash of the latest commit, for anchoring elsewhere. */
  async head(): Promise<string> {
    return this.session.read(Op.head, {}, (payload) => decoder.decode(payload));
  }

  /** The whole database as the bytes of a file, with every version and an id of its own: any
   * koru-delta opens it. */
  async exportBytes(): Promise<Uint8Array> {
    const new_id = hex(crypto.getRandomValues(new Uint8Array(16)));
    const parts: Uint8Array[] = [];
    let after: unknown = null;
    for (let ended = false; !ended; ) {
      const control = JSON.stringify({ after, new_id, max_bytes: SNAPSHOT_PART_BYTES, last: true });
      const [bytes, told] = this.session.read(Op.snapshot, { control }, snapshotPart);
      parts.push(bytes);
      ended = told.ended;
      after = told.next;
    }
    return joined(parts);
  }

  /** Write what is on its way, and let go of engine and storage. A second call does nothing. */
  async close(): Promise<void> {
    await this.session.close();
  }

  /** `await using db = await Database.open()` closes it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function names(namespace: string, key: string): { namespace: string; key: string } {
  return { namespace: checkText("the namespace", namespace), key: checkText("the key", key) };
}

function fieldOf(namespace: string, field: string): { namespace: string; key: string } {
  return { namespace: checkText("the namespace", namespace), key: checkText("the field", field) };
}

function moment(options: AsOf | undefined): number | undefined {
  return options?.at === undefined ? undefined : toMicroseconds(options.at);
}

function asked(namespace: string, where: Filter | null | undefined, options?: AsOf) {
  return { namespace: checkText("the namespace", namespace), payload: filterOf(where), at: moment(options) };
}

function putControl({ causedBy = [], expectedVersion, model, embedding }: PutOptions): string {
  const causes = Array.isArray(causedBy) ? causedBy : [causedBy];
  const control: Record<string, unknown> = { caused_by: causes.map(idOf) };
  if (expectedVersion !== undefined) control["expected"] = expectedVersion === null ? "" : idOf(expectedVersion);
  if (embedding !== undefined) control["model"] = checkText("model", model ?? "");
  return JSON.stringify(control);
}

function searchControl(text: string, topK: number, { fields }: SearchOptions) {
  return { text: checkText("the text", text), top_k: topK, fields: boostsOf(fields) };
}

function limitControl(limit: number | undefined): string {
  return JSON.stringify({ limit: checkLimit("limit", limit) });
}

function joinedRows(rows: readonly Vector[]): Float32Array {
  const vectors = rows.map((row, index) => vectorOf(row, `embeddings[${index}]`));
  const length = vectors[0]?.length ?? 0;
  const whole = new Float32Array(length * vectors.length);
  vectors.forEach((vector, index) => {
    if (vector.length !== length) {
      throw new ValidationError(`embeddings[${index}] has ${vector.length} components, not ${length}`, "give equal ones");
    }
    whole.set(vector, index * length);
  });
  return whole;
}

function snapshotPart(payload: Uint8Array): [Uint8Array, any] {
  const end = payload.length - 4;
  const length = new DataView(payload.buffer, payload.byteOffset + end).getUint32(0, true);
  return [payload.slice(0, end - length), JSON.parse(decoder.decode(payload.subarray(end - length, end)))];
}

/** A value; undefined, which no value is, for none. */
const valueFrom = (payload: Uint8Array, flags: number): any => {
  if (flags & ReplyFlag.bytes) return payload.slice();
  return flags & ReplyFlag.true ? parse(decoder.decode(payload)) : undefined;
};
const versionOf = (payload: Uint8Array) => new Version(copied(payload));
const json = (payload: Uint8Array) => parse(decoder.decode(payload));
const yes = (_payload: Uint8Array, flags: number) => (flags & ReplyFlag.true) !== 0;
const nothing = () => undefined;
