import { Status } from "./protocol.js";

/**
 * Base of every error that koru-delta throws. Its `code` is for programs, its `suggestion` says what
 * to do next.
 *
 * ```text
 * KoruDeltaError              KORU_INTERNAL
 * ├── KeyNotFoundError        KORU_NOT_FOUND
 * ├── ValidationError         KORU_INVALID
 * │   └── SerializationError  KORU_SERIALIZATION
 * ├── ConflictError           KORU_CONFLICT
 * ├── LimitExceededError      KORU_LIMIT
 * ├── DatabaseClosedError     KORU_CLOSED
 * └── StorageError            KORU_STORAGE
 *     ├── DatabaseLockedError KORU_LOCKED
 *     ├── CorruptionError     KORU_CORRUPT
 *     └── UnsupportedFormatError KORU_UNSUPPORTED
 * ```
 */
export class KoruDeltaError extends Error {
  /** Which kind of error it is: the same string in every release. */
  readonly code: string = "KORU_INTERNAL";
  /** What to do next. */
  readonly suggestion: string;

  constructor(message: string, suggestion = "report what led to it", options?: ErrorOptions) {
    super(`${message}; ${suggestion}`, options);
    this.name = new.target.name;
    this.suggestion = suggestion;
  }
}

/** There is no such key, or no such version. */
export class KeyNotFoundError extends KoruDeltaError {
  override readonly code: string = "KORU_NOT_FOUND";
  /** Near keys, nearest first. */
  readonly suggestions: readonly string[];

  constructor(message: string, suggestion?: string, suggestions: readonly string[] = []) {
    super(message, suggestion);
    this.suggestions = suggestions;
  }
}

/** An argument is not acceptable. Nothing was changed. */
export class ValidationError extends KoruDeltaError {
  override readonly code: string = "KORU_INVALID";
}

/** A value cannot be stored as it is. The message has the place in it: `$.items[3].price`. */
export class SerializationError extends ValidationError {
  override readonly code: string = "KORU_SERIALIZATION";
}

/** The key has moved on from `expectedVersion`. Nothing was written. */
export class ConflictError extends KoruDeltaError {
  override readonly code: string = "KORU_CONFLICT";
  /** Id of the key's latest version; null if it never had one. */
  readonly current: string | null;

  constructor(message: string, suggestion?: string, current: string | null = null) {
    super(message, suggestion);
    this.current = current;
  }
}

/** A limit of size, count or memory was reached. Nothing was written. */
export class LimitExceededError extends KoruDeltaError {
  override readonly code: string = "KORU_LIMIT";
}

/** The database was closed. */
export class DatabaseClosedError extends KoruDeltaError {
  override readonly code: string = "KORU_CLOSED";
}

/** The storage could not be read or written; `cause` has what it threw. */
export class StorageError extends KoruDeltaError {
  override readonly code: string = "KORU_STORAGE";
}

/** Another handle has the database open. */
export class DatabaseLockedError extends StorageError {
  override readonly code: string = "KORU_LOCKED";
}

/** Stored bytes are damaged. They were left as they are. */
export class CorruptionError extends StorageError {
  override readonly code: string = "KORU_CORRUPT";
  /** Byte of the file where the damage begins; null if that is not known. */
  readonly offset: number | null;

  constructor(message: string, suggestion?: string, offset: number | null = null) {
    super(message, suggestion);
    this.offset = offset;
  }
}

/** The bytes are not a koru-delta database, or one of a later format. */
export class UnsupportedFormatError extends StorageError {
  override readonly code: string = "KORU_UNSUPPORTED";
}

/** The error that a reply reports. */
/** @internal */
export function errorOf(status: number, payload: Uint8Array): KoruDeltaError {
  const told = JSON.parse(new TextDecoder().decode(payload));
  const suggestion: string = told.suggestion;
  const message = told.index === undefined ? told.message : `item ${told.index}: ${told.message}`;
  switch (status) {
    case Status.invalid:
      return new ValidationError(message, suggestion);
    case Status.serialization:
      return new SerializationError(message, suggestion);
    case Status.notFound:
      return new KeyNotFoundError(message, suggestion, told.suggestions);
    case Status.conflict:
      return new ConflictError(message, suggestion, told.current);
    case Status.limit:
      return new LimitExceededError(message, suggestion);
    case Status.corrupt:
      return new CorruptionError(message, suggestion, told.offset);
    case Status.unsupported:
      return new UnsupportedFormatError(message, suggestion);
    default:
      return new KoruDeltaError(message, suggestion);
  }
}
