/** Arguments as people give them, checked and laid out. */

import { SerializationError, ValidationError } from "./errors.js";
import { stringify } from "./json.js";
import { Flag, ITEM_HEADER_BYTES } from "./protocol.js";
import { shortJson } from "./short.js";
import { joined } from "./storage.js";
import { Version } from "./versions.js";

const encoder = new TextEncoder();

/** A value as a request carries it: JSON text, or bytes with their flag. */
export function valueOf(value: unknown): { payload: string | Uint8Array; flags: number } {
  if (value instanceof Uint8Array) return { payload: value, flags: Flag.bytes };
  return { payload: stringify(value), flags: 0 };
}

/** The same, to be used at once: the bytes of short values hold until the next one is laid out. */
export function valueForNow(value: unknown): { payload: string | Uint8Array; flags: number } {
  const payload = shortJson(value);
  return payload === undefined ? valueOf(value) : { payload, flags: 0 };
}

/** A name that UTF-8 can say. */
export function checkText(what: string, text: unknown): string {
  if (typeof text !== "string") {
    throw new ValidationError(`${what} is of type ${typeof text}`, "give a string");
  }
  if (!text.isWellFormed()) {
    throw new ValidationError(`${what} has half a surrogate pair in it`, "give text that UTF-8 can say");
  }
  return text;
}

/** Whole, from 0 on; null for none. */
export function checkLimit(what: string, limit: number | undefined): number | null {
  if (limit === undefined) return null;
  if (!Number.isSafeInteger(limit) || limit < 0) {
    throw new ValidationError(`${what} is ${limit}`, "give a whole number from 0 on");
  }
  return limit;
}

/** The components of a vector. A `Float32Array` is not copied. */
export function vectorOf(vector: unknown, what = "the embedding"): Float32Array {
  if (vector instanceof Float32Array) return vector;
  if (!Array.isArray(vector) && !(vector instanceof Float64Array)) {
    throw new ValidationError(`${what} is no vector`, "give a Float32Array, or an array of numbers");
  }
  const wrong = vector.findIndex((component: unknown) => typeof component !== "number");
  if (wrong >= 0) {
    throw new ValidationError(`${what} has no number at ${wrong}`, "give an array of numbers");
  }
  return Float32Array.from(vector);
}

/** The id of a version. */
export function idOf(version: Version | string): string {
  return version instanceof Version ? version.versionId : checkText("the version", version);
}

/** A filter as a request carries it. */
export function filterOf(where: unknown): string {
  if (where === undefined || where === null) return "";
  if (typeof where !== "object" || Array.isArray(where)) {
    throw new ValidationError("the filter is no object", 'give one such as { age: { $gte: 18 } }');
  }
  return stringify(where);
}

/** One item of a batch. */
export interface Item {
  namespace: string;
  key: string;
  value: unknown;
  flags?: number;
}

/** The payload of a batch. */
export function batchOf(items: readonly Item[]): Uint8Array {
  const parts: Uint8Array[] = [];
  items.forEach(({ namespace, key, value, flags: more = 0 }, index) => {
    const { payload, flags } = more & (Flag.keep | Flag.delete) ? { payload: "", flags: 0 } : itemValue(value, index);
    const bytes = [checkText("the namespace", namespace), checkText("the key", key), payload].map((part) =>
      typeof part === "string" ? encoder.encode(part) : part,
    );
    const header = new DataView(new ArrayBuffer(ITEM_HEADER_BYTES));
    bytes.forEach((part, at) => header.setUint32(4 * at, part.length, true));
    header.setUint32(12, flags | more, true);
    parts.push(new Uint8Array(header.buffer), ...bytes);
  });
  return joined(parts);
}

function itemValue(value: unknown, index: number): ReturnType<typeof valueOf> {
  try {
    return valueOf(value);
  } catch (error) {
    if (!(error instanceof SerializationError)) throw error;
    throw new SerializationError(`item ${index}: ${error.message}`, error.suggestion);
  }
}

/** Fields to order by, each with whether it is descending. */
export function orderOf(orderBy: string | readonly string[] | undefined): [string, boolean][] {
  const fields = orderBy === undefined ? [] : typeof orderBy === "string" ? [orderBy] : orderBy;
  return fields.map((field) => {
    const text = checkText("orderBy", field);
    return text.startsWith("-") ? [text.slice(1), true] : [text, false];
  });
}

/** Fields of a text search with their boosts; null for all. */
export function boostsOf(
  fields: readonly string[] | Readonly<Record<string, number>> | undefined,
): [string, number][] | null {
  if (fields === undefined) return null;
  if (Array.isArray(fields)) return fields.map((field: string) => [checkText("fields", field), 1]);
  return Object.entries(fields as Record<string, number>);
}
