// Answers with one value of the database that it is sent: compile, open, first get.
import { Database, MemoryStorage } from "koru-delta";

export default {
  async fetch(request) {
    const storage = new MemoryStorage(new Uint8Array(await request.arrayBuffer()));
    const db = await Database.open({ storage });
    return Response.json(await db.get("users", "user-500"));
  },
};
