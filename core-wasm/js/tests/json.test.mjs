// Short values are written straight to bytes: the same bytes as JSON writes, or none.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Database } from "koru-delta";

const { shortJson } = await import(new URL("./node_modules/koru-delta/dist/short.js", import.meta.url));
const MOST_BYTES = 1024;
const written = (value) => {
  const bytes = shortJson(value);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
};

/** A generator of numbers below a bound, the same in each run. */
function randomness(seed) {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

const LEAVES = [
  null, true, false, 0, -0, 1, -1, 42, 2 ** 31, -(2 ** 53) + 1, 2 ** 53, 0.1, -2.5e-7, 1e21, 5e-324, 1.7e308, NaN,
  "", "a", "plain text", 'a "quote"', "back\\slash", "line\nbreak", "tab\t", "\u007f", "\u0000", "caf\u00e9", "\u{1F600}",
  "\ud800", "x".repeat(500), undefined, 7n, new Date(0), { toJSON: () => 1 }, Object.create(null), new (class Point {})(),
];

function anything(below, depth) {
  const kind = depth === 0 ? 0 : below(4);
  if (kind < 2) return LEAVES[below(kind === 0 ? 12 : LEAVES.length)];
  const count = below(5);
  if (kind === 2) return Array.from({ length: count }, () => anything(below, depth - 1));
  const names = ["", "a", "b c", "10", "2", "na\u00efve", 'q"', "constructor", "hasOwnProperty"];
  return Object.fromEntries(Array.from({ length: count }, () => [names[below(names.length)], anything(below, depth - 1)]));
}

test("what is written is what JSON writes", () => {
  const below = randomness(7);
  let short = 0;
  for (let round = 0; round < 30_000; round++) {
    const value = anything(below, 4);
    const text = written(value);
    if (text === undefined) continue;
    short += 1;
    assert.equal(text, JSON.stringify(value));
    assert.equal(JSON.stringify(JSON.parse(text)), text);
  }
  assert(short > 5_000);
});

test("what JSON would change, or escapes, is not written", () => {
  const others = [
    NaN, Infinity, -0, 2 ** 53, 1e21, undefined, 7n, Symbol("s"), () => 1, "\n", '"', "\\", "\u00e9", "\ud800", "\u007f",
    [undefined], Array(1), { a: undefined }, { "\u00e9": 1 }, new Date(0), new Map(), { toJSON: () => 1 }, Object.create(null),
    Object.assign([1], { toJSON: () => 2 }), Uint8Array.of(1),
  ];
  for (const value of others) {
    assert.equal(shortJson(value), undefined);
    assert.equal(shortJson({ deep: [value] }), undefined);
  }
});

test("it ends at its length and at its depth", () => {
  assert.equal(written("x".repeat(MOST_BYTES - 2)), `"${"x".repeat(MOST_BYTES - 2)}"`);
  assert.equal(shortJson("x".repeat(MOST_BYTES - 1)), undefined);
  const numbers = (count) => Array(count).fill(1);
  assert.equal(written(numbers(511)).length, 1023);
  assert.equal(shortJson(numbers(512)), undefined);
  const nested = (depth) => (depth === 0 ? 1 : [nested(depth - 1)]);
  assert.equal(written(nested(16)), JSON.stringify(nested(16)));
  assert.equal(shortJson(nested(17)), undefined);
});

test("values put at one time do not mix, and each part is read once", async () => {
  const db = await Database.open();
  const puts = Array.from({ length: 50 }, (_, i) => db.put("n", `k${i}`, { i, text: "x".repeat(i) }));
  await Promise.all(puts);
  for (let i = 0; i < 50; i++) assert.deepEqual(await db.get("n", `k${i}`), { i, text: "x".repeat(i) });
  let reads = 0;
  await db.put("n", "getter", { get part() { return ++reads; } });
  assert.deepEqual([await db.get("n", "getter"), reads], [{ part: 1 }, 1]);
  const options = { get causedBy() { db.put("n", "other", { other: true }); return []; } };
  await db.put("n", "mine", { mine: true }, options);
  assert.deepEqual(await db.getMany("n", ["mine", "other"]), new Map([["mine", { mine: true }], ["other", { other: true }]]));
  await db.close();
});
