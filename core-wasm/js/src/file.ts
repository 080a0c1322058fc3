/** The log as a file, in node, Deno and Bun: the same file that the Python package opens. */

import { type FileHandle, mkdir, open, readFile, stat, unlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import { DatabaseLockedError } from "./errors.js";
import type { Storage } from "./storage.js";

/**
 * A log in a file. An awaited write was synced to the disk.
 *
 * One process may write: a file beside it, `<path>.jslock`, holds the number of the process that
 * does. On Linux a Python process that has the database open is found as well. A Python process that
 * comes later does not look at that file: do not open a database from both at the same time.
 */
export class FileStorage implements Storage {
  readonly #file: FileHandle;
  readonly #lock: string;
  #size: number;

  private constructor(file: FileHandle, lock: string, size: number) {
    this.#file = file;
    this.#lock = lock;
    this.#size = size;
  }

  /** Open the file of a database, or make one; missing directories are made. */
  static async open(path: string): Promise<FileStorage> {
    const full = resolve(path);
    await mkdir(dirname(full), { recursive: true });
    await refusePython(full);
    const lock = `${full}.jslock`;
    await takeLock(lock, full);
    try {
      const file = await openOrCreate(full);
      return new FileStorage(file, lock, await logSize(file));
    } catch (error) {
      await unlink(lock);
      throw error;
    }
  }

  size(): number {
    return this.#size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const { bytesRead, buffer } = await this.#file.read(new Uint8Array(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#size + at);
      at += bytesWritten;
    }
    this.#size += bytes.length;
  }

  async sync(): Promise<void> {
    await this.#file.datasync();
  }

  async truncate(size: number): Promise<void> {
    await this.#file.truncate(size);
    await this.#file.sync();
    this.#size = size;
  }

  async close(): Promise<void> {
    await this.#file.close();
    await unlink(this.#lock);
  }
}

/** Open a file; a new one is durable together with its name in the directory. */
async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  const file = await open(path, "wx+");
  if (process.platform !== "win32") {
    const directory = await open(dirname(path), "r");
    await directory.sync();
    await directory.close();
  }
  return file;
}

/** Bytes of a file; of one that a crash has left without content, none. */
async function logSize(file: FileHandle): Promise<number> {
  return (await file.stat()).size;
}

async function takeLock(lock: string, path: string): Promise<void> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = await open(lock, "wx");
      await file.writeFile(`${process.pid}`);
      await file.close();
      return;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const holder = Number(await readFile(lock, "utf8").catch(() => "0"));
    if (isAlive(holder)) throw locked(path, holder);
    await unlink(lock).catch(() => undefined); // Its process has ended.
  }
  throw locked(path, 0);
}

function isAlive(pid: number): boolean {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** The Python package holds `flock` on `<path>.lock`, which Linux lists. */
async function refusePython(path: string): Promise<void> {
  try {
    const { ino } = await stat(`${path}.lock`);
    const locks = await readFile("/proc/locks", "utf8");
    const held = locks.split("\n").find((line) => line.includes(" FLOCK ") && line.includes(`:${ino} `));
    if (held !== undefined) throw locked(path, Number(held.split(/\s+/)[4]));
  } catch (error) {
    if (error instanceof DatabaseLockedError) throw error;
  }
}

function locked(path: string, pid: number): DatabaseLockedError {
  const holder = pid > 0 ? `process ${pid}` : "another process";
  return new DatabaseLockedError(`${path} is open already, by ${holder}`, "close it there, or share that handle");
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
