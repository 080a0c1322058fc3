/**
 * The log in IndexedDB, for pages without a worker: the same object store as the Python package has
 * there, under the same name.
 *
 * The store `log` holds chunks under `[generation, index]` and, under `current`, the generation and
 * size of the log. What is appended is written by `sync`, in one transaction of strict durability.
 */

import { StorageError } from "./errors.js";
import { joined, type Storage } from "./storage.js";
import { browserError, lockDatabase } from "./web.js";

const STORE = "log";
const CURRENT = "current";
const CHUNK_BYTES = 16 * 1024;

/** A log in IndexedDB. An awaited write is in a transaction that is complete. */
export class IndexedDbStorage implements Storage {
  readonly #name: string;
  readonly #database: IDBDatabase;
  readonly #release: () => void;
  #generation = 0;
  #stored = 0;
  /** The last chunk, if it is not full. */
  #tail: Uint8Array = new Uint8Array();
  #waiting: Uint8Array[] = [];

  private constructor(name: string, database: IDBDatabase, release: () => void) {
    this.#name = name;
    this.#database = database;
    this.#release = release;
  }

  /** Open the database of a name, or prepare one. */
  static async open(name: string): Promise<IndexedDbStorage> {
    const release = await lockDatabase(name);
    try {
      const request = indexedDB.open(`koru-delta:${name}`, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE);
      const storage = new IndexedDbStorage(name, await result(request), release);
      await storage.#load();
      return storage;
    } catch (error) {
      release();
      throw browserError(error, "open", name);
    }
  }

  async #load(): Promise<void> {
    const current: unknown = await result(this.#store("readonly").get(CURRENT));
    if (typeof current !== "string") return;
    const [generation = 0, size = 0] = current.split(" ").map(Number);
    [this.#generation, this.#stored] = [generation, size];
    const start = size - (size % CHUNK_BYTES);
    this.#tail = await this.read(start, size - start);
  }

  size(): number {
    return this.#stored;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.#stored);
    if (end <= offset) return new Uint8Array();
    const first = Math.floor(offset / CHUNK_BYTES);
    const last = Math.floor((end - 1) / CHUNK_BYTES);
    const range = IDBKeyRange.bound([this.#generation, first], [this.#generation, last]);
    const chunks: Uint8Array[] = await result(this.#store("readonly").getAll(range));
    const bytes = joined(chunks.map((chunk) => new Uint8Array(chunk)));
    if (bytes.length < end - first * CHUNK_BYTES) {
      throw new StorageError(`chunks of ${this.#name} are missing`, "restore the database from a copy");
    }
    return bytes.subarray(offset - first * CHUNK_BYTES, end - first * CHUNK_BYTES);
  }

  append(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
  }

  async sync(): Promise<void> {
    const bytes = joined(this.#waiting);
    this.#waiting = [];
    if (bytes.length > 0) await this.#write(this.#stored, this.#tail, bytes);
  }

  async truncate(size: number): Promise<void> {
    this.#waiting = [];
    if (size >= this.#stored) return;
    const start = size - (size % CHUNK_BYTES);
    await this.#write(size, await this.read(start, size - start), new Uint8Array());
  }

  close(): void {
    this.#database.close();
    this.#release();
  }

  /** Make the log its first `kept` bytes, which end with `tail`, and `fresh` ones. */
  async #write(kept: number, tail: Uint8Array, fresh: Uint8Array): Promise<void> {
    const generation = Math.max(this.#generation, 1);
    const whole = joined([tail, fresh]);
    const size = kept + fresh.length;
    const first = Math.floor(kept / CHUNK_BYTES);
    try {
      const transaction = this.#database.transaction(STORE, "readwrite", { durability: "strict" });
      const store = transaction.objectStore(STORE);
      if (kept < this.#stored) {
        store.delete(IDBKeyRange.bound([generation, Math.ceil(size / CHUNK_BYTES)], [generation, Infinity]));
      }
      for (let at = 0; at < whole.length; at += CHUNK_BYTES) {
        store.put(whole.slice(at, at + CHUNK_BYTES), [generation, first + at / CHUNK_BYTES]);
      }
      store.put(`${generation} ${size}`, CURRENT);
      await completed(transaction);
    } catch (error) {
      throw browserError(error, "write to", this.#name);
    }
    this.#generation = generation;
    this.#stored = size;
    this.#tail = whole.slice(whole.length - (size % CHUNK_BYTES));
  }

  #store(mode: IDBTransactionMode): IDBObjectStore {
    return this.#database.transaction(STORE, mode).objectStore(STORE);
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}
