// A whole host for koru-delta, on nothing but WebAssembly: docs/abi.md in code. It runs as it stands
// in node, Deno, Bun, browsers and Cloudflare Workers.

export const op = { open: 1, replay: 2, put: 3, get: 5, similar: 23, search: 33 };
const REQUEST_HEADER_BYTES = 56;
const END_OF_FILE = 4;
const NOW = 0xffff_ffff_ffff_ffffn;
const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];

/** The bytes of a request: a header, then namespace, key, control, payload and vector. */
export function pack({
  time = 0n, acknowledged = 0n, at = NOW, namespace = "", key = "", control,
  payload = new Uint8Array(), flags = 0, vector = new Float32Array(), synced = acknowledged,
}) {
  const options = control === undefined ? "" : JSON.stringify(control);
  const texts = [namespace, key, options].map((text) => encoder.encode(text));
  const floats = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  const parts = [...texts, payload, floats];
  const request = new Uint8Array(parts.reduce((sum, part) => sum + part.length, REQUEST_HEADER_BYTES));
  const header = new DataView(request.buffer);
  [time, acknowledged, at].forEach((word, index) => header.setBigUint64(8 * index, word, true));
  parts.slice(0, 4).forEach((part, index) => header.setUint32(24 + 4 * index, part.length, true));
  header.setUint32(40, flags, true);
  header.setUint32(44, floats.length, true);
  header.setBigUint64(48, synced, true);
  let offset = REQUEST_HEADER_BYTES;
  for (const part of parts) {
    request.set(part, offset);
    offset += part.length;
  }
  return request;
}

/** One instance of the module: requests in, replies out. It knows nothing of what they mean. */
export class Engine {
  #exports;

  /** @param {WebAssembly.Module} module compiled from koru_delta_core.wasm */
  constructor(module) {
    this.#exports = new WebAssembly.Instance(module, {}).exports;
    const version = this.#exports.koru_abi_version();
    if (version !== 1) throw new Error(`the module speaks version ${version}; this host speaks 1`);
  }

  call(opcode, request) {
    const { memory, koru_request, koru_call } = this.#exports;
    const address = koru_request(request.length) >>> 0;
    if (address === 0) throw new Error("the engine has no memory for this request");
    this.bytes(address, request.length).set(request);
    const header = koru_call(opcode, request.length) >>> 0; // It may have moved the memory.
    const view = new DataView(memory.buffer, header, 32);
    const word = (offset) => view.getUint32(offset, true);
    return {
      status: word(0),
      flags: word(4),
      payload: this.bytes(word(8), word(12)).slice(), // A copy: the next call overwrites it.
      journal: this.bytes(word(16), word(20)).slice(),
      sequence: view.getBigUint64(24, true),
    };
  }

  // A view of memory. Throws a RangeError where the module names bytes that it does not have.
  bytes(address, length) {
    return new Uint8Array(this.#exports.memory.buffer, address, length);
  }
}

/** A database whose log is an array of bytes: what a host makes of the engine. */
export class Database {
  #engine;
  #sequence = 0n;
  log = []; // The bytes of the file so far. Whoever keeps them keeps the database.

  /** Open what a file holds, or without one a new database. */
  constructor(module, file) {
    this.#engine = new Engine(module);
    const id = crypto.getRandomValues(new Uint8Array(16));
    const database_id = [...id].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const open = { database_id, journal: true, memory_budget: 256 * 2 ** 20 };
    if (file === undefined) return void this.#call(op.open, { control: open });
    const control = { open, writable: true, verify: false, offset: 0 };
    const { payload } = this.#call(op.replay, { control, payload: file, flags: END_OF_FILE });
    const { valid_bytes } = JSON.parse(decoder.decode(payload));
    this.log = [file.slice(0, valid_bytes)]; // Without what a crash left of a write.
  }

  get(namespace, key) {
    return JSON.parse(decoder.decode(this.#call(op.get, { namespace, key }).payload));
  }

  put(namespace, key, value) {
    const time = BigInt(Date.now()) * 1000n;
    const payload = encoder.encode(JSON.stringify(value));
    this.#call(op.put, { time, namespace, key, payload });
  }

  search(namespace, text, top_k = 10) {
    const control = { text, top_k, fields: null };
    return keys(this.#call(op.search, { namespace, control }).payload);
  }

  similar(namespace, query, top_k = 10) {
    const control = { model: null, queries: 1, top_k, threshold: null };
    return keys(this.#call(op.similar, { namespace, control, vector: query }).payload);
  }

  #call(opcode, fields) {
    const reply = this.#engine.call(opcode, pack({ ...fields, acknowledged: this.#sequence }));
    if (reply.status !== 0) throw new Error(JSON.parse(decoder.decode(reply.payload)).message);
    // Here a host would append to its file and sync it. Then, and only then, it acknowledges.
    if (reply.journal.length > 0) this.log.push(reply.journal);
    this.#sequence = reply.sequence;
    return reply;
  }
}

/** The keys of the hits of one query: scores are passed over, then come versions. */
function keys(payload) {
  const view = new DataView(payload.buffer);
  const hits = view.getUint32(4, true);
  const lengths = 12 + 4 * hits;
  let record = lengths + 4 * hits;
  return Array.from({ length: hits }, (_, index) => {
    const start = record + 64 + view.getUint16(record + 40, true); // Behind the namespace.
    const key = payload.subarray(start, start + view.getUint16(record + 42, true));
    record += view.getUint32(lengths + 4 * index, true);
    return decoder.decode(key);
  });
}
