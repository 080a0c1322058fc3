/**
 * Short values to JSON as bytes, in one walk that checks and writes.
 *
 * Most documents are short: plain objects of ASCII text and small numbers. Checking such a one, writing
 * its text and encoding that takes three times as long. Whatever is not certainly written as `JSON` would
 * write it is left to json.ts, which also says what is wrong with a value.
 */

const MOST_BYTES = 1024;
const MAX_DEPTH = 16;
const bytes = new Uint8Array(MOST_BYTES);
let end = 0;

/** The JSON of a short and simple value; undefined for any other. The bytes hold until the next call. */
export function shortJson(value: unknown): Uint8Array | undefined {
  end = 0;
  return writes(value, 0) && end <= MOST_BYTES ? bytes.subarray(0, end) : undefined;
}

/** Write a value, unless it is none of those; whether it did. What is behind the end is dropped. */
function writes(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      return writesText(value);
    case "number":
      if (Number.isSafeInteger(value) ? Object.is(value, -0) : !Number.isFinite(value) || value % 1 === 0) return false;
      return writesAll(`${value}`);
    case "boolean":
      return writesAll(value ? "true" : "false");
    case "object":
      if (value === null) return writesAll("null");
      if (depth === MAX_DEPTH || "toJSON" in value) return false;
      return Array.isArray(value) ? writesArray(value, depth + 1) : writesObject(value, depth + 1);
    default:
      return false;
  }
}

function writesArray(value: readonly unknown[], depth: number): boolean {
  bytes[end++] = 0x5b; // [
  for (let index = 0; index < value.length; index++) {
    if (index > 0) bytes[end++] = 0x2c;
    if (!writes(value[index], depth)) return false;
  }
  bytes[end++] = 0x5d;
  return true;
}

function writesObject(value: object, depth: number): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  const names = Object.keys(value);
  bytes[end++] = 0x7b; // {
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as string;
    if (index > 0) bytes[end++] = 0x2c;
    if (!writesText(name)) return false;
    bytes[end++] = 0x3a;
    if (!writes((value as Record<string, unknown>)[name], depth)) return false;
  }
  bytes[end++] = 0x7d;
  return true;
}

/** Text of ASCII that needs no escapes. */
function writesText(text: string): boolean {
  const { length } = text;
  if (length > MOST_BYTES - end) return false;
  bytes[end++] = 0x22;
  for (let index = 0; index < length; index++) {
    const character = text.charCodeAt(index);
    if (character < 0x20 || character > 0x7e || character === 0x22 || character === 0x5c) return false;
    bytes[end++] = character;
  }
  bytes[end++] = 0x22;
  return true;
}

function writesAll(text: string): boolean {
  for (let index = 0; index < text.length; index++) bytes[end++] = text.charCodeAt(index);
  return true;
}
