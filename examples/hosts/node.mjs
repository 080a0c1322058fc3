// node without npm: node node.mjs MODULE IN OUT. Deno and Bun run it as well.
import { readFile, writeFile } from "node:fs/promises";
import { Database } from "./koru.mjs";

const [modulePath, from, to] = process.argv.slice(2);
const module = await WebAssembly.compile(await readFile(modulePath));
const db = new Database(module, await readFile(from));

const user = db.get("users", "alice");
db.put("users", "alice", { ...user, seen: "node" });
console.log(JSON.stringify({
  user,
  search: db.search("notes", "planet"),
  similar: db.similar("notes", new Float32Array([1, 0.5, 0.25])),
}));
await writeFile(to, Buffer.concat(db.log));
