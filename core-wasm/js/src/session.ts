/** An open database: one instance of the engine, one log. */

import { Engine, type Reply, type Request } from "./engine.js";
import {
  DatabaseClosedError, errorOf, KoruDeltaError, StorageError, ValidationError,
} from "./errors.js";
import { Log } from "./log.js";
import { Flag, Op, ReplyFlag } from "./protocol.js";
import { MemoryStorage, type Storage } from "./storage.js";
import { hex } from "./versions.js";

const PIECE_BYTES = 960 * 1024;
const MEBIBYTE = 2 ** 20;
const WASM_MAX_MB = 4096;
const decoder = new TextDecoder();

/** How vectors are compared. */
export type VectorMetric = "cosine" | "dot" | "l2";
/** How vectors are searched. */
export type VectorIndex = "auto" | "exact" | "quantized" | "hnsw";

/** Settings of a database. */
export interface Options {
  /** Where the bytes are kept; in memory, and gone with it, if it is left out. */
  storage?: Storage;
  /** The engine, compiled; the package finds its own if it is left out. */
  module?: WebAssembly.Module;
  /** Cap of the engine's memory in MiB: 512 unless given, at most 4096. */
  maxMemoryMb?: number;
  /** Refuse every write, and change nothing of the storage. */
  readOnly?: boolean;
  /** How vectors are compared, the same at each opening: `cosine` unless given. */
  vectorMetric?: VectorMetric;
  /** How vectors are searched: `auto` unless given. */
  vectorIndex?: VectorIndex;
}

/** Takes a reply apart. It runs before the next call, so views that it was given still hold. */
export type Decode<T> = (payload: Uint8Array, flags: number) => T;

export class Session {
  readonly #engine: Engine;
  readonly #storage: Storage | undefined;
  readonly #readOnly: boolean;
  #log: Log | null = null;
  #sequence = 0;
  #closed = false;
  /** Bytes that a crash had left of a write, and that opening has cut off. */
  recoveredBytes = 0;

  private constructor(engine: Engine, options: Options) {
    this.#engine = engine;
    this.#storage = options.storage;
    this.#readOnly = options.readOnly ?? false;
  }

  /** Take in what the storage holds, or begin anew. */
  static async open(module: WebAssembly.Module, options: Options): Promise<Session> {
    const session = new Session(new Engine(module), options);
    try {
      await session.#load(openControl(session.#engine, options));
      session.maintain();
    } catch (error) {
      await options.storage?.close?.();
      throw error;
    }
    return session;
  }

  /** Recompute every hash of a file; it throws at the first that does not hold. */
  static async verify(module: WebAssembly.Module, file: Uint8Array, options: Options): Promise<void> {
    const { storage: _, ...settings } = options;
    const session = new Session(new Engine(module), settings);
    const open = openControl(session.#engine, settings);
    await session.#feed(new MemoryStorage(file), file.length, { open, writable: false, verify: true });
  }

  async #load(open: Record<string, unknown>): Promise<void> {
    const storage = this.#storage;
    const size = storage === undefined ? 0 : await kept(() => storage.size());
    if (size > 0 && storage !== undefined) {
      await this.#replay(storage, size, open);
      return;
    }
    const reply = this.#call(Op.open, { control: JSON.stringify(open) });
    this.#sequence = reply.sequence;
    if (storage === undefined || this.#readOnly) return;
    const header = reply.journal.slice();
    await kept(() => storage.append(header));
    await kept(() => storage.sync());
    this.#log = new Log(storage, header.length, reply.sequence);
  }

  async #replay(storage: Storage, size: number, open: Record<string, unknown>): Promise<void> {
    const told = await this.#feed(storage, size, { open, writable: !this.#readOnly, verify: false });
    if (this.#readOnly) return;
    if (told.valid_bytes < size) await kept(() => storage.truncate(told.valid_bytes));
    this.recoveredBytes = told.dropped_bytes;
    this.#log = new Log(storage, told.valid_bytes, this.#sequence);
  }

  /** Hand a log over, a piece at a time; what it came to. */
  async #feed(storage: Storage, size: number, control: object): Promise<{ valid_bytes: number; dropped_bytes: number }> {
    let [offset, want] = [0, 0];
    for (;;) {
      const from = offset;
      const length = Math.min(Math.max(want, PIECE_BYTES), size - from);
      const payload = await kept(() => storage.read(from, length));
      if (payload.length !== length) {
        throw new StorageError(`the storage gave ${payload.length} bytes, not ${length}`, "check its read method");
      }
      const flags = from + length >= size ? Flag.end : 0;
      const reply = this.#call(Op.replay, { control: JSON.stringify({ ...control, offset }), payload, flags });
      const told = JSON.parse(decoder.decode(reply.payload));
      this.#sequence = reply.sequence;
      if (flags === Flag.end) return told;
      [offset, want] = [told.offset, told.want];
    }
  }

  /** Carry out what changes nothing. */
  read<T>(opcode: number, request: Request, decode: Decode<T>): T {
    const reply = this.#call(opcode, request);
    return decode(reply.payload, reply.flags);
  }

  /** Carry out what may change something: a result, or a promise of it that settles when it is durable.
   * An async method that returns a result is settled sooner than one that returns a promise. */
  write<T>(opcode: number, request: Request, decode: Decode<T>): T | Promise<T> {
    const log = this.checkWritable();
    const reply = this.#call(opcode, request);
    this.#sequence = reply.sequence;
    const result = decode(reply.payload, reply.flags);
    if (log === null || reply.journal.length === 0) return result;
    return log.append(reply.journal.slice(), reply.sequence).then(() => result);
  }

  /** The log, if there is one. Throws unless this database may be written to. */
  checkWritable(): Log | null {
    this.#check();
    if (this.#readOnly) {
      throw new StorageError("the database was opened with readOnly", "open it without");
    }
    this.#log?.check();
    return this.#log;
  }

  /** Copy bytes to where the engine has made room. */
  fill(address: number, bytes: Uint8Array): void {
    this.#engine.fill(address, bytes);
  }

  /** Derive what searches gain from: the codes of vectors that came in bulk. */
  maintain(): void {
    const control = JSON.stringify({ budget: 1 << 16 });
    const isDone = () => this.read(Op.maintain, { control }, (_, flags) => flags & ReplyFlag.true);
    while (!isDone());
  }

  get memoryBytes(): number {
    return this.#engine.memoryBytes;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#log?.settled();
    } finally {
      await this.#storage?.close?.();
    }
  }

  #check(): void {
    if (this.#closed) {
      throw new DatabaseClosedError("the database was closed", "open it again with Database.open");
    }
  }

  #call(opcode: number, request: Request): Reply {
    this.#check();
    const acknowledged = this.#log === null ? this.#sequence : this.#log.acknowledged;
    const reply = this.#engine.call(opcode, request, Date.now() * 1000, acknowledged);
    if (reply.status !== 0) throw errorOf(reply.status, reply.payload);
    return reply;
  }
}

/** Whatever a storage throws, as an error of its own kind. */
async function kept<T>(act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof KoruDeltaError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new StorageError(`the storage failed: ${message}`, "see the cause", { cause: error });
  }
}

function openControl(engine: Engine, options: Options): Record<string, unknown> {
  const { maxMemoryMb = 512, vectorMetric = "cosine", vectorIndex = "auto" } = options;
  if (!(maxMemoryMb >= 4 && maxMemoryMb <= WASM_MAX_MB)) {
    throw new ValidationError(`maxMemoryMb is ${maxMemoryMb}`, `give a number from 4 to ${WASM_MAX_MB}`);
  }
  return {
    database_id: hex(crypto.getRandomValues(new Uint8Array(16))),
    journal: options.storage !== undefined && !options.readOnly,
    memory_budget: Math.max(1, Math.floor(maxMemoryMb * MEBIBYTE) - engine.memoryBytes),
    metric: vectorMetric,
    vector_index: vectorIndex,
  };
}
