// What the package costs in Chromium, in a worker and on a page's own thread, printed as a table.
//
//   figures.mjs SITE
//
// Times are of short rounds, some after the browser has compiled what is used much: the middle one, and
// the fifth of a hundred, which tells what it costs where other processes wait for the processor too.
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
from koru_delta import Config
document = {"name": "alice", "age": 30, "tags": ["a", "b"], "text": "x" * 60}
figures = {}

async def measure(what, call, count, rounds):
    for i in range(count * rounds // 4):
        await call(i)
    times = []
    for part in range(rounds):
        start = time.perf_counter()
        for i in range(part * count, (part + 1) * count):
            await call(i)
        times.append((time.perf_counter() - start) / count * 1e6)
    times.sort()
    figures[what] = [times[len(times) // 2], times[len(times) // 20]]

cold = await Database.create(Config(hot_cache_size=0))
await measure("in memory: put us", lambda i: cold.put("b", f"k{i}", document), 20, 300)
await measure("in memory: get us", lambda i: cold.get("b", f"k{i}"), 20, 300)
await measure("in memory: get of a hot value us", lambda i: db.get("a", "k"), 20, 300)
source = random.Random(1)
rows = [array("f", (source.gauss(0, 1) for _ in range(384))) for _ in range(10_000)]
start = time.perf_counter()
await cold.embed_batch("v", [f"r{i}" for i in range(10_000)], rows)
figures["embed_batch 10,000 x 384 ms"] = [(time.perf_counter() - start) * 1e3]
while not cold._session._maintain(1 << 20):
    pass
await measure("exact search 10,000 x 384 us", lambda i: cold.similar("v", rows[i], 10, exact=True), 2, 60)
await measure("default search 10,000 x 384 us", lambda i: cold.similar("v", rows[i], 10), 2, 60)
async with Database("figures-" + argument) as kept:
    kind = (await kept.stats()).storage
    await measure(f"in {kind}: put us, one at a time", lambda i: kept.put("b", f"k{i}", document), 2, 60)
    await measure(f"in {kind}: get us", lambda i: kept.get("b", "k1"), 20, 100)
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
    const times = [value].flat().map((time) => time.toFixed(1).padStart(10));
    console.log(`${where.padEnd(7)} ${name.padEnd(36)}${times.join("")}`);
  }
  await page.close();
}
await browser.close();
server.close();
profile.remove();
