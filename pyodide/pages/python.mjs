// Pyodide, and Python that is run in it: the same on a page's own thread and in a worker.
let pyodide;

/** Starts the interpreter with packages of the local index; the milliseconds that took. */
export const start = async (packages, env = {}) => {
  const begin = performance.now();
  const { loadPyodide } = await import("/pyodide.mjs");
  pyodide = await loadPyodide({ indexURL: "/", packages, env });
  return performance.now() - begin;
};

/** Runs Python source with a global `argument`; its last value, by way of JSON. */
export const run = async (source, argument) => {
  const globals = pyodide.globals;
  globals.set("argument_json", JSON.stringify(argument ?? null));
  await pyodide.runPythonAsync("import json; argument = json.loads(argument_json)");
  const result = await pyodide.runPythonAsync(source);
  globals.set("result_of_run", result);
  return JSON.parse(await pyodide.runPythonAsync("json.dumps(result_of_run)"));
};

/** Unpacks an archive of the server into a folder of the interpreter. */
export const unpack = async (name, folder) => {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  pyodide.FS.mkdirTree(folder);
  pyodide.unpackArchive(await response.arrayBuffer(), "zip", { extractDir: folder });
};

export const actions = { start, run, unpack };
