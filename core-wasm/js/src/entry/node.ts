/** For node, Deno and Bun: the module is read from the package's files. */

import { readFile } from "node:fs/promises";
import { loadWith } from "../load.js";

loadWith(async () => {
  const bytes = await readFile(new URL("../koru_delta_core.wasm", import.meta.url));
  return WebAssembly.compile(bytes);
});

export * from "../index.js";
