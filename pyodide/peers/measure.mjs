// One run: everybody takes the same data in, then is asked the same, by turns.
import { DIMENSION, TOP, documents, texts, vectors } from "./contestants.mjs";

const QUERIES = 50;
const DOCUMENTS = 1000;
const QUESTION_ROUNDS = 10;
const QUESTIONS = [
  "compress a file", "wait for several tasks", "parse a date", "random element", "open socket",
  "convert string to bytes", "list of names", "temporary directory", "sort items", "read lines",
]; // prettier-ignore
const PYTHON = "koru-delta from Python";

const fetched = async (path, kind) => (await fetch(path))[kind]();
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

/** The rows of the corpus, and its queries, of float32 and length 1. */
const corpus = async () => {
  const codes = new Int8Array(await fetched("/corpus/minilm-384.i8", "arrayBuffer"));
  const scales = new Float32Array(await fetched("/corpus/minilm-384.scale.f32", "arrayBuffer"));
  const all = Float32Array.from(codes, (code, i) => code * scales[Math.floor(i / DIMENSION)]);
  for (let at = 0; at < all.length; at += DIMENSION) {
    const row = all.subarray(at, at + DIMENSION);
    const length = Math.hypot(...row);
    row.forEach((x, i) => (row[i] = x / length));
  }
  return [all.slice(0, -QUERIES * DIMENSION), all.slice(-QUERIES * DIMENSION)];
};

/** The rows nearest to each query by cosine, in double precision. */
const nearest = (base, queries) => {
  const length = (at) => Math.hypot(...base.subarray(at, at + DIMENSION));
  const lengths = Array.from({ length: base.length / DIMENSION }, (_, i) => length(i * DIMENSION));
  return Array.from({ length: QUERIES }, (_, query) => {
    const scores = lengths.map((norm, row) => {
      let sum = 0;
      for (let i = 0; i < DIMENSION; i++) sum += base[row * DIMENSION + i] * queries[query * DIMENSION + i];
      return [sum / norm, row];
    });
    return scores.toSorted((a, b) => b[0] - a[0]).slice(0, TOP).map(([, row]) => row);
  });
};

/** Loads everybody, then asks by turns: a table of name, milliseconds of loading, microseconds, note. */
const contest = async (contestants, rounds) => {
  const figures = {};
  for (const [name, { load }] of Object.entries(contestants)) {
    const begin = performance.now();
    figures[name] = { load: (await load()) ?? performance.now() - begin, times: [] };
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, { ask }] of Object.entries(contestants)) {
      const [each, note] = await ask(round);
      if (round) figures[name].times.push(each); // The first warms up.
      figures[name].note = note;
    }
  }
  return Object.entries(figures).map(([name, { load, times, note }]) => [name, load, median(times), note]);
};

const timed = async (count, call) => {
  const begin = performance.now();
  const answers = [];
  for (let i = 0; i < count; i++) answers.push(await call(i));
  return [((performance.now() - begin) / count) * 1e3, answers];
};

const byVector = async (koru, rounds) => {
  const [base, queries] = await corpus();
  const truth = nearest(base, queries);
  const recall = (found) =>
    found.flatMap((rows, i) => rows.filter((row) => truth[i].includes(row))).length / (TOP * QUERIES);
  const ours = (call) => async () => {
    const [each, found] = JSON.parse(await call());
    return [each, recall(found)];
  };
  const loaded = () => 0;
  const contestants = {};
  for (const [name, make] of Object.entries(vectors)) {
    const { load, search } = await make();
    contestants[name] = {
      load: async () => void (await load(base)),
      ask: async () => {
        const one = (i) => search(queries.subarray(i * DIMENSION, (i + 1) * DIMENSION));
        const [each, found] = await timed(QUERIES, one);
        return [each, recall(found)];
      },
    };
  }
  const python = {
    [PYTHON]: { load: () => koru.load_vectors(base), ask: ours(() => koru.search_vectors(queries, false)) },
    [`${PYTHON}, exact`]: { load: loaded, ask: ours(() => koru.search_vectors(queries, true)) },
    [`${PYTHON}, ${QUERIES} at once`]: { load: loaded, ask: ours(() => koru.search_vectors_together(queries)) },
  };
  return contest({ ...contestants, ...python }, rounds);
};

const byWords = async (koru, facts, rounds) => {
  const questions = Array.from({ length: QUESTION_ROUNDS }, () => QUESTIONS).flat();
  const ours = async () => JSON.parse(await koru.search_texts(JSON.stringify(questions)));
  const contestants = {};
  for (const [name, make] of Object.entries(texts)) {
    const { load, search } = await make();
    contestants[name] = {
      load: async () => void (await load(facts)),
      ask: async () => {
        const [each, found] = await timed(questions.length, (i) => search(questions[i]));
        return [each, found.filter(Boolean).length];
      },
    };
  }
  return contest({ ...contestants, [PYTHON]: { load: () => koru.load_texts(), ask: ours } }, rounds);
};

/** `put` and `get`, each a table. */
const byKey = async (koru, facts, rounds) => {
  const stores = {};
  for (const [name, make] of Object.entries(documents)) stores[name] = await make();
  const table = (ours, theirs) => {
    const contestants = {};
    for (const [name, store] of Object.entries(stores)) {
      const ask = async (round) => [(await timed(DOCUMENTS, (i) => theirs(store, round * DOCUMENTS + i)))[0]];
      contestants[name] = { load: () => 0, ask };
    }
    const python = { load: () => 0, ask: async (round) => [await ours(round * DOCUMENTS, DOCUMENTS)] };
    return contest({ ...contestants, [PYTHON]: python }, rounds);
  };
  const put = await table(koru.put, (store, i) => store.put(`k${i}`, facts[i % DOCUMENTS]));
  return [put, await table(koru.get, (store, i) => store.get(`k${i}`))];
};

/** All tables, by their titles. */
export const measure = async (rounds) => {
  const { loadPyodide } = await import("/pyodide.mjs");
  const pyodide = await loadPyodide({ indexURL: "/", packages: ["koru-delta"] });
  pyodide.FS.writeFile("koru.py", await fetched("/koru.py", "text"));
  const koru = pyodide.pyimport("koru");
  const facts = await fetched("/data/corpus.json", "json");
  await koru.begin(JSON.stringify(facts));
  const [put, get] = await byKey(koru, facts, rounds);
  return {
    "2,000 real embeddings of 384 components, the 10 nearest of 50 queries": await byVector(koru, rounds),
    "1,000 facts, the best 10 of ten questions": await byWords(koru, facts, rounds),
    "a document written": put,
    "a document read": get,
  };
};
