// What a process takes from its first line to an answer: compile, open, first get. It prints JSON.
const start = performance.now();
const { Database, MemoryStorage } = await import("koru-delta");
const { readFile } = await import("node:fs/promises");
const imported = performance.now();
const storage = new MemoryStorage(new Uint8Array(await readFile(process.argv[2])));
const db = await Database.open({ storage });
const opened = performance.now();
await db.get("users", "user-500");
const end = performance.now();
console.log(JSON.stringify({ import: imported - start, open: opened - imported, get: end - opened, all: end - start }));
