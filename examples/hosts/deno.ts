// Deno without node's modules: deno run --allow-read --allow-write deno.ts MODULE IN OUT
import { Database } from "./koru.mjs";

const [modulePath, from, to] = Deno.args;
const module = await WebAssembly.compile(await Deno.readFile(modulePath));
const db = new Database(module, await Deno.readFile(from));

const user = db.get("users", "alice");
db.put("users", "alice", { ...user, seen: "deno" });
console.log(JSON.stringify({
  user,
  search: db.search("notes", "planet"),
  similar: db.similar("notes", new Float32Array([1, 0.5, 0.25])),
}));
await Deno.writeFile(to, new Uint8Array(await new Blob(db.log).arrayBuffer()));
