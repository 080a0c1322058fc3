// Makes a function of the file that wasm-bindgen wrote: node glue.mjs FILE
//
// That file keeps one instance for each time that it is loaded, in variables at its top. Inside a
// function each call has variables, and so an instance, of its own. What fetches the module by a URL
// is left out: bundlers would take a second copy of the module for it.
import { readFile } from "node:fs/promises";

const ASYNC = /^async function \w+\([^)]*\) \{\n[\s\S]*?^\}\n/gm;
const EXPORTS = /^export \{ initSync, __wbg_init as default \};?\n/m;

const source = await readFile(process.argv[2], "utf8");
const body = source
  .replace(/^\/\* @ts-self-types.*\*\/\n/, "")
  .replace(ASYNC, "")
  .replace(EXPORTS, "")
  .replace(/^export (class|function) /gm, "$1 ");
for (const [what, holds] of [
  ["initSync is there", body.includes("function initSync(")],
  ["the class is there", body.includes("class Engine ")],
  ["nothing is exported or imported", !/^(export|import) /m.test(body)],
  ["nothing is fetched", !/import\.meta|fetch\(/.test(body)],
]) {
  if (!holds) throw new Error(`wasm-bindgen writes something else than it did; it is not so that ${what}`);
}
console.log(`export default function glue() {\n${body}\nreturn { initSync, Engine };\n}`);
