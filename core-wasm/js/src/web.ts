/** What both storages of a browser need: one writer, and errors that say what to do. */

import { DatabaseLockedError, KoruDeltaError, StorageError } from "./errors.js";

/**
 * Hold the Web Lock of a database, the same one that the Python package takes in a page: tabs and
 * workers exclude each other, and the browser frees it with its holder.
 *
 * @returns what lets go of it.
 */
export async function lockDatabase(name: string): Promise<() => void> {
  if (globalThis.navigator?.locks === undefined) {
    throw new StorageError("this page has no Web Locks", "serve it by https, or from localhost");
  }
  return new Promise((resolve, reject) => {
    const hold = (lock: Lock | null) => {
      if (lock !== null) return new Promise<void>((release) => resolve(() => release()));
      reject(new DatabaseLockedError(`${name} is open already, in another tab or worker`, "close it there"));
      return undefined;
    };
    navigator.locks.request(`koru-delta:${name}`, { ifAvailable: true }, hold).catch(reject);
  });
}

/** What the browser threw, as an error that says what to do. */
export function browserError(error: unknown, what: string, name: string): KoruDeltaError {
  if (error instanceof KoruDeltaError) return error;
  const { name: kind, message } = error as DOMException;
  if (kind === "NoModificationAllowedError") {
    return new DatabaseLockedError(`the files of ${name} are open already`, "close it there");
  }
  const suggestion = kind === "QuotaExceededError" ? "free some space: what was acknowledged is there" : "see the cause";
  return new StorageError(`cannot ${what} ${name}: ${message}`, suggestion, { cause: error });
}
