/** Group commit: writes that wait at the same time share one append and one sync. */

import { StorageError } from "./errors.js";
import { joined, type Storage } from "./storage.js";

/** The log of an open database, in its storage. */
export class Log {
  readonly #storage: Storage;
  #size: number;
  #waiting: Uint8Array[] = [];
  #sequence: number;
  #flushing: Promise<void> | null = null;
  #failure: StorageError | null = null;
  /** Sequence up to which writes are acknowledged, and synced. */
  acknowledged: number;

  /** Go on behind the frame `sequence`, with which `size` bytes end. */
  constructor(storage: Storage, size: number, sequence: number) {
    this.#storage = storage;
    this.#size = size;
    this.#sequence = sequence;
    this.acknowledged = sequence;
  }

  /** Throw if writing failed before: what the storage holds is not known. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Take a write's frames, up to `sequence`; settles when they are durable. */
  async append(frames: Uint8Array, sequence: number): Promise<void> {
    this.#waiting.push(frames);
    this.#sequence = sequence;
    while (this.acknowledged < sequence) {
      this.check();
      this.#flushing ??= this.#flush().finally(() => {
        this.#flushing = null;
      });
      await this.#flushing;
    }
  }

  /** Settles when everything that was appended is durable. */
  async settled(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing;
  }

  async #flush(): Promise<void> {
    await null; // Whoever writes in this turn shares the sync.
    const bytes = joined(this.#waiting);
    const sequence = this.#sequence;
    this.#waiting = [];
    try {
      await this.#storage.append(bytes);
      await this.#storage.sync();
    } catch (error) {
      await this.#fail(error);
    }
    this.#size += bytes.length;
    this.acknowledged = sequence;
  }

  async #fail(cause: unknown): Promise<never> {
    const message = `the storage failed: ${cause instanceof Error ? cause.message : String(cause)}`;
    const suggestion = "close the database and open it again: what was acknowledged is there";
    this.#failure = new StorageError(message, suggestion, { cause });
    try {
      await this.#storage.truncate(this.#size);
    } catch {
      // Half a write at the end is cut off when the log is opened.
    }
    throw this.#failure;
  }
}
