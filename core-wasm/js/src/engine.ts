/** One instance of the engine: requests in, replies out. */

import { KoruDeltaError, LimitExceededError } from "./errors.js";
import { instantiate, type Instance } from "./instance.js";
import { ABI_VERSION, REPLY_HEADER_BYTES, REQUEST_HEADER_BYTES } from "./protocol.js";

const TWO_32 = 2 ** 32;
const NOW_WORD = 0xffff_ffff;
const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array();

/** What an operation asks for, besides its opcode. */
export interface Request {
  namespace?: string;
  key?: string;
  /** As-of time in microseconds; now if it is left out. */
  at?: number | undefined;
  /** Options, as JSON. */
  control?: string;
  /** Bytes, or text that is sent as UTF-8. */
  payload?: Uint8Array | string;
  vector?: Float32Array | undefined;
  flags?: number;
}

/** What the host says of itself in each request. */
export interface Moment {
  /** Host time in microseconds. */
  time: number;
  /** Sequence up to which the host has acknowledged. */
  acknowledged: number;
  /** Sequence up to which it has synced. */
  synced: number;
}

/** An answer. Payload and journal are views that hold until the next call: copy what is to stay. */
export interface Reply {
  status: number;
  flags: number;
  payload: Uint8Array;
  journal: Uint8Array;
  sequence: number;
}

/** An instance and its linear memory. After a trap it is never called again. */
export class Engine {
  readonly #instance: Instance;
  #buffer: ArrayBuffer;
  #bytes: Uint8Array;
  #view: DataView;
  #lost: KoruDeltaError | null = null;

  constructor(module: WebAssembly.Module) {
    this.#instance = instantiate(module);
    const version = this.#instance.abiVersion();
    if (version !== ABI_VERSION) {
      throw new KoruDeltaError(
        `the module speaks version ${version} of the protocol, the package version ${ABI_VERSION}`,
        "use the koru_delta_core.wasm of this package",
      );
    }
    this.#buffer = this.#instance.memory.buffer;
    this.#bytes = new Uint8Array(this.#buffer);
    this.#view = new DataView(this.#buffer);
  }

  /** Bytes of linear memory taken. */
  get memoryBytes(): number {
    return this.#instance.memory.buffer.byteLength;
  }

  /** Carry out one request. */
  call(opcode: number, request: Request, moment: Moment): Reply {
    if (this.#lost !== null) throw this.#lost;
    try {
      const length = this.#write(request, moment);
      const header = this.#instance.call(opcode, length) >>> 0;
      return this.#read(header);
    } catch (error) {
      if (error instanceof LimitExceededError) throw error;
      this.#lost = new KoruDeltaError(
        "the engine stopped", "close the database, open it again, and report what led to it", { cause: error },
      );
      throw this.#lost;
    }
  }

  /** Copy bytes to where the engine said that they belong, before the next call. */
  fill(address: number, bytes: Uint8Array): void {
    this.#refresh();
    this.#bytes.set(bytes, address);
  }

  /** Lay a request out in the engine's buffer; its length. */
  #write(request: Request, moment: Moment): number {
    const { namespace = "", key = "", control = "", payload = NO_BYTES, vector, flags = 0 } = request;
    const floats =
      vector === undefined ? NO_BYTES : new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    // A character takes at most three bytes of UTF-8.
    const texts = 3 * (namespace.length + key.length + control.length);
    const most =
      REQUEST_HEADER_BYTES + texts + floats.length + (typeof payload === "string" ? 3 : 1) * payload.length;
    const start = most < TWO_32 ? this.#instance.request(most) >>> 0 : 0;
    if (start === 0) {
      throw new LimitExceededError(
        `the engine has no memory for a request of up to ${most} bytes`,
        "write less at a time, or raise maxMemoryMb",
      );
    }
    this.#refresh();
    const head = this.#view;
    let end = start + REQUEST_HEADER_BYTES;
    const lengths = start + 24;
    end += this.#put(namespace, end, lengths);
    end += this.#put(key, end, lengths + 4);
    end += this.#put(control, end, lengths + 8);
    end += this.#put(payload, end, lengths + 12);
    head.setUint32(start + 40, flags, true);
    end += this.#put(floats, end, lengths + 20);
    this.#word64(start, moment.time);
    this.#word64(start + 8, moment.acknowledged);
    if (request.at === undefined) {
      head.setUint32(start + 16, NOW_WORD, true);
      head.setUint32(start + 20, NOW_WORD, true);
    } else {
      this.#word64(start + 16, request.at);
    }
    this.#word64(start + 48, moment.synced);
    return end - start;
  }

  #put(part: Uint8Array | string, at: number, lengthAt: number): number {
    let length = part.length;
    if (typeof part !== "string") {
      this.#bytes.set(part, at);
    } else if (length > 0) {
      length = encoder.encodeInto(part, this.#bytes.subarray(at)).written;
    }
    this.#view.setUint32(lengthAt, length, true);
    return length;
  }

  #word64(at: number, value: number): void {
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint32(at + 4, value / TWO_32, true);
  }

  #read(header: number): Reply {
    this.#refresh();
    const view = this.#view;
    if (header + REPLY_HEADER_BYTES > this.#bytes.length) throw new RangeError("no reply");
    const word = (at: number) => view.getUint32(header + at, true);
    return {
      status: word(0),
      flags: word(4),
      payload: this.#range(word(8), word(12)),
      journal: this.#range(word(16), word(20)),
      sequence: word(24) + word(28) * TWO_32,
    };
  }

  #range(address: number, length: number): Uint8Array {
    if (length === 0) return NO_BYTES;
    if (address + length > this.#bytes.length) throw new RangeError("bytes outside of memory");
    return this.#bytes.subarray(address, address + length);
  }

  /** Make the views anew after the memory grew. */
  #refresh(): void {
    const buffer = this.#instance.memory.buffer;
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#bytes = new Uint8Array(buffer);
      this.#view = new DataView(buffer);
    }
  }
}
