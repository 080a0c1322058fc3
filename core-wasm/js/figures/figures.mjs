// Prints what things cost: node figures.mjs WORKERD PACKAGE, where koru-delta is installed.
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus } from "node:os";
import { join } from "node:path";
import { Database, MemoryStorage } from "koru-delta";

const [workerd, archive] = process.argv.slice(2);
const ROUNDS = 15;
const COUNT = 20_000;
const document = (index) => ({ name: `user ${index}`, age: index % 90, tags: ["a", "b"], city: "Lisbon", text: "x".repeat(40) });
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const show = (name, value, unit, asked = "") => console.log(`${name.padEnd(52)} ${value.toFixed(2).padStart(9)} ${unit}  ${asked}`);

/** Microseconds of processor time of one of `COUNT` calls, in rounds that take turns: the median, and the
 * least, which says most on a busy machine. */
async function measure(tasks) {
  const times = Object.fromEntries(Object.keys(tasks).map((name) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, task] of Object.entries(tasks)) {
      const start = process.cpuUsage();
      for (let index = 0; index < COUNT; index++) await task(index);
      const { user, system } = process.cpuUsage(start);
      if (round > 0) times[name].push((user + system) / COUNT);
    }
  }
  return Object.entries(times).map(([name, all]) => [name, median(all), Math.min(...all)]);
}

console.log(`node ${process.version}, ${cpus()[0].model.trim()} x ${cpus().length}, documents of 120 bytes`);
show("package, compressed", statSync(archive).size / 1000, "KB", "asked: 450");

const db = await Database.open({ maxMemoryMb: 2048 });
for (let index = 0; index < 1000; index++) await db.put("users", `user-${index}`, document(index));
const kept = await Database.open({ storage: new MemoryStorage(), maxMemoryMb: 2048 });
const map = new Map();
const times = await measure({
  get: (index) => db.get("users", `user-${index % 1000}`),
  put: (index) => db.put("users", `user-${index % 1000}`, document(index)),
  "put, with a log in memory": (index) => kept.put("users", `user-${index % 1000}`, document(index)),
  "beside it: Map.set of JSON.stringify": async (index) => map.set(`user-${index % 1000}`, JSON.stringify(document(index))),
  "beside it: JSON.parse of Map.get": async (index) => JSON.parse(map.get(`user-${index % 1000}`) ?? "null"),
  "beside it: an async function that does nothing": async (index) => index,
});
for (const [name, us, least] of times) {
  show(name, us, "us", `least: ${least.toFixed(2)}${name === "get" || name === "put" ? ", asked: 5" : ""}`);
}

const file = join(process.cwd(), "cold.koru");
const small = await Database.open();
for (let index = 0; index < 1000; index++) await small.put("users", `user-${index}`, document(index));
writeFileSync(file, await small.exportBytes());

const colds = Array.from({ length: 7 }, () => JSON.parse(spawnSync(process.execPath, ["cold.mjs", file]).stdout));
for (const part of ["import", "open", "get", "all"]) {
  show(`cold start in node: ${part === "open" ? "compile and open 1,000 keys" : part}`, median(colds.map((cold) => cold[part])), "ms");
}

/** Milliseconds from starting workerd to its first answer, and to the one after. */
async function coldWorker(config) {
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
  const child = spawn(workerd, ["serve", config, "--socket-addr", `http=127.0.0.1:${port}`], { stdio: "inherit" });
  const ask = async () => (await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: readFileSync(file) })).json();
  const start = performance.now();
  try {
    for (;;) {
      const asked = performance.now();
      const found = await ask().catch(() => null);
      if (found === null) {
        if (asked - start > 30_000) throw new Error("workerd does not answer");
        continue;
      }
      if (found.name !== "user 500") throw new Error(`workerd answered ${JSON.stringify(found)}`);
      const first = performance.now();
      await ask();
      return { process: first - start, request: first - asked, next: performance.now() - first };
    }
  } finally {
    child.kill();
  }
}

/** The package's files as modules of a worker, as a bundler hands them over. */
function workerConfig() {
  const root = "node_modules/koru-delta/dist";
  const names = readdirSync(root, { recursive: true }).filter((name) => /\.(js|wasm)$/.test(name) && !/node|browser|file|opfs|indexeddb/.test(name));
  const modules = names.map((name) => `(name = "koru/${name}", ${name.endsWith("wasm") ? "wasm" : "esModule"} = embed "${root}/${name}")`);
  const main = readFileSync("worker.mjs", "utf8").replace('"koru-delta"', '"koru/entry/workerd.js"');
  writeFileSync("worker.main.mjs", main);
  writeFileSync("figures.capnp", `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "main")]);
const worker :Workerd.Worker = (compatibilityDate = "2026-01-01",
  modules = [(name = "main", esModule = embed "worker.main.mjs"), ${modules.join(", ")}]);
`);
  return "figures.capnp";
}

const config = workerConfig();
const workers = [];
for (let round = 0; round < 5; round++) workers.push(await coldWorker(config));
show("cold start in workerd: process to first answer", median(workers.map((one) => one.process)), "ms");
show("cold start in workerd: first request", median(workers.map((one) => one.request)), "ms");
show("in workerd: a request that opens again", median(workers.map((one) => one.next)), "ms");
