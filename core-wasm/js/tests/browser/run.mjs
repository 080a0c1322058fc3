// The storages of a browser, in Chromium: node run.mjs DIST OUT, where the log of OPFS is written to.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launch, newProfile } from "../../../../pyodide/chromium.mjs";
import { serve } from "../../../../pyodide/server.mjs";

const [dist, out] = process.argv.slice(2);
const site = join(out, "site");
rmSync(out, { recursive: true, force: true });
mkdirSync(site, { recursive: true });
cpSync(dist, join(site, "koru-delta"), { recursive: true });
cpSync(import.meta.dirname ?? new URL(".", import.meta.url).pathname, join(site, "tests"), { recursive: true });

const server = await serve([site]);
const profile = newProfile();

async function withPage(act) {
  const browser = await launch(profile);
  try {
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(String(error).slice(0, 2000)));
    await page.goto(`${server.url}tests/`);
    await page.waitForFunction(() => window.ready === true);
    const call = (where) => (...values) => page.evaluate(([at, all]) => window[at](...all), [where, values]);
    return await act({ onPage: call("onPage"), inWorker: call("inWorker") });
  } finally {
    await browser.close();
  }
}

try {
  const heads = await withPage(async ({ onPage, inWorker }) => ({
    opfs: await inWorker("write", "opfs", "my data/\u00e9"),
    indexeddb: await onPage("write", "indexeddb", "my data"),
  }));
  // The browser has ended meanwhile.
  const logs = await withPage(async ({ onPage, inWorker }) => {
    assert((await inWorker("read", "opfs", "my data/\u00e9", heads.opfs)) > 1000);
    assert((await onPage("read", "indexeddb", "my data", heads.indexeddb)) > 1000);
    assert.equal(await inWorker("empty", "opfs", "other"), 0);
    assert.equal(await onPage("empty", "indexeddb", "other"), 0);
    return {
      opfs: await inWorker("log", "opfs", "my data/\u00e9"), indexeddb: await onPage("log", "indexeddb", "my data"),
    };
  });
  for (const [kind, bytes] of Object.entries(logs)) writeFileSync(join(out, `${kind}.koru`), Uint8Array.from(bytes));
  console.log("browser: OPFS in a worker and IndexedDB in a page, written, closed, opened again");
} finally {
  profile.remove();
  server.close();
}
