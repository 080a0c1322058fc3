// What every method promises, on a database in memory.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as koru from "koru-delta";
import { Database } from "koru-delta";

const fresh = (options) => Database.open(options);

test("values come back as they were put", async () => {
  const db = await fresh();
  const values = {
    object: { name: "Al\u00efce \u{1F600}", nested: [1, 2.5, null, true, { "": [] }] },
    text: "",
    zero: -0,
    large: 2n ** 64n - 1n,
    small: -(2n ** 63n),
    mixed: [2 ** 53 - 1, 2n ** 53n, { id: 12345678901234567890n, text: "12345678901234567890" }],
    float: 2 ** 60,
    exponent: [1e21, 5e-324, -1.5e300],
    __proto__named: JSON.parse('{"__proto__": 1}'),
    bytes: Uint8Array.of(0, 255, 10),
  };
  for (const [key, value] of Object.entries(values)) {
    await db.put("values", key, value);
    assert.deepStrictEqual(await db.get("values", key), value, key);
  }
  assert.equal(await db.get("values", "float"), 2 ** 60);
  await db.put("values", "short bigint", 7n);
  assert.equal(await db.get("values", "short bigint"), 7, "what fits a number is one");
});

test("what would be changed is refused, with its place", async () => {
  const db = await fresh();
  class Point {}
  const refused = [
    [{ a: [undefined] }, "$.a[0]"], [{ n: NaN }, "$.n"], [[1, Infinity], "$[1]"], [{ f() {} }, "$.f"],
    [{ at: new Date(0) }, "$.at"], [{ p: new Point() }, "$.p"], [new Map(), "$"], [2n ** 64n, "$"],
    ["half \ud800", "$"], [Symbol("s"), "$"], [Array(2), "$[0]"],
  ];
  for (const [value, place] of refused) {
    await assert.rejects(db.put("values", "bad", value), (error) => {
      assert(error instanceof koru.SerializationError && error instanceof koru.ValidationError);
      assert.equal(error.code, "KORU_SERIALIZATION");
      assert(error.message.startsWith(`${place} `), error.message);
      assert(error.suggestion.length > 0);
      return true;
    });
  }
  let deep = 1;
  for (let depth = 0; depth < 200; depth++) deep = [deep];
  await assert.rejects(db.put("values", "deep", deep), koru.SerializationError);
  assert.deepEqual(await db.listKeys("values"), []);
});

test("history, time travel, differences, restoring", async () => {
  const db = await fresh();
  const first = await db.put("users", "alice", { age: 30 });
  const second = await db.put("users", "alice", { age: 31, city: "Paris" });
  assert.equal(second.previous, first.versionId);
  assert(second.timestampUs > first.timestampUs);
  assert.deepEqual(await db.getAt("users", "alice", first), { age: 30 });
  assert.deepEqual(await db.get("users", "alice", { at: BigInt(first.timestampUs) }), { age: 30 });
  assert.deepEqual(await db.get("users", "alice", { at: new Date() }), { age: 31, city: "Paris" });
  await assert.rejects(db.get("users", "alice", { at: new Date(0) }), koru.KeyNotFoundError);
  assert.deepEqual(await db.diff("users", "alice"), [
    { op: "replace", path: "/age", value: 31 }, { op: "add", path: "/city", value: "Paris" },
  ]);
  assert.deepEqual((await db.diff("users", "alice", second, first)).length, 2);
  assert.equal(await db.delete("users", "alice"), true);
  assert.equal(await db.delete("users", "alice"), false);
  assert.equal(await db.contains("users", "alice"), false);
  assert.equal(await db.contains("users", "alice", { at: second }), true);
  const restored = await db.restore("users", "alice", first.versionId);
  assert.deepEqual(restored.causedBy, [first.versionId]);
  const history = await db.history("users", "alice");
  assert.deepEqual(history.map((version) => version.deleted), [false, false, true, false]);
  assert.deepEqual((await db.history("users", "alice", { limit: 1 }))[0].versionId, restored.versionId);
  assert.deepEqual((await db.version(first.versionId)).toJSON(), first.toJSON());
  assert.equal(await db.erase("users", "alice"), 4);
  assert.deepEqual(await db.history("users", "alice"), []);
});

test("batches, listings and many values", async () => {
  const db = await fresh();
  const items = [["a", "x", 1], ["a", "y", Uint8Array.of(1)], ["b", "x", { n: 2n ** 60n }]];
  assert.equal(await db.putBatch(items), 3);
  await assert.rejects(db.putBatch([["a", "z", 1], ["a", "", 2]]), (error) => error.message.includes("item 1"));
  await assert.rejects(db.putBatch([["a", "z", 1], ["a", "w", NaN]]), (error) => error.message.includes("item 1"));
  assert.deepEqual(await db.listKeys("a"), ["x", "y"]);
  assert.deepEqual(await db.listKeys("a", { startAfter: "x", limit: 1 }), ["y"]);
  assert.deepEqual(await db.listKeys("a", { prefix: "z" }), []);
  assert.deepEqual(await db.listNamespaces(), ["a", "b"]);
  const found = await db.getMany("a", ["y", "none", "x"]);
  assert.deepEqual([...found], [["y", Uint8Array.of(1)], ["x", 1]]);
  assert.deepEqual(await db.get("b", "x"), { n: 2n ** 60n });
});

test("conditions and causes", async () => {
  const db = await fresh();
  const page = await db.put("pages", "mars", { moons: 2 }, { expectedVersion: null });
  const fact = await db.put("facts", "moons", "two", { causedBy: page });
  const plan = await db.put("plans", "trip", "go", { causedBy: [fact.versionId, page] });
  await db.put("pages", "mars", { moons: 2, checked: true }, { expectedVersion: page });
  await assert.rejects(db.put("pages", "mars", 1, { expectedVersion: page }), (error) => {
    assert(error instanceof koru.ConflictError);
    assert.equal(error.code, "KORU_CONFLICT");
    assert.match(error.current, /^[0-9a-f]{32}$/);
    return true;
  });
  await assert.rejects(db.put("pages", "mars", 1, { expectedVersion: null }), koru.ConflictError);
  assert.deepEqual((await db.lineage(plan)).map((version) => version.key), ["moons", "mars"]);
  assert.deepEqual((await db.lineage(plan, { depth: 1 })).length, 2);
  assert.deepEqual((await db.effects(page)).map((version) => version.key).sort(), ["moons", "trip"]);
});

test("errors are classes with a code and a suggestion", async () => {
  const db = await fresh();
  await db.put("users", "alice", 1);
  await assert.rejects(db.get("users", "alcie"), (error) => {
    assert(error instanceof koru.KeyNotFoundError && error instanceof koru.KoruDeltaError && error instanceof Error);
    assert.equal(error.code, "KORU_NOT_FOUND");
    assert.equal(error.name, "KeyNotFoundError");
    assert.deepEqual(error.suggestions, ["alice"]);
    return error.suggestion.length > 0;
  });
  assert.equal(await db.get("users", "nobody", { default: "else" }), "else");
  await assert.rejects(db.put("", "key", 1), (error) => error.code === "KORU_INVALID");
  await assert.rejects(db.put("users", "x".repeat(1025), 1), koru.ValidationError);
  await assert.rejects(db.put("users", "\ud800", 1), koru.ValidationError);
  await assert.rejects(db.get("users", 1), koru.ValidationError);
  await assert.rejects(db.query("users", { age: { $near: 1 } }), koru.ValidationError);
  await assert.rejects(db.history("users", "alice", { limit: -1 }), koru.ValidationError);
  await assert.rejects(db.get("users", "alice", { at: "tomorrow" }), koru.ValidationError);
  await assert.rejects(db.put("users", "long", "x".repeat(9 << 20)), (error) => error.code === "KORU_LIMIT");
  await assert.rejects(fresh({ maxMemoryMb: 1 }), koru.ValidationError);
  await db.close();
  await db.close();
  await assert.rejects(db.get("users", "alice"), (error) => error.code === "KORU_CLOSED");
  await assert.rejects(db.put("users", "alice", 2), koru.DatabaseClosedError);
});

test("queries", async () => {
  const db = await fresh();
  await db.putBatch([
    ["books", "emma", { title: "Emma", year: 1815, tags: ["novel"] }],
    ["books", "moby", { title: "Moby-Dick", year: 1851, tags: ["novel", "whale"] }],
    ["books", "walden", { title: "Walden", year: 1854 }],
  ]);
  const late = await db.query("books", { year: { $gte: 1850 } }, { orderBy: "-year", select: ["title"] });
  assert.deepEqual(late.map((record) => [record.key, record.value]), [
    ["walden", { title: "Walden" }], ["moby", { title: "Moby-Dick" }],
  ]);
  assert.equal((await db.query("books", null, { limit: 1, offset: 1 }))[0].key, "moby");
  assert.equal(await db.count("books", { tags: "novel" }), 2);
  assert.equal(await db.count("books"), 3);
  assert.deepEqual(await db.aggregate("books", { n: { $count: true }, first: { $min: "year" } }), [
    { n: 3, first: 1815 },
  ]);
});

test("indexes answer as queries do without, and are kept", async () => {
  const storage = new koru.MemoryStorage();
  const db = await fresh({ storage });
  await db.putBatch(Array.from({ length: 200 }, (_, i) => ["users", `u${i}`, { age: i % 50, name: `n${i}` }]));
  const questions = [{ age: 7 }, { age: { $gte: 45, $lt: 48 } }, { age: { $in: [1, 2] }, name: "n51" }];
  const ask = () => Promise.all(questions.map((where) => db.query("users", where, { orderBy: "-age" })));
  const before = await ask();
  assert.equal(await db.createIndex("users", "age"), true);
  assert.equal(await db.createIndex("users", "age"), false);
  await db.createIndex("users", "name");
  assert.deepEqual(await ask(), before);
  assert.equal(before[0].length, 4);
  await db.put("users", "u7", { age: 8 });
  assert.equal((await db.query("users", { age: 7 })).length, 3, "writes keep it up to date");
  const again = await fresh({ storage: new koru.MemoryStorage(storage.bytes()) });
  const fields = (await again.listIndexes("users")).map(({ namespace, field }) => [namespace, field]);
  assert.deepEqual(fields, [["users", "age"], ["users", "name"]]);
  assert.deepEqual(await again.listIndexes("books"), []);
  assert.equal(await again.dropIndex("users", "age"), true);
  assert.equal(await again.dropIndex("users", "age"), false);
  assert.equal((await again.listIndexes()).length, 1);
  await assert.rejects(db.createIndex("users", ""), koru.ValidationError);
  await assert.rejects(db.createIndex("users", 7), koru.ValidationError);
});

test("text, vectors, and both", async () => {
  const db = await fresh();
  const mars = await db.embed("notes", "mars", [1, 0, 0.5], { text: "red planet" });
  await db.embed("notes", "venus", Float32Array.of(0.5, 1, 0), { text: "bright planet planet" });
  await db.embedBatch("notes", ["jazz", "blues"], Float32Array.of(0, -1, 2, 0, -1, 3), [{ text: "blue note" }, null]);
  const [venus, other] = await db.search("notes", "planet");
  assert.deepEqual([venus.key, other.key], ["venus", "mars"]);
  assert(venus.score > other.score);
  assert.equal(venus.snippet, "bright planet planet");
  assert.deepEqual(venus.highlights, [[7, 13], [14, 20]]);
  assert.deepEqual((await db.similar("notes", [1, 0, 0.5])).map((match) => match.key).slice(0, 2), ["mars", "blues"]);
  const [filtered] = await db.similar("notes", [1, 0, 0.5], 1, { where: { text: { $regex: "blue" } }, exact: true });
  assert.equal(filtered.key, "jazz");
  assert.equal((await db.hybrid("notes", "planet", [1, 0, 0.5], 1))[0].key, "mars");
  assert.deepEqual(await db.vector("notes", "blues"), Float32Array.of(0, -1, 3));
  await db.embed("notes", "mars", [0, 0, 1]);
  assert.deepEqual(await db.get("notes", "mars"), { text: "red planet" }, "the value is kept");
  assert.equal((await db.similar("notes", [1, 0, 0.5], 1, { at: mars }))[0].key, "mars");
  await assert.rejects(db.similar("notes", [1, 2]), koru.ValidationError);
  await assert.rejects(db.embed("notes", "bad", [NaN, 0, 0]), koru.ValidationError);
  await assert.rejects(db.embed("notes", "bad", "text"), koru.ValidationError);
  await assert.rejects(db.embedBatch("notes", ["a", "b"], [[1, 0, 0]]), koru.ValidationError);
  const rows = Float32Array.from({ length: 3000 * 16 }, (_, index) => Math.sin(index * index));
  assert.equal(await db.embedBatch("many", Array.from({ length: 3000 }, (_, i) => `${i}`), rows), 3000);
  assert.equal((await db.similar("many", rows.subarray(16 * 1234, 16 * 1235), 1))[0].key, "1234");
});

test("agent memory", async () => {
  const db = await fresh();
  const memory = db.agentMemory("assistant");
  const said = await memory.remember("Alice moved from Berlin to Lisbon", { importance: 0.8, tags: ["home"] });
  assert.match(said, /^episode\/[0-9a-f]{16}$/);
  assert.equal(await memory.learn("alice.home", "Alice lives in Lisbon", { causedBy: said }), "fact/alice.home");
  await memory.learnProcedure("greet", ["say hello", "ask about Lisbon"]);
  const [best, ...rest] = await memory.recall("Where does Alice live?");
  assert.equal(best.content, "Alice lives in Lisbon");
  assert.equal(best.accessCount, 1);
  assert(rest.every((one) => one.score <= best.score));
  assert.deepEqual((await memory.recall("Lisbon", { memoryType: "procedure" }))[0].steps, ["say hello", "ask about Lisbon"]);
  assert.deepEqual((await memory.recall("Alice", { tags: ["home"] })).map((one) => one.id), [said]);
  const again = await memory.recall("Where does Alice live?");
  assert.equal(again.find((one) => one.id === best.id).accessCount, 2);
  assert.deepEqual((await db.lineage((await memory.history("fact/alice.home"))[0])).map((version) => version.key), [said]);
  await memory.flush();
  assert.equal((await db.get("memory-accesses/assistant", said)).count >= 2, true);
  assert.equal(await memory.forget(said), true);
  assert.deepEqual(await memory.recall("Berlin"), []);
  await assert.rejects(memory.remember(" "), koru.ValidationError);
  await assert.rejects(memory.remember("x", { importance: 2 }), koru.ValidationError);
  await assert.rejects(memory.remember("x", { causedBy: "fact/none" }), koru.ValidationError);
  const embedder = (texts) => texts.map((text) => (text.includes("feline") || text.includes("cat") ? [1, 0] : [0, 1]));
  const meaning = db.agentMemory("meaning", { embedder });
  await meaning.remember("a feline slept here");
  await meaning.remember("rain fell");
  assert.deepEqual((await meaning.recall("cat")).map((one) => one.content), ["a feline slept here"]);
});

test("databases share nothing", async () => {
  const [one, other] = await Promise.all([fresh(), fresh({ maxMemoryMb: 16 })]);
  await one.put("a", "k", 1);
  await other.put("a", "k", 2);
  assert.equal(await one.get("a", "k"), 1);
  await assert.rejects(async () => {
    for (let i = 0; i < 10; i++) await other.put("a", `large${i}`, "x".repeat(4 << 20));
  }, koru.LimitExceededError);
  assert.equal(await other.get("a", "k"), 2);
  await other.close();
  await one.put("a", "large", "x".repeat(4 << 20));
  const { ok, versions } = await one.verify();
  assert.deepEqual([ok, versions], [true, 2]);
  const { keys, memory_bytes } = await one.stats();
  assert.equal(keys, 2);
  assert(memory_bytes > 4 << 20);
});
