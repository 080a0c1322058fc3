/** Where a database's bytes are kept. */

/** A result, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/**
 * One log: a file's bytes, which a storage never interprets. Every method may answer at once or with
 * a promise; a database calls one at a time. Whatever a method throws ends writing: reading goes on,
 * and the database must be opened again.
 */
export interface Storage {
  /** Bytes of log; 0 if there is none yet. */
  size(): Awaitable<number>;
  /** The bytes from `offset` on, `length` of them unless the log ends before. */
  read(offset: number, length: number): Awaitable<Uint8Array>;
  /** Add bytes at the end. */
  append(bytes: Uint8Array): Awaitable<void>;
  /** Settle when everything appended would survive a loss of power. */
  sync(): Awaitable<void>;
  /** Cut the log to its first `size` bytes, durably. */
  truncate(size: number): Awaitable<void>;
  /** Let go of everything. It is called once. */
  close?(): Awaitable<void>;
}

/** A log in memory, of which `bytes()` gives a copy. */
export class MemoryStorage implements Storage {
  #bytes: Uint8Array;
  #size: number;

  /** Begin with a copy of what a file holds, or with nothing. */
  constructor(file: Uint8Array = new Uint8Array()) {
    this.#bytes = file.slice();
    this.#size = file.length;
  }

  /** A copy of the log: the bytes of a file that any koru-delta opens. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  size(): number {
    return this.#size;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(offset, Math.min(offset + length, this.#size));
  }

  append(bytes: Uint8Array): void {
    if (this.#size + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(2 * (this.#size + bytes.length));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.length;
  }

  sync(): void {}

  truncate(size: number): void {
    this.#size = Math.min(this.#size, size);
  }
}

/** Several arrays of bytes as one. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
