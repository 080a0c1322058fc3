// The JavaScript face of the engine answers as the C ABI does: the conformance vectors.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const root = process.env.KORU_ROOT;
const { runDocuments } = await import(pathToFileURL(join(root, "tests", "edge", "vectors.mjs")));
const dist = new URL("./node_modules/koru-delta/dist/", import.meta.url);
const { instantiate } = await import(new URL("instance.js", dist));

/** What the vectors are run on: the bytes of a request in, a reply out. */
function engineOf(module) {
  const instance = instantiate(module);
  const bytes = (address, length) => new Uint8Array(instance.memory.buffer, address, length);
  return {
    bytes,
    call(opcode, request) {
      bytes(instance.request(request.length), request.length).set(request);
      const header = instance.call(opcode, request.length); // It may have moved the memory.
      const view = new DataView(instance.memory.buffer, header, 32);
      const word = (at) => view.getUint32(at, true);
      return {
        status: word(0), flags: word(4), payload: bytes(word(8), word(12)).slice(),
        journal: bytes(word(16), word(20)).slice(), sequence: view.getBigUint64(24, true),
      };
    },
  };
}

test("the conformance vectors hold", async () => {
  const module = await WebAssembly.compile(await readFile(new URL("koru_delta_core.wasm", dist)));
  const names = (await readdir(join(root, "tests", "vectors"))).sort();
  const documents = names.map(async (name) => JSON.parse(await readFile(join(root, "tests", "vectors", name), "utf8")));
  const { steps, wrong } = runDocuments(module, await Promise.all(documents), () => engineOf(module));
  assert.deepEqual(wrong, []);
  assert(steps > 150);
});

test("its memory grows as it needs to, and a request may be longer than a mebibyte", async () => {
  const module = await WebAssembly.compile(await readFile(new URL("koru_delta_core.wasm", dist)));
  const [one, other] = [instantiate(module), instantiate(module)];
  const before = other.memory.buffer.byteLength;
  assert(one.request(16 << 20) > 0);
  assert(one.memory.buffer.byteLength > 16 << 20);
  assert.equal(other.memory.buffer.byteLength, before, "instances share nothing");
});
