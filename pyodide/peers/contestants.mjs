// What is measured, each by its own API from JavaScript, in memory. The engine comes first.
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import * as orama from "@orama/orama";
import startEdgevec, { EdgeVec, EdgeVecConfig } from "edgevec";
import { Database } from "koru-delta";
import * as voy from "voy";

export const DIMENSION = 384;
export const TOP = 10;
const row = (matrix, index) => matrix.subarray(index * DIMENSION, (index + 1) * DIMENSION);
const rows = (matrix) => Array.from({ length: matrix.length / DIMENSION }, (_, i) => row(matrix, i));

let postgres;
const pglite = async () => (postgres ??= await PGlite.create({ extensions: { vector } }));

let database;
const koru = async () => (database ??= await Database.open());

/** The same database twice: its vectors are written once. */
const ours = (options) => async () => {
  const db = await koru();
  return {
    load: async (matrix) => {
      if (!options.exact) await db.embedBatch("vectors", rows(matrix).map((_, at) => `${at}`), matrix);
    },
    search: async (query) => (await db.similar("vectors", query, TOP, options)).map((hit) => Number(hit.key)),
  };
};

/** Searches by vector: `load` takes a matrix in, `search` gives row numbers. */
export const vectors = {
  "koru-delta": ours({}),
  "koru-delta, exact": ours({ exact: true }),
  "Orama": async () => {
    const db = orama.create({ schema: { at: "number", embedding: `vector[${DIMENSION}]` } });
    return {
      load: (matrix) =>
        orama.insertMultiple(db, rows(matrix).map((embedding, at) => ({ at, embedding: [...embedding] }))),
      search: async (query) => {
        const asked = { mode: "vector", vector: { value: query, property: "embedding" }, similarity: 0, limit: TOP };
        return (await orama.search(db, asked)).hits.map((hit) => hit.document.at);
      },
    };
  },
  "EdgeVec (HNSW)": async () => {
    await startEdgevec();
    const config = new EdgeVecConfig(DIMENSION);
    config.metric = "l2"; // Rows have length 1, so the order is the same; by "cosine" 0.9.0 gives the farthest.
    const db = new EdgeVec(config);
    const places = new Map();
    return {
      load: (matrix) => {
        const ids = db.insertBatchFlat(matrix, matrix.length / DIMENSION);
        ids.forEach((id, at) => places.set(id, at));
      },
      search: (query) => db.search(query, TOP).map((hit) => places.get(hit.id)),
    };
  },
  "Voy": async () => {
    const url = "/node_modules/voy-search/voy_search_bg.wasm";
    const { instance } = await WebAssembly.instantiateStreaming(fetch(url), { "./voy_search_bg.js": voy });
    voy.__wbg_set_wasm(instance.exports);
    let db;
    return {
      load: (matrix) => {
        const embeddings = rows(matrix).map((one, at) => ({ id: `${at}`, title: "", url: "", embeddings: [...one] }));
        db = new voy.Voy({ embeddings });
      },
      search: (query) => db.search(query, TOP).neighbors.map((hit) => Number(hit.id)),
    };
  },
  "PGlite with pgvector": async () => {
    const db = await pglite();
    await db.exec(`CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE rows (at int PRIMARY KEY, embedding vector(${DIMENSION}))`);
    return {
      load: (matrix) =>
        db.transaction(async (transaction) => {
          for (const [at, one] of rows(matrix).entries()) {
            await transaction.query("INSERT INTO rows VALUES ($1, $2)", [at, `[${one}]`]);
          }
        }),
      search: async (query) => {
        const sql = `SELECT at FROM rows ORDER BY embedding <=> $1 LIMIT ${TOP}`;
        return (await db.query(sql, [`[${query}]`])).rows.map(({ at }) => at);
      },
    };
  },
};

/** Searches by words: `load` takes facts in, `search` says how many it found. */
export const texts = {
  "koru-delta": async () => {
    const db = await koru();
    return {
      load: async (facts) => {
        await db.putBatch(facts.map((fact) => ["texts", fact.key, fact]));
        await db.search("texts", "index");
      },
      search: async (text) => (await db.search("texts", text, TOP)).length,
    };
  },
  "Orama": async () => {
    const db = orama.create({ schema: { key: "string", content: "string", module: "string" } });
    return {
      load: (facts) => orama.insertMultiple(db, facts),
      search: async (term) => (await orama.search(db, { term, limit: TOP })).hits.length,
    };
  },
  "PGlite": async () => {
    const db = await pglite();
    await db.exec(`CREATE TABLE facts (key text PRIMARY KEY, content text, words tsvector
      GENERATED ALWAYS AS (to_tsvector('english', content)) STORED); CREATE INDEX ON facts USING gin (words)`);
    const sql = `SELECT key, content, ts_rank_cd(words, q) AS score FROM facts, to_tsquery('english', $1) q
      WHERE words @@ q ORDER BY score DESC LIMIT ${TOP}`;
    return {
      load: (facts) =>
        db.transaction(async (transaction) => {
          for (const { key, content } of facts) {
            await transaction.query("INSERT INTO facts VALUES ($1, $2) ON CONFLICT DO NOTHING", [key, content]);
          }
        }),
      search: async (term) => (await db.query(sql, [term.split(" ").join(" | ")])).rows.length,
    };
  },
};

/** Keeps documents: `put` and `get` of one by its key. */
export const documents = {
  "koru-delta": async () => {
    const db = await koru();
    return { put: (key, value) => db.put("documents", key, value), get: (key) => db.get("documents", key) };
  },
  "sql.js": async () => {
    const SQL = await window.initSqlJs({ locateFile: (name) => `/node_modules/sql.js/dist/${name}` });
    const db = new SQL.Database();
    // Its file is in memory: nothing is lost by these.
    db.run("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
    db.run("CREATE TABLE documents (key TEXT PRIMARY KEY, value TEXT)");
    const write = db.prepare("INSERT OR REPLACE INTO documents VALUES (?, ?)");
    const read = db.prepare("SELECT value FROM documents WHERE key = ?");
    return {
      put: (key, value) => write.run([key, JSON.stringify(value)]),
      get: (key) => JSON.parse(read.get([key])[0]),
    };
  },
  "PGlite": async () => {
    const db = await pglite();
    await db.exec("CREATE TABLE documents (key text PRIMARY KEY, value jsonb)");
    const write = "INSERT INTO documents VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    return {
      put: (key, value) => db.query(write, [key, JSON.stringify(value)]),
      get: async (key) => (await db.query("SELECT value FROM documents WHERE key = $1", [key])).rows[0].value,
    };
  },
};
