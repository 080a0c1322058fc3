// Compiled by `tsc --strict`, never run: the types say what they should.
import {
  ConflictError, Database, type Match, MemoryStorage, type Options, type Storage, type Version,
} from "koru-delta";
import { FileStorage } from "koru-delta/file";
import { IndexedDbStorage } from "koru-delta/indexeddb";
import { OpfsStorage } from "koru-delta/opfs";

interface User {
  age: number;
}

const storages: (() => Promise<Storage>)[] = [
  () => FileStorage.open("x"), () => OpfsStorage.open("x"), () => IndexedDbStorage.open("x"),
  async () => new MemoryStorage(new Uint8Array()),
];
const options: Options = { storage: await storages[0]!(), vectorMetric: "cosine", maxMemoryMb: 64 };
const db: Database = await Database.open(options);
const version: Version = await db.put("users", "alice", { age: 30 }, { causedBy: "0".repeat(32) });
const user: User = await db.get<User>("users", "alice", { at: version });
const maybe: User | undefined = await db.get<User | undefined>("users", "bob", { default: undefined });
const matches: Match[] = await db.similar(null, new Float32Array(3), 5, { where: { age: { $gte: user.age } } });
const keys: string[] = matches.map((match) => match.key);
// @ts-expect-error: a metric that there is not
const bad: Options = { vectorMetric: "cosinus" };
// @ts-expect-error: a namespace is text
await db.get(1, "alice");
try {
  await db.put("users", keys[0] ?? "", maybe ?? null, { expectedVersion: null });
} catch (error) {
  if (error instanceof ConflictError) console.log(error.current?.length, error.code, error.suggestion, bad);
}
