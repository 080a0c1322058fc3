/** Group commit: writes that wait at the same time share one append and one sync. */

import { StorageError } from "./errors.js";
import { joined, type Storage } from "./storage.js";

/** The log of an open database, in its storage. */
export class Log {
  readonly #storage: Storage;
  #size: number;
  #waiting: Uint8Array[] = [];
  #sequence: number;
  /** What writes that wait wait for, and what is being written before them. */
  #group: Promise<void> | null = null;
  #running: Promise<void> | null = null;
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
  append(frames: Uint8Array, sequence: number): Promise<void> {
    this.#waiting.push(frames);
    this.#sequence = sequence;
    return (this.#group ??= this.#commit());
  }

  /** Settles when everything that was appended is durable. */
  async settled(): Promise<void> {
    await (this.#group ?? this.#running);
  }

  async #commit(): Promise<void> {
    await this.#running?.catch(ignored); // Whoever writes meanwhile, or in this turn, shares the sync.
    const group = this.#group;
    this.#group = null;
    this.check();
    this.#running = group;
    const bytes = joined(this.#waiting);
    const sequence = this.#sequence;
    this.#waiting = [];
    try {
      // What a storage did at once is not waited for.
      const appended = this.#storage.append(bytes);
      if (appended !== undefined) await appended;
      const synced = this.#storage.sync();
      if (synced !== undefined) await synced;
    } catch (error) {
      await this.#fail(error);
    } finally {
      this.#running = null;
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

/** Whoever waited for it was told. */
function ignored(): void {}
