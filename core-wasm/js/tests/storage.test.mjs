// Where bytes are kept: memory, a file, any object; and what happens when a storage fails.
import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import {
  CorruptionError, Database, DatabaseLockedError, MemoryStorage, StorageError, UnsupportedFormatError, ValidationError,
} from "koru-delta";
import { FileStorage } from "koru-delta/file";

const directory = await mkdtemp(join(tmpdir(), "koru-"));
after(() => rm(directory, { recursive: true }));

test("a file holds what was written", async () => {
  const path = join(directory, "new", "data.koru");
  const db = await Database.open({ storage: await FileStorage.open(path) });
  const first = await db.put("users", "alice", { age: 30 });
  await Promise.all(Array.from({ length: 200 }, (_, index) => db.put("many", `${index}`, index)));
  await assert.rejects(FileStorage.open(path), (error) => {
    assert(error instanceof DatabaseLockedError && error instanceof StorageError);
    return error.code === "KORU_LOCKED" && error.message.includes(`${process.pid}`);
  });
  const head = await db.head();
  await db.close();
  const again = await Database.open({ storage: await FileStorage.open(path) });
  assert.equal(await again.head(), head);
  assert.equal((await again.listKeys("many")).length, 200);
  assert.deepEqual(await again.getAt("users", "alice", first), { age: 30 });
  assert((await again.verify()).ok);
  await again.close();
  assert.deepEqual(await readdir(join(directory, "new")), ["data.koru"]);
});

test("a torn tail is cut off, and damage is not", async () => {
  const path = join(directory, "torn.koru");
  const db = await Database.open({ storage: await FileStorage.open(path) });
  await db.put("a", "k", 1);
  await db.put("a", "k", 2);
  await db.close();
  const whole = await readFile(path);
  await writeFile(path, whole.subarray(0, whole.length - 9));
  const torn = await Database.open({ storage: await FileStorage.open(path) });
  assert.equal(await torn.get("a", "k"), 1);
  assert((await torn.stats()).recovered_bytes > 0);
  await torn.put("a", "k", 3);
  await torn.close();
  const damaged = Buffer.from(whole);
  damaged[64 + 50] ^= 1;
  await writeFile(path, damaged);
  await assert.rejects(FileStorage.open(path).then((storage) => Database.open({ storage })), (error) => {
    assert(error instanceof CorruptionError);
    return error.code === "KORU_CORRUPT" && error.offset === 64;
  });
  assert.deepEqual(await readFile(path), damaged, "it is left as it is, and unlocked");
  await writeFile(path, "something else entirely, of some length");
  await assert.rejects(FileStorage.open(path).then((storage) => Database.open({ storage })), UnsupportedFormatError);
});

test("a lock whose process has ended is taken over", async () => {
  const path = join(directory, "stale.koru");
  await writeFile(`${path}.jslock`, "999999999");
  const db = await Database.open({ storage: await FileStorage.open(path) });
  await db.put("a", "k", 1);
  await db.close();
});

test("bytes go out and come in", async () => {
  const db = await Database.open();
  await db.put("users", "alice", { age: 30 });
  await db.put("users", "alice", { age: 31 });
  await db.embed("notes", "mars", [1, 2, 3], { title: "Mars" });
  const bytes = await db.exportBytes();
  const copy = await Database.importBytes(bytes);
  assert.equal(await copy.head(), await Database.importBytes(bytes).then((one) => one.head()));
  assert.equal((await copy.history("users", "alice")).length, 2);
  assert.equal((await copy.similar("notes", [1, 2, 3]))[0].key, "mars");
  await copy.put("users", "alice", { age: 32 });
  assert((await copy.verify()).ok);
  const storage = new MemoryStorage();
  const kept = await Database.importBytes(bytes, { storage });
  await kept.put("users", "bob", 1);
  const reopened = await Database.open({ storage: new MemoryStorage(storage.bytes()) });
  assert.equal(await reopened.get("users", "bob"), 1);
  await assert.rejects(Database.importBytes(bytes, { storage }), ValidationError);
  const damaged = bytes.slice();
  damaged[200] ^= 1;
  await assert.rejects(Database.importBytes(damaged), CorruptionError);
});

test("read-only changes nothing", async () => {
  const storage = new MemoryStorage();
  const db = await Database.open({ storage });
  await db.put("a", "k", 1);
  await db.close();
  const before = storage.bytes();
  const reader = await Database.open({ storage, readOnly: true });
  assert.equal(await reader.get("a", "k"), 1);
  await assert.rejects(reader.put("a", "k", 2), StorageError);
  await assert.rejects(reader.delete("a", "k"), StorageError);
  assert.deepEqual(storage.bytes(), before);
});

/** A storage of promises, whose methods can be made to fail. */
class Slow extends MemoryStorage {
  calls = [];
  failing = null;

  async #turn(name, act) {
    this.calls.push(name);
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (this.failing === name) throw new Error(`${name} fails`);
    return act();
  }

  append(bytes) {
    return this.#turn("append", () => super.append(bytes));
  }

  sync() {
    return this.#turn("sync", () => {});
  }

  read(offset, length) {
    return this.#turn("read", () => super.read(offset, length));
  }
}

test("any object with the methods will do, and writes that wait share a sync", async () => {
  const storage = new Slow();
  const db = await Database.open({ storage });
  storage.calls.length = 0;
  const versions = await Promise.all(Array.from({ length: 64 }, (_, index) => db.put("a", `${index}`, index)));
  assert.equal(versions.length, 64);
  assert(storage.calls.length <= 4, `${storage.calls}`);
});

test("a write shows when it is durable, and not before", async () => {
  const storage = new Slow();
  const db = await Database.open({ storage });
  await db.put("a", "k", 1);
  const writing = db.put("a", "k", 2);
  assert.equal(await db.get("a", "k"), 1);
  await writing;
  assert.equal(await db.get("a", "k"), 2);
});

test("after a failure nothing is written, and what was acknowledged is there", async () => {
  for (const failing of ["append", "sync"]) {
    const storage = new Slow();
    const db = await Database.open({ storage });
    await db.put("a", "k", 1);
    storage.failing = failing;
    await assert.rejects(db.put("a", "k", 2), (error) => {
      assert(error instanceof StorageError);
      assert.equal(error.cause.message, `${failing} fails`);
      return error.code === "KORU_STORAGE" && error.suggestion.includes("open it again");
    });
    storage.failing = null;
    await assert.rejects(db.put("a", "k", 3), StorageError);
    assert.equal(await db.get("a", "k"), 1);
    await db.close();
    const again = await Database.open({ storage });
    assert.equal(await again.get("a", "k"), 1);
    await again.put("a", "k", 4);
  }
});
