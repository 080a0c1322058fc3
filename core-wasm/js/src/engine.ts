/** One instance of the engine: requests in, replies out. */

import { KoruDeltaError, LimitExceededError } from "./errors.js";
import { instantiate, type Instance } from "./instance.js";
import { ABI_VERSION, REPLY_HEADER_BYTES, REQUEST_HEADER_BYTES } from "./protocol.js";

const TWO_32 = 2 ** 32;
const NOW_WORD = 0xffff_ffff;
/** A request buffer of more is given back after a call. */
const KEPT_REQUEST_BYTES = 2 ** 21;
/** Room for most requests, so that a longer buffer is seldom asked for. */
const FIRST_REQUEST_BYTES = 2 ** 14;
/** Text up to this length is copied a character at a time, which takes less than calling an encoder. */
const SHORT_TEXT = 24;
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
  #bytes: Uint8Array;
  #view: DataView;
  /** The request buffer: it stays where it is until a longer one is asked for. */
  #start = 0;
  #room = 0;
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
    const { buffer } = this.#instance.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** Bytes of linear memory taken. */
  get memoryBytes(): number {
    return this.#instance.memory.buffer.byteLength;
  }

  /** Carry out one request, at a host time in microseconds. Up to the sequence `acknowledged` the host has
   * synced its file and acknowledged writes. */
  call(opcode: number, request: Request, time: number, acknowledged: number): Reply {
    if (this.#lost !== null) throw this.#lost;
    try {
      const length = this.#write(request, time, acknowledged);
      const header = this.#instance.call(opcode, length) >>> 0;
      if (this.#room > KEPT_REQUEST_BYTES) this.#room = 0;
      this.#refresh();
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
    this.#bytes.set(bytes, address);
  }

  /** Lay a request out in the engine's buffer; its length. */
  #write(request: Request, time: number, acknowledged: number): number {
    const { namespace = "", key = "", control = "", payload = NO_BYTES, vector, flags = 0, at } = request;
    const floats = vector === undefined ? 0 : vector.byteLength;
    // A character takes at most three bytes of UTF-8.
    const texts = 3 * (namespace.length + key.length + control.length);
    this.#make(REQUEST_HEADER_BYTES + texts + floats + (typeof payload === "string" ? 3 : 1) * payload.length);
    const start = this.#start;
    const head = this.#view;
    const lengths = start + 24;
    let end = start + REQUEST_HEADER_BYTES;
    end += this.#text(namespace, end, lengths);
    end += this.#text(key, end, lengths + 4);
    end += this.#text(control, end, lengths + 8);
    end += typeof payload === "string" ? this.#text(payload, end, lengths + 12) : this.#copy(payload, end, lengths + 12);
    head.setUint32(start + 40, flags, true);
    end += this.#copy(vector === undefined ? NO_BYTES : bytesOf(vector), end, lengths + 20);
    this.#word64(start, time);
    this.#word64(start + 8, acknowledged);
    if (at === undefined) {
      head.setUint32(start + 16, NOW_WORD, true);
      head.setUint32(start + 20, NOW_WORD, true);
    } else {
      this.#word64(start + 16, at);
    }
    this.#word64(start + 48, acknowledged);
    return end - start;
  }

  /** See that the request buffer holds so many bytes. */
  #make(bytes: number): void {
    if (bytes <= this.#room) return;
    const room = Math.max(bytes, FIRST_REQUEST_BYTES);
    this.#room = 0;
    this.#start = room < TWO_32 ? this.#instance.request(room) >>> 0 : 0;
    if (this.#start === 0) {
      throw new LimitExceededError(
        `the engine has no memory for a request of up to ${bytes} bytes`,
        "write less at a time, or raise maxMemoryMb",
      );
    }
    this.#room = room;
    this.#refresh();
    if (this.#start + room > this.#bytes.length) throw new RangeError("a buffer outside of memory");
  }

  #copy(part: Uint8Array, at: number, lengthAt: number): number {
    if (part.length > 0) this.#bytes.set(part, at);
    this.#view.setUint32(lengthAt, part.length, true);
    return part.length;
  }

  #text(part: string, at: number, lengthAt: number): number {
    const length = this.#short(part, at) ? part.length : encoder.encodeInto(part, this.#bytes.subarray(at)).written;
    this.#view.setUint32(lengthAt, length, true);
    return length;
  }

  /** Write a short text of ASCII; whether it is one. */
  #short(part: string, at: number): boolean {
    const { length } = part;
    if (length > SHORT_TEXT) return false;
    const bytes = this.#bytes;
    for (let index = 0; index < length; index++) {
      const character = part.charCodeAt(index);
      if (character > 127) return false;
      bytes[at + index] = character;
    }
    return true;
  }

  #word64(at: number, value: number): void {
    this.#view.setUint32(at, value >>> 0, true);
    this.#view.setUint32(at + 4, value / TWO_32, true);
  }

  #read(header: number): Reply {
    const view = this.#view;
    if (header + REPLY_HEADER_BYTES > this.#bytes.length) throw new RangeError("no reply");
    return {
      status: view.getUint32(header, true),
      flags: view.getUint32(header + 4, true),
      payload: this.#range(view.getUint32(header + 8, true), view.getUint32(header + 12, true)),
      journal: this.#range(view.getUint32(header + 16, true), view.getUint32(header + 20, true)),
      sequence: view.getUint32(header + 24, true) + view.getUint32(header + 28, true) * TWO_32,
    };
  }

  #range(address: number, length: number): Uint8Array {
    if (length === 0) return NO_BYTES;
    if (address + length > this.#bytes.length) throw new RangeError("bytes outside of memory");
    return this.#bytes.subarray(address, address + length);
  }

  /** Make the views anew after the memory grew, which leaves the old ones empty. */
  #refresh(): void {
    if (this.#bytes.length > 0) return;
    const { buffer } = this.#instance.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }
}

function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}
