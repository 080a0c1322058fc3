/**
 * Values to JSON and back, without changing any.
 *
 * What `JSON` does is kept where it is exact. It is not for whole numbers beyond 2^53, which are
 * `bigint` here, both ways; for -0, which it writes as 0; and for what it drops or turns into null,
 * which is refused.
 */

import { SerializationError } from "./errors.js";

/** Anything that is stored as JSON. A `bigint` has up to 64 bits. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

const LARGEST = 2n ** 64n - 1n;
const SMALLEST = -(2n ** 63n);
const MAX_DEPTH = 128;

/** The JSON text of a value. */
export function stringify(value: unknown): string {
  return isSimple(value, 0) || isPlain(value, "$", 0) ? JSON.stringify(value) : exactly(value);
}

/** Whether `JSON.stringify` certainly writes a value exactly: what most values are, found quickly. */
function isSimple(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      return value.isWellFormed();
    case "number":
      return Number.isSafeInteger(value) ? !Object.is(value, -0) : Number.isFinite(value) && value % 1 !== 0;
    case "object":
      return value === null || (depth < MAX_DEPTH && isSimpleObject(value, depth + 1));
    default:
      return typeof value === "boolean";
  }
}

function isSimpleObject(value: object, depth: number): boolean {
  if ("toJSON" in value) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (!isSimple(value[index], depth)) return false;
    }
    return true;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const name in value) {
    if (!name.isWellFormed() || !isSimple((value as Record<string, unknown>)[name], depth)) return false;
  }
  return true;
}

function refuse(place: string, what: string, suggestion: string): never {
  throw new SerializationError(`${place} is ${what}`, suggestion);
}

/** Check a value; whether `JSON.stringify` writes it exactly. */
function isPlain(value: unknown, place: string, depth: number): boolean {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) {
        refuse(place, "a string with half a surrogate pair", "store bytes as a Uint8Array");
      }
      return true;
    case "boolean":
      return true;
    case "number":
      if (!Number.isFinite(value)) refuse(place, `${value}`, "use null, or a finite number");
      return Number.isSafeInteger(value) ? !Object.is(value, -0) : Math.abs(value) < 2 ** 53 || value % 1 !== 0;
    case "bigint":
      if (value > LARGEST || value < SMALLEST) {
        refuse(place, "an integer of more than 64 bits", "store it as a string");
      }
      return false;
    case "object":
      return value === null || isPlainObject(value, place, depth + 1);
    default:
      return refuse(place, `of type ${typeof value}`, "store null, or leave it out");
  }
}

function isPlainObject(value: object, place: string, depth: number): boolean {
  if (depth > MAX_DEPTH) refuse(place, `nested more than ${MAX_DEPTH} deep`, "store flatter values");
  let plain = true;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      plain = isPlain(value[index], `${place}[${index}]`, depth) && plain;
    }
    return plain;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    refuse(place, `of class ${value.constructor?.name}`, "store a plain object, array or string");
  }
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name];
    if (!name.isWellFormed()) refuse(place, "an object with a name of half a surrogate pair", "rename it");
    plain = isPlain(member, `${place}.${name}`, depth) && plain;
  }
  if ("toJSON" in value) refuse(place, "an object with a toJSON method", "store what it returns");
  return plain;
}

/** The same as `JSON.stringify`, for values that have been checked. */
function exactly(value: unknown): string {
  if (typeof value === "bigint") return `${value}`;
  if (typeof value === "number") return numberText(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(exactly).join(",")}]`;
  const members = Object.entries(value);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${exactly(member)}`).join(",")}}`;
}

/** A number that comes back as a number: whole ones beyond 2^53 are written as what they are, floats. */
function numberText(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const text = JSON.stringify(value);
  return Number.isInteger(value) && !Number.isSafeInteger(value) && !text.includes("e") ? `${text}.0` : text;
}

const LONG_INTEGER = /\d{16}/;
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;
/** What no text begins with, since nobody can know it. Made when it is needed: a worker has no
 * randomness before its first request. */
let mark: string | undefined;

/** The value of a JSON text. */
export function parse(text: string): any {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  mark ??= `\u0001${crypto.randomUUID()}:`;
  const begin = mark;
  const marked = text.replace(TOKENS, (token) =>
    token.startsWith('"') || Number.isSafeInteger(Number(token)) ? token : JSON.stringify(begin + token),
  );
  return JSON.parse(marked, (_name, value: unknown) =>
    typeof value === "string" && value.startsWith(begin) ? BigInt(value.slice(begin.length)) : value,
  );
}
