// What the package costs in Chromium, in a worker and on a page's own thread, printed as a table.
//
//   figures.mjs SITE
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inWorker, launch, newProfile, onPage, openPage } from "./chromium.mjs";
import { serve } from "./server.mjs";

const FIRST_USE = `
import time
start = time.perf_counter()
from koru_delta import Database
imported = time.perf_counter()
db = await Database.create()
await db.put("a", "k", 1)
await db.get("a", "k")
done = time.perf_counter()
{"first use: import ms": (imported - start) * 1e3, "first use: open, put, get ms": (done - imported) * 1e3}
`;
const MEASURE = `
import random
from array import array
from statistics import median
from koru_delta import Config
document = {"name": "alice", "age": 30, "tags": ["a", "b"], "text": "x" * 60}
figures = {}

async def measure(what, call, count, rounds=5):
    times = []
    for part in range(rounds):
        start = time.perf_counter()
        for i in range(part * count, (part + 1) * count):
            await call(i)
        times.append((time.perf_counter() - start) / count * 1e6)
    figures[what] = median(times)

cold = await Database.create(Config(hot_cache_size=0))
await measure("put us", lambda i: cold.put("b", f"k{i}", document), 1000)
await measure("get us", lambda i: cold.get("b", f"k{i}"), 1000)
await measure("get of a hot value us", lambda i: db.get("a", "k"), 1000)
source = random.Random(1)
rows = [array("f", (source.gauss(0, 1) for _ in range(384))) for _ in range(10_000)]
start = time.perf_counter()
await cold.embed_batch("v", [f"r{i}" for i in range(10_000)], rows)
figures["embed_batch 10,000 x 384 ms"] = (time.perf_counter() - start) * 1e3
await measure("exact search 10,000 x 384 us", lambda i: cold.similar("v", rows[i], 10, exact=True), 20)
await measure("default search 10,000 x 384 us", lambda i: cold.similar("v", rows[i], 10), 20)
async with Database("figures-" + argument) as kept:
    figures["kept in " + (await kept.stats()).storage + ": durable put us"] = 0
    name = list(figures)[-1]
    await measure(name, lambda i: kept.put("b", f"k{i}", document), 20)
figures
`;

const server = await serve([process.argv[2], join(dirname(fileURLToPath(import.meta.url)), "pages")]);
const profile = newProfile();
const browser = await launch(profile);
console.log(`Chromium ${browser.browser()?.version() ?? ""}`);
for (const where of ["worker", "page"]) {
  const page = await openPage(browser, server.url);
  const python = where === "worker" ? await inWorker(page) : onPage(page);
  const started = await python.call("start", ["koru-delta"]);
  const first = await python.call("run", FIRST_USE, where);
  const figures = await python.call("run", MEASURE, where);
  const table = { "Pyodide up ms": started, ...first, ...figures };
  for (const [name, value] of Object.entries(table)) {
    console.log(`${where.padEnd(7)} ${name.padEnd(40)} ${value.toFixed(1)}`);
  }
  await page.close();
}
await browser.close();
server.close();
profile.remove();
