/** Moments as people give them. */

import { ValidationError } from "./errors.js";
import { Version } from "./versions.js";

/**
 * A moment: a `Version` (when it was written), a `Date`, an ISO 8601 string, milliseconds since 1970
 * as `Date.now()` gives them, or microseconds as a `bigint`. A `Date`, a string and milliseconds stand
 * for the end of their millisecond, so what was written in it is seen.
 */
export type Time = Version | Date | string | number | bigint;

const LARGEST_US = 253_402_300_799_999_999;

/** Microseconds since 1970. */
export function toMicroseconds(time: Time): number {
  if (time instanceof Version) return time.timestampUs;
  if (typeof time === "bigint") return inRange(Number(time), time);
  const milliseconds =
    time instanceof Date ? time.getTime() : typeof time === "string" ? Date.parse(time) : time;
  return inRange(Math.floor(milliseconds) * 1000 + 999, time);
}

function inRange(microseconds: number, given: unknown): number {
  if (Number.isFinite(microseconds) && microseconds >= 0) return Math.min(microseconds, LARGEST_US);
  throw new ValidationError(
    `${String(given)} is not a time from 1970 on`,
    "give a Version, a Date, an ISO 8601 string, or milliseconds",
  );
}
