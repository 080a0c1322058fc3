// Python, the engine and the database live here, so that the page never waits for them.

import { loadPyodide } from "./pyodide/pyodide.mjs";

const FILES = ["embedder.py", "playground.py"];
let pyodide, playground, opened;

async function fetched(path, kind) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return response[kind]();
}

function told(step, text) {
  postMessage({ boot: step, text });
}

async function start() {
  told(1, "Loading Python…");
  pyodide = await loadPyodide({ indexURL: new URL("pyodide/", import.meta.url).href });
  told(2, "Installing koru-delta…");
  const { wheel } = await fetched("site.json", "json");
  pyodide.unpackArchive(await fetched(wheel, "arrayBuffer"), "wheel");
  for (const file of FILES) pyodide.FS.writeFile(file, await fetched(file, "text"));
  told(3, "Reading the word vectors…");
  const [words, codes] = await Promise.all([
    fetched("data/words.json", "text"),
    fetched("data/words.i8", "arrayBuffer"),
  ]);
  pyodide.globals.set("_words", words);
  pyodide.globals.set("_codes", new Uint8Array(codes));
  await pyodide.runPythonAsync(`
from embedder import WordVectors
embedder = WordVectors(_words, _codes.to_bytes())
`);
}

const methods = {
  /** Opens a database by name, with the contents of a file if one is given. */
  async open({ name, file }) {
    pyodide ?? (await start());
    told(4, "Opening the database…");
    if (playground) await playground.close();
    playground = undefined;
    const open = pyodide.pyimport("playground").open_playground;
    const embedder = pyodide.globals.get("embedder");
    const bytes = file ? pyodide.toPy(new Uint8Array(file)) : undefined;
    playground = await open(name, embedder, (text) => postMessage(JSON.parse(text)), bytes);
    pyodide.globals.set("db", playground.db);
    pyodide.globals.set("memory", playground.memory);
    opened = name;
    return opened;
  },

  /** Removes a database that is not open. */
  async remove({ name }) {
    if (name === opened) throw new Error(`${name} is open`);
    const root = await navigator.storage.getDirectory();
    const databases = await root.getDirectoryHandle("koru-delta", { create: true });
    // A database is a directory that is named by its whole path.
    const path = `${pyodide.FS.cwd()}/${name}`;
    await databases.removeEntry(encodeURIComponent(path), { recursive: true });
  },

  /** Carries out a method of Playground. */
  async ask({ method, args }) {
    return JSON.parse(await playground.call(method, JSON.stringify(args)));
  },

  /** The database as the bytes of one file. */
  async export() {
    const exported = await playground.export();
    const bytes = exported.toJs();
    exported.destroy();
    return bytes;
  },

  /** Runs Python as a console does: what it printed, and the value of the last expression. */
  async run({ code }) {
    const printed = [];
    const batched = (line) => printed.push(line);
    pyodide.setStdout({ batched });
    pyodide.setStderr({ batched });
    try {
      pyodide.globals.set("_code", code);
      const value = await pyodide.runPythonAsync(`
from pyodide.code import eval_code_async
_value = await eval_code_async(_code, globals())
None if _value is None else repr(_value)
`);
      return [...printed, ...(value === undefined ? [] : [value])].join("\n");
    } catch (error) {
      const lines = String(error.message).trimEnd().split("\n");
      const own = lines.findLastIndex((line) => line.includes('File "<exec>"'));
      return { failed: [...printed, ...lines.slice(Math.max(own, 0))].join("\n") };
    }
  },
};

onmessage = async ({ data: { id, method, args } }) => {
  try {
    const value = await methods[method](args);
    postMessage(method === "ask" ? { id, ...value } : { id, value });
  } catch (error) {
    const lines = String(error.message ?? error).trimEnd().split("\n");
    postMessage({ id, error: lines.at(-1), hint: "" });
  }
};
