/** For browsers and whatever else has `fetch`: bundlers copy the file that the URL names. */

import { loadWith } from "../load.js";

loadWith(async () => {
  const response = await fetch(new URL("../koru_delta_core.wasm", import.meta.url));
  if (!response.ok) throw new Error(`cannot fetch ${response.url}: ${response.status}`);
  const isTyped = response.headers.get("content-type") === "application/wasm";
  return isTyped ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
});

export * from "../index.js";
