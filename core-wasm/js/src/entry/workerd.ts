/** For Cloudflare Workers, which compile no WebAssembly from bytes: the module is imported. */

import module from "../koru_delta_core.wasm";
import { loadWith } from "../load.js";

loadWith(async () => module);

export * from "../index.js";
