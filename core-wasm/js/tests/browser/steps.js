// What a page or a worker does with a database in the browser's storage.
import { Database } from "../koru-delta/entry/browser.js";
import { IndexedDbStorage } from "../koru-delta/indexeddb.js";
import { OpfsStorage } from "../koru-delta/opfs.js";

const STORAGES = { opfs: OpfsStorage, indexeddb: IndexedDbStorage };
const open = async (kind, name) => Database.open({ storage: await STORAGES[kind].open(name) });
const check = (holds, what) => {
  if (!holds) throw new Error(`it is not so that ${what}`);
};

/** Write, and find that nobody else may. */
export async function write(kind, name) {
  const db = await open(kind, name);
  const first = await db.put("users", "alice", { age: 30 });
  await db.put("users", "alice", { age: 31, id: 2n ** 60n });
  await Promise.all(Array.from({ length: 500 }, (_, index) => db.put("many", `${index}`, "x".repeat(100))));
  await db.embed("notes", "mars", [1, 0, 0.5], { text: "red planet" });
  check((await db.getAt("users", "alice", first)).age === 30, "the past is there");
  const refused = await STORAGES[kind].open(name).catch((error) => error);
  check(refused.code === "KORU_LOCKED", `a second handle is refused: ${refused}`);
  const head = await db.head();
  await db.close();
  return head;
}

/** Open again, look, and go on. */
export async function read(kind, name, head) {
  const db = await open(kind, name);
  check((await db.head()) === head, "the head is the same");
  check((await db.get("users", "alice")).id === 2n ** 60n, "the value is there");
  check((await db.listKeys("many")).length === 500, "all keys are there");
  check((await db.search("notes", "planet"))[0].key === "mars", "the text is found");
  check((await db.verify()).ok, "every hash holds");
  await db.put("users", "bob", 1);
  const bytes = await db.exportBytes();
  await db.close();
  return bytes.length;
}

/** What IndexedDB and OPFS do not know is not there. */
export async function empty(kind, name) {
  const db = await open(kind, name);
  const names = await db.listNamespaces();
  await db.close();
  return names.length;
}

/** Hand the log over that is kept: the bytes of a file. */
export async function log(kind, name) {
  const storage = await STORAGES[kind].open(name);
  const bytes = await storage.read(0, await storage.size());
  await storage.close();
  return Array.from(bytes);
}
