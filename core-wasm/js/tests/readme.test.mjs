// The blocks of the README run, one after the other, and what they say that comes out comes out.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as koru from "koru-delta";
import * as file from "koru-delta/file";

const BLOCK = /^```js\n([\s\S]*?)^```/gm;
const IMPORT = /^import .*\n/gm;
const OUTCOME = /^(.*); \/\/=> (.*)$/gm;

test("the README does what it says", async () => {
  const text = await readFile(process.env.README, "utf8");
  const blocks = [...text.matchAll(BLOCK)].map((match) => match[1]);
  assert(blocks.length >= 6);
  const directory = await mkdtemp(join(tmpdir(), "koru-readme-"));
  const before = process.cwd();
  process.chdir(directory);
  try {
    const outcomes = blocks.join("").match(OUTCOME).length;
    const code = blocks.join("").replace(IMPORT, "").replace(OUTCOME, "same($1, $2);");
    let held = 0;
    const same = (found, expected) => {
      assert.deepEqual(found, expected);
      held += 1;
    };
    const names = { ...koru, ...file, same };
    const AsyncFunction = (async () => {}).constructor;
    await new AsyncFunction(...Object.keys(names), code)(...Object.values(names));
    assert.equal(held, outcomes);
    assert(held >= 12);
  } finally {
    process.chdir(before);
    await rm(directory, { recursive: true });
  }
});
