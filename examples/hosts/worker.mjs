// A Cloudflare Worker. It gets the bytes of a database and answers with those of the next one, as
// it would load them from R2 or a Durable Object and store them there. Workers may not compile
// WebAssembly from bytes: the module comes by import, compiled.
import module from "koru_delta_core.wasm";
import { Database } from "./koru.mjs";

export default {
  async fetch(request) {
    const file = new Uint8Array(await request.arrayBuffer());
    const db = new Database(module, file.length > 0 ? file : undefined);
    const user = db.get("users", "alice");
    db.put("users", "alice", { ...user, seen: "workerd" });
    const told = JSON.stringify({
      user,
      search: db.search("notes", "planet"),
      similar: db.similar("notes", new Float32Array([1, 0.5, 0.25])),
    });
    return new Response(new Blob(db.log), { headers: { "x-told": told } });
  },
};
