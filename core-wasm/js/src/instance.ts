/**
 * The module behind an interface: what wasm-bindgen made of the engine's class.
 *
 * wasm-bindgen keeps one instance for each time that its file is loaded. A database is to have an
 * instance, and a linear memory, of its own, so the build makes a function of that file.
 */

// Made by build.sh of what wasm-pack writes.
import glue from "./glue.js";

/** One instance of the module. */
export interface Instance {
  readonly memory: WebAssembly.Memory;
  abiVersion(): number;
  request(length: number): number;
  call(opcode: number, length: number): number;
}

/** A new instance of a compiled module. */
export function instantiate(module: WebAssembly.Module): Instance {
  const { initSync, Engine } = glue();
  const { memory } = initSync({ module });
  const engine = new Engine();
  return {
    memory,
    abiVersion: () => Engine.abiVersion(),
    request: (length) => engine.request(length),
    call: (opcode, length) => engine.call(opcode, length),
  };
}
