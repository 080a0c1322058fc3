/**
 * The log in a browser's private file system, for workers: the same files as the Python package has
 * there, under the same name.
 *
 * A database is a directory of three files: two for the log, `a` and `b`, and `current`, which says
 * which of them it is: two places by turns, each with a checksum.
 */

import { CorruptionError, StorageError } from "./errors.js";
import type { Storage } from "./storage.js";
import { browserError, lockDatabase } from "./web.js";

const MAGIC = "KORUOPFS";
const PLACE_BYTES = 4096;
const RECORD_BYTES = 28;

/** What TypeScript knows in workers only. */
interface SyncHandle {
  getSize(): number;
  read(bytes: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

type WorkerFile = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncHandle> };

/** A log in the private file system. An awaited write was flushed. */
export class OpfsStorage implements Storage {
  readonly #name: string;
  readonly #handles: SyncHandle[];
  readonly #release: () => void;
  #which: 0 | 1;
  #generation: number;
  #size: number;

  private constructor(name: string, handles: SyncHandle[], release: () => void) {
    this.#name = name;
    this.#handles = handles;
    this.#release = release;
    [this.#generation, this.#which] = currentOf(readAll(this.#current, 2 * PLACE_BYTES), name);
    this.#size = this.#generation > 0 ? this.#log.getSize() : 0;
  }

  /** Open the database of a name, or prepare one. In a dedicated worker only. */
  static async open(name: string): Promise<OpfsStorage> {
    const release = await lockDatabase(name);
    const handles: SyncHandle[] = [];
    try {
      const directory = await directoryOf(name);
      for (const part of ["a", "b", "current"]) {
        const file = (await directory.getFileHandle(part, { create: true })) as WorkerFile;
        handles.push(await file.createSyncAccessHandle());
      }
      return new OpfsStorage(name, handles, release);
    } catch (error) {
      for (const handle of handles) handle.close();
      release();
      throw browserError(error, "open", name);
    }
  }

  get #log(): SyncHandle {
    return this.#handles[this.#which] as SyncHandle;
  }

  get #current(): SyncHandle {
    return this.#handles[2] as SyncHandle;
  }

  size(): number {
    return this.#size;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(length, Math.max(0, this.#size - offset)));
    return bytes.subarray(0, this.#log.read(bytes, { at: offset }));
  }

  append(bytes: Uint8Array): void {
    try {
      if (this.#generation === 0) this.#begin();
      const written = this.#log.write(bytes, { at: this.#size });
      if (written < bytes.length) throw new StorageError("not all bytes were taken", "free some space");
    } catch (error) {
      throw browserError(error, "write to", this.#name);
    }
    this.#size += bytes.length;
  }

  sync(): void {
    try {
      this.#log.flush();
    } catch (error) {
      throw browserError(error, "sync", this.#name);
    }
  }

  truncate(size: number): void {
    this.#log.truncate(size);
    this.#log.flush();
    this.#size = size;
  }

  close(): void {
    for (const handle of this.#handles) handle.close();
    this.#release();
  }

  /** Make the other file, emptied, the log of a new database. */
  #begin(): void {
    const which = this.#which === 0 ? 1 : 0;
    (this.#handles[which] as SyncHandle).truncate(0);
    const record = new Uint8Array(RECORD_BYTES);
    const view = new DataView(record.buffer);
    record.set(new TextEncoder().encode(MAGIC));
    view.setUint32(8, this.#generation + 1, true);
    view.setUint32(16, which, true);
    view.setUint32(24, crc32(record.subarray(0, 24)), true);
    this.#generation += 1;
    this.#which = which;
    this.#current.write(record, { at: (this.#generation % 2) * PLACE_BYTES });
    this.#current.flush();
  }
}

async function directoryOf(name: string): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  const parent = await root.getDirectoryHandle("koru-delta", { create: true });
  return parent.getDirectoryHandle(quoted(name) || "%", { create: true });
}

/** As the Python package quotes names of directories. */
function quoted(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function readAll(handle: SyncHandle, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, handle.read(bytes, { at: 0 }));
}

/** Generation, and which of the files is the log; generation 0 for none. */
function currentOf(content: Uint8Array, name: string): [number, 0 | 1] {
  let found: [number, 0 | 1] = [0, 1];
  let damaged = 0;
  for (const place of [0, PLACE_BYTES]) {
    const record = content.subarray(place, place + RECORD_BYTES);
    if (record.every((byte) => byte === 0)) continue;
    const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    const isWhole = record.length === RECORD_BYTES && view.getUint32(24, true) === crc32(record.subarray(0, 24));
    if (!isWhole) damaged += 1;
    else if (view.getUint32(8, true) > found[0]) found = [view.getUint32(8, true), view.getUint32(16, true) === 1 ? 1 : 0];
  }
  if (damaged === 2) {
    throw new CorruptionError(`the record of which file is the log of ${name} is damaged`, "restore it from a copy");
  }
  return found;
}

/** The checksum of zip files, bit by bit: it is asked for 24 bytes. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return ~crc >>> 0;
}
