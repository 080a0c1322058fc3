// A database that CPython made goes here and back: node exchange.mjs IN OUT
import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { Database } from "koru-delta";
import { FileStorage } from "koru-delta/file";

const [from, to] = process.argv.slice(2);
await copyFile(from, to);
const db = await Database.open({ storage: await FileStorage.open(to) });
assert.deepEqual(await db.get("values", "large"), [2n ** 64n - 1n, -(2n ** 63n), 2 ** 53 - 1, 0.1]);
assert.deepEqual(await db.get("values", "bytes"), Uint8Array.of(0, 255));
assert.equal((await db.similar("notes", [1, 0, 0.5], 1))[0].key, "mars");
assert.equal((await db.search("notes", "planet"))[0].key, "venus");

const memory = db.agentMemory("assistant");
const [home] = await memory.recall("Where does Alice live?", { memoryType: "fact" });
assert.equal(home.content, "Alice lives in Berlin");
assert.equal(home.accessCount, 3, "twice in Python, and now");
const said = await memory.remember("Alice told me that she moved to Lisbon");
await memory.learn("alice.home", "Alice lives in Lisbon", { causedBy: said, tags: ["home"] });
await memory.learnProcedure("greet", ["say hello"], { successRate: 0.5 });
await memory.flush();
await db.put("values", "from node", { id: 2n ** 63n, float: 1.5, text: "\u{1F600}" });
await db.embedBatch("notes", ["pluto"], Float32Array.of(-1, 0, 0), [{ text: "dwarf planet" }]);
assert((await db.verify()).ok);
console.log(JSON.stringify({ head: await db.head(), said }));
await db.close();
