// What only a browser can show: the user's own way in, reloading, restarting, two tabs, a full disk.
//
//   scenarios.mjs SITE RESULTS FILE     (FILE: a database that CPython wrote, with users/alice)
//
// Each scenario is a name and a function; the outcomes go to RESULTS as junit XML.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { carryOut, equal, holds } from "./cases.mjs";
import { inWorker, launch, newProfile, onPage, openPage } from "./chromium.mjs";
import { serve } from "./server.mjs";

const [site, results, databaseFile] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const server = await serve([site, join(here, "pages")]);
const profile = newProfile();
let browser = await launch(profile);

const INSTALL = `
import micropip
micropip.set_index_urls([argument + "simple/{package_name}/"])
await micropip.install("koru-delta")
import sys, koru_delta
[koru_delta.__version__, "wasmtime" in sys.modules, "numpy" in sys.modules]
`;
const WRITE = `
from koru_delta import Database
async with Database(argument["path"]) as db:
    for i in range(argument["count"]):
        await db.put("notes", "one", {"i": i})
    stats = await db.stats()
    found = [stats.storage, len(await db.history("notes", "one")), db.head]
found
`;
const READ = `
from koru_delta import Database
async with Database(argument) as db:
    versions = await db.history("notes", "one")
    first = await db.get("notes", "one", at=versions[0].timestamp)
    found = [first, await db.get("notes", "one"), len(versions), (await db.verify()).ok, db.head]
found
`;
const HOLD = `
from koru_delta import Database
held = await Database.create(argument)
await held.put("notes", "held", 1)
True
`;
const TRY = `
import time
from koru_delta import Config, Database, KoruDeltaError
start = time.monotonic()
try:
    async with Database(Config(**argument)) as db:
        found = ["opened", await db.get("notes", "held", None)]
except KoruDeltaError as error:
    found = [type(error).__name__, str(error)]
[*found, time.monotonic() - start]
`;

/** A page with Python; on its own thread (IndexedDB) or in a worker (OPFS). */
const python = async (storage) => {
  const page = await openPage(browser, server.url);
  const interpreter = storage === "opfs" ? await inWorker(page) : onPage(page);
  await interpreter.call("start", ["koru-delta"]);
  return { page, storage, ...interpreter };
};

const keepsHistoryOver = (storage, interrupt) => async () => {
  const path = `kept-${storage}-${interrupt.name}`;
  let tab = await python(storage);
  const [kind, count, head] = await tab.call("run", WRITE, { path, count: 25 });
  equal([kind, count], [storage, 25]);
  await interrupt(tab);
  tab = await python(storage);
  equal(await tab.call("run", READ, path), [{ i: 0 }, { i: 24 }, 25, true, head]);
  await tab.page.close();
};
const reload = async (tab) => {
  await tab.page.reload();
  await tab.page.close();
};
const restart = async () => {
  await browser.close();
  browser = await launch(profile);
};
const killed = async (tab) => {
  // Another database is left open.
  await tab.call("run", HOLD, `kept-open-${tab.storage}`);
  await tab.page.close({ runBeforeUnload: false });
};

const excludes = (storage) => async () => {
  const path = `two-tabs-${storage}`;
  const first = await python(storage);
  const second = await python(storage);
  await first.call("run", HOLD, path);
  const [kind, message] = await second.call("run", TRY, { path });
  equal(kind, "DatabaseLockedError");
  holds(message.includes("another tab") && message.includes("lock_timeout"), message);
  const [late, , waited] = await second.call("run", TRY, { path, lock_timeout: 0.5 });
  equal(late, "DatabaseLockedError");
  holds(waited >= 0.4, `it waited ${waited} s`);
  equal((await second.call("run", TRY, { path, read_only: true })).slice(0, 2), ["opened", 1]);
  const waiting = second.call("run", TRY, { path, lock_timeout: 60 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  await first.page.close();
  equal((await waiting).slice(0, 2), ["opened", 1]);
  await second.page.close();
};

const scenarios = {
  "micropip installs it from an index, without wasmtime and numpy": async () => {
    const page = await openPage(browser, server.url);
    const worker = await inWorker(page);
    await worker.call("start", ["micropip"]);
    equal(await worker.call("run", INSTALL, server.url), ["2.0.0", false, false]);
    equal((await worker.call("run", WRITE, { path: "installed", count: 3 })).slice(0, 2), [
      "opfs",
      3,
    ]);
    await page.close();
  },
  "the Python code of docs/browser.md runs": async () => {
    const page = await openPage(browser, server.url);
    const worker = await inWorker(page);
    await worker.call("start", ["micropip"]);
    const index = `import micropip\nmicropip.set_index_urls([argument + "simple/{package_name}/"])\n`;
    await worker.call("run", `${index}None`, server.url);
    const guide = readFileSync(join(here, "..", "docs", "browser.md"), "utf8");
    const blocks = [...guide.matchAll(/^```py\n(.*?)^```/gms)].map(([, code]) => code);
    equal(blocks.length, 3);
    for (const block of blocks) {
      // What JupyterLite's %pip does was done above.
      await worker.call("run", `${block.replace(/^%pip .*$/m, "")}\nNone`, null);
    }
    await page.close();
  },
  "a reload keeps the whole history, in OPFS": keepsHistoryOver("opfs", reload),
  "a reload keeps the whole history, in IndexedDB": keepsHistoryOver("indexeddb", reload),
  "a tab that is closed in the middle keeps it, in OPFS": keepsHistoryOver("opfs", killed),
  "a tab that is closed in the middle keeps it, in IndexedDB": keepsHistoryOver(
    "indexeddb",
    killed,
  ),
  "a restart of the browser keeps it, in OPFS": keepsHistoryOver("opfs", restart),
  "a restart of the browser keeps it, in IndexedDB": keepsHistoryOver("indexeddb", restart),
  "a second tab is refused, or waits, in OPFS": excludes("opfs"),
  "a second tab is refused, or waits, in IndexedDB": excludes("indexeddb"),
  "what a worker keeps is no second database on the page": async () => {
    const path = "made-by-a-worker";
    const tab = await python("opfs");
    await tab.call("run", HOLD, path);
    await tab.terminate();
    const page = onPage(tab.page);
    await page.call("start", ["koru-delta"]);
    const [kind, message] = await page.call("run", TRY, { path, lock_timeout: 5 });
    equal(kind, "StorageError");
    holds(message.includes("Web Worker"), message);
    equal((await page.call("run", TRY, { path, read_only: true })).slice(0, 2), ["opened", 1]);
    await tab.page.close();
  },
  "what a page keeps in IndexedDB a worker opens there": async () => {
    const path = "made-by-a-page";
    const tab = await python("indexeddb");
    const [, , head] = await tab.call("run", WRITE, { path, count: 2 });
    const worker = await inWorker(tab.page);
    await worker.call("start", ["koru-delta"]);
    const [kind, count] = await worker.call("run", WRITE, { path, count: 1 });
    equal([kind, count], ["indexeddb", 3]);
    holds(head.length === 64, head);
    await tab.page.close();
  },
  "a file that CPython wrote opens in a tab, with the same head": async () => {
    const tab = await python("opfs");
    const content = readFileSync(databaseFile).toString("base64");
    const source = `
import base64, hashlib
from koru_delta import Config, Database
from koru_delta.storage import MemoryStorage
place = MemoryStorage(base64.b64decode(argument))
async with Database(Config(storage=place)) as db:
    found = [await db.get("users", "alice"), len(await db.history("users", "alice")), db.head]
    report = await db.verify()
found + [report.ok, hashlib.sha256(place.data).hexdigest()]
`;
    const [value, count, head, ok, digest] = await tab.call("run", source, content);
    const { createHash } = await import("node:crypto");
    const wanted = createHash("sha256").update(readFileSync(databaseFile)).digest("hex");
    equal([value, count, ok, digest], [{ age: 31 }, 2, true, wanted]);
    equal(head.length, 64);
    await tab.page.close();
  },
  "a used up quota is an error that says so, and reading goes on": async () => {
    for (const storage of ["opfs", "indexeddb"]) {
      const tab = await python(storage);
      const session = await browser.newCDPSession(tab.page);
      const origin = new URL(server.url).origin;
      const source = `
from koru_delta import Database, StorageError
db = await Database.create(argument)
await db.put("a", "kept", 1)
True
`;
      // Before it is opened: the browser notes for a while how much room there is.
      const { usage } = await session.send("Storage.getUsageAndQuota", { origin });
      await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: usage + 3e6 });
      await tab.call("run", source, `quota-${storage}`);
      const fill = `
import os
message = ""
try:
    for i in range(60):
        await db.put("a", f"big-{i}", os.urandom(400_000))
except StorageError as error:
    message = str(error)
found = [message, await db.get("a", "kept"), await db.contains("a", "big-59")]
await db.close()
found
`;
      const [message, kept, last] = await tab.call("run", fill, null);
      await session.send("Storage.overrideQuotaForOrigin", { origin });
      holds(message.includes("quota"), `${storage}: ${message}`);
      equal([kept, last], [1, false]);
      equal(
        (await tab.call("run", TRY, { path: `quota-${storage}` }))[0],
        "opened",
      );
      await tab.page.close();
    }
  },
  "a page asks the browser to keep its data, a worker says that it cannot": async () => {
    const source = `
from koru_delta import Database, StorageError
async with Database(argument) as db:
    try:
        found = await db.persist()
    except StorageError as error:
        found = str(error)
found
`;
    const page = await python("indexeddb");
    holds(typeof (await page.call("run", source, "persisted")) === "boolean", "no answer");
    const worker = await inWorker(page.page);
    await worker.call("start", ["koru-delta"]);
    const answer = await worker.call("run", source, "persisted-by-a-worker");
    holds(answer === true || answer.includes("in the page"), String(answer));
    await page.page.close();
  },
  "a module compiled by the page is taken, and none other": async () => {
    const tab = await python("opfs");
    const source = `
import js
from importlib.resources import files
from koru_delta import Database, ValidationError
code = js.Uint8Array.new(len(data := files("koru_delta").joinpath("koru_delta_core.wasm").read_bytes()))
code.assign(data)
async with Database(module=await js.WebAssembly.compile(code)) as db:
    await db.put("a", "b", 1)
    found = [await db.get("a", "b")]
try:
    await Database.create(module=js.Object.new())
except ValidationError as error:
    found.append(error.message)
found
`;
    const [value, message] = await tab.call("run", source, null);
    equal(value, 1);
    holds(message.includes("Config.module"), message);
    await tab.page.close();
  },
};

const failed = await carryOut(scenarios, {
  file: join(results, "chromium.xml"),
  suite: "chromium",
  wanted: process.env.KORU_SCENARIO,
  // What a scenario left open must not fail the next.
  afterFailure: restart,
});
await browser.close();
server.close();
profile.remove();
if (failed) process.exitCode = 1;
