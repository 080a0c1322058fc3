// Runs suites of tests/ under Pyodide: in node, or in Chromium.
//
//   run-suites.mjs SITE RESULTS node|chromium-opfs|chromium-indexeddb SUITE...
//
// SITE is what build_index.py made; a file of junit XML goes to the folder RESULTS. The private file
// system is used from a worker, IndexedDB from the page's own thread, as the package chooses.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [site, results, where, ...suites] = process.argv.slice(2);
const PACKAGES = ["koru-delta", "pytest", "hypothesis"];
const ENTRY = `
import sys
sys.path[:0] = ["/repo/tests", "/repo/pyodide"]
from entry import run
await run(argument["suites"], name=argument["name"], kept_only=argument["kept_only"])
`;

const inNode = async (argument) => {
  const folder = `${resolve(site)}/`;
  const { loadPyodide } = await import(`${folder}pyodide.mjs`);
  const pyodide = await loadPyodide({ indexURL: folder, packages: PACKAGES });
  pyodide.FS.mkdirTree("/repo");
  const archive = new Uint8Array(readFileSync(join(site, "tests.zip")));
  pyodide.unpackArchive(archive, "zip", { extractDir: "/repo" });
  pyodide.globals.set("argument", pyodide.toPy(argument));
  const result = await pyodide.runPythonAsync(ENTRY);
  return result.toJs({ dict_converter: Object.fromEntries });
};

const inChromium = async (storage, argument) => {
  const { inWorker, launch, newProfile, onPage, openPage } = await import("./chromium.mjs");
  const { serve } = await import("./server.mjs");
  const profile = newProfile();
  const server = await serve([site, join(here, "pages")]);
  const browser = await launch(profile);
  try {
    const page = await openPage(browser, server.url);
    const python = storage === "opfs" ? await inWorker(page) : onPage(page);
    await python.call("start", PACKAGES, { KORU_KEPT_IN: storage });
    await python.call("unpack", "tests.zip", "/repo");
    return await python.call("run", ENTRY, argument);
  } finally {
    await browser.close();
    server.close();
    profile.remove();
  }
};

const main = async () => {
  const [host, storage] = where.split("-");
  const argument = { suites, name: `pyodide-${where}`, kept_only: storage === "indexeddb" };
  const result = host === "node" ? await inNode(argument) : await inChromium(storage, argument);
  console.log(result.summary);
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, `${argument.name}.xml`), result.junit);
  // Timers that tests left behind would keep node going.
  process.exit(result.failed > 0 || result.passed === 0 ? 1 : 0);
};

main().catch((error) => {
  // Pyodide's errors can hold megabytes.
  console.error(String(error?.stack ?? error).slice(-4000));
  process.exit(1);
});
