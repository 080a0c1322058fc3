interface Engine {
  request(length: number): number;
  call(opcode: number, length: number): number;
}

interface Glue {
  initSync(options: { module: WebAssembly.Module }): { memory: WebAssembly.Memory };
  Engine: { new (): Engine; abiVersion(): number };
}

/** What wasm-bindgen made, evaluated anew by each call. */
export default function glue(): Glue;
