/** Versions and hits, taken apart from the records of a reply. */

import { parse } from "./json.js";
import { Kind, RECORD_HEADER_BYTES } from "./protocol.js";

const TWO_32 = 2 ** 32;
const decoder = new TextDecoder();

/** What a key holds: anything that JSON can say, or bytes. */
export type Value = any;

const SLAB_BYTES = 2 ** 13;
let slab = new Uint8Array();
let used = 0;

/** A copy of a record. Short ones share buffers of eight KiB: to make one takes longer than to copy. */
export function copied(record: Uint8Array): Uint8Array {
  const { length } = record;
  if (length > SLAB_BYTES / 8) return record.slice();
  if (used + length > slab.length) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  const copy = slab.subarray(used, used + length);
  copy.set(record);
  used += length;
  return copy;
}

/** One version of a key. Its parts are read from the record when they are asked for. */
export class Version {
  readonly #record: Uint8Array;

  /** @internal */
  constructor(record: Uint8Array) {
    this.#record = record;
  }

  get #view(): DataView {
    return new DataView(this.#record.buffer, this.#record.byteOffset, this.#record.byteLength);
  }

  /** 32 hexadecimal digits, unique to this write: half of a BLAKE3 hash over everything here. */
  get versionId(): string {
    return hex(this.#record.subarray(0, 16));
  }

  /** When it was written, in microseconds since 1970: one per commit, and ever increasing. */
  get timestampUs(): number {
    return this.#view.getUint32(16, true) + this.#view.getUint32(20, true) * TWO_32;
  }

  /** The same as a date, to the millisecond. */
  get timestamp(): Date {
    return new Date(Math.floor(this.timestampUs / 1000));
  }

  /** Id of the key's version before this one; null for the first. */
  get previous(): string | null {
    const id = hex(this.#record.subarray(24, 40));
    return /^0+$/.test(id) ? null : id;
  }

  get namespace(): string {
    return this.#text(RECORD_HEADER_BYTES, this.#length(40));
  }

  get key(): string {
    return this.#text(RECORD_HEADER_BYTES + this.#length(40), this.#length(42));
  }

  /** Model that made its vector. */
  get model(): string {
    return this.#text(RECORD_HEADER_BYTES + this.#length(40) + this.#length(42), this.#length(44));
  }

  /** Ids of the versions that it was derived from. */
  get causedBy(): string[] {
    const start = this.#valueStart() - 16 * this.#length(46);
    return Array.from({ length: this.#length(46) }, (_, index) => {
      const at = start + 16 * index;
      return hex(this.#record.subarray(at, at + 16));
    });
  }

  /** Whether this version is a deletion. */
  get deleted(): boolean {
    return this.#record[56] === Kind.deleted;
  }

  /** The value; null for a deletion. */
  get value(): Value {
    const start = this.#valueStart();
    const length = this.#view.getUint32(48, true);
    if (this.deleted) return null;
    if (this.#record[56] === Kind.bytes) return this.#record.slice(start, start + length);
    return parse(this.#text(start, length));
  }

  /** Everything, for `JSON.stringify` and the console. */
  toJSON(): Record<string, unknown> {
    const { namespace, key, value, versionId, timestampUs, previous, causedBy, deleted, model } = this;
    return { namespace, key, value, versionId, timestampUs, previous, causedBy, deleted, model };
  }

  #length(at: number): number {
    return this.#view.getUint16(at, true);
  }

  #valueStart(): number {
    const names = this.#length(40) + this.#length(42) + this.#length(44);
    return RECORD_HEADER_BYTES + names + 16 * this.#length(46);
  }

  #text(start: number, length: number): string {
    return decoder.decode(this.#record.subarray(start, start + length));
  }
}

/** One hit of a search. */
export interface Match {
  readonly namespace: string;
  readonly key: string;
  /** How near it is: higher is nearer. */
  readonly score: number;
  readonly value: Value;
  readonly versionId: string;
  readonly timestamp: Date;
  /** Of a text search: text around what was found; else null. */
  readonly snippet: string | null;
  /** Where in the snippet the words are: from and to, in code points. */
  readonly highlights: readonly (readonly [number, number])[];
}

/** A view of a reply's payload, read from front to back. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(payload: Uint8Array) {
    this.#bytes = payload;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  }

  word(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  float(): number {
    this.#at += 4;
    return this.#view.getFloat32(this.#at - 4, true);
  }

  take(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

/** Many of something, in order. */
function many<T>(count: number, read: () => T): T[] {
  return Array.from({ length: count }, read);
}

/** The versions of a reply. The records are copied out. */
export function versionsOf(payload: Uint8Array): Version[] {
  return readVersions(new Reader(payload.slice()));
}

function readVersions(reader: Reader): Version[] {
  const lengths = many(reader.word(), () => reader.word());
  return lengths.map((length) => new Version(reader.take(length)));
}

/** Hits of several queries, with what the reply says of each. */
export interface Hit {
  readonly version: Version;
  readonly score: number;
}

/** The hits of each query of a search by vectors. */
export function hitsOf(payload: Uint8Array): Hit[][] {
  return readHits(new Reader(payload.slice()));
}

function readHits(reader: Reader): Hit[][] {
  const counts = many(reader.word(), () => reader.word());
  const scores = counts.map((count) => many(count, () => reader.float()));
  const versions = readVersions(reader);
  let at = 0;
  return scores.map((some) => some.map((score) => ({ score, version: versions[at++] as Version })));
}

/** The hits of a search of text or of a recall, with the JSON that comes for each. */
export function hitsWithParts(payload: Uint8Array): { hits: Hit[]; parts: any[] } {
  const reader = new Reader(payload.slice());
  const hits = readHits(reader)[0] as Hit[];
  return { hits, parts: JSON.parse(decoder.decode(reader.take(reader.word()))) };
}

/** A hit as people get it. */
export function matchOf({ version, score }: Hit, part: [string, [number, number][]] | null = null): Match {
  const { namespace, key, value, versionId, timestamp } = version;
  const snippet = part === null ? null : part[0];
  return { namespace, key, score, value, versionId, timestamp, snippet, highlights: part === null ? [] : part[1] };
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Bytes as hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}
