/** What a store answers when it cannot do what it was asked for. Every code has a heading in docs/errors.md. */
import { LogError } from "../core/index.js";

export type StoreErrorCode =
  | "STORE_CONFLICT"
  | "STORE_UNIQUE"
  | "STORE_NOT_FOUND"
  | "STORE_INVALID"
  | "STORE_DAMAGED"
  | "STORE_VERSION"
  | "STORE_CLOSED";

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  /** The same call may succeed later. */
  readonly retryable: boolean;

  constructor(code: StoreErrorCode, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Others changed what it depends on, again and again. Nothing of it is in the log. */
export class StoreConflictError extends StoreError {
  constructor(what: string, attempts: number) {
    super(
      "STORE_CONFLICT",
      `${what} met other changes ${attempts} times in a row; try again later, touch fewer objects at once, or spread hot ones`,
      { retryable: true },
    );
  }
}

/** A unique index has the entry already, for another key; or for several, by writers that do not declare the index. */
export class StoreUniqueError extends StoreError {
  readonly index: string;
  /** Of the object that has the entry, the first one of `keys`. */
  readonly key: string;
  /** Of all objects that have it. */
  readonly keys: readonly string[];

  constructor(collection: string, index: string, value: string, keys: readonly string[]) {
    const objects = keys.map((key) => `"${key}"`).join(", ");
    super(
      "STORE_UNIQUE",
      keys.length === 1
        ? `unique index "${index}" of "${collection}" has ${value} already, for the object ${objects}`
        : `unique index "${index}" of "${collection}" has ${value} more than once, for the objects ${objects}; change or delete all but one`,
    );
    this.index = index;
    this.key = keys[0]!;
    this.keys = keys;
  }
}

/** What a look-up in an index depends on cannot be read; `cause` is what `get` of that object rejects with. */
export function unreadableError(collection: string, index: string, key: string, cause: StoreError): StoreError {
  const message = `index "${index}" of "${collection}" depends on "${key}", which cannot be read: ${cause.message}`;
  return new StoreError(cause.code, message, { cause });
}

/** An update of an object that does not exist. */
export class StoreNotFoundError extends StoreError {
  readonly key: string;

  constructor(collection: string, key: string) {
    super("STORE_NOT_FOUND", `"${collection}" has no object "${key}"; put it first, or give update() an initial value`);
    this.key = key;
  }
}

/** The schema of the collection refused a value; or one of an older version could not be brought up, and `cause` says why. */
export class StoreInvalidError extends StoreError {
  /** What the schema said, in its own words, with paths. */
  readonly issues: readonly string[];

  constructor(collection: string, key: string, issues: readonly string[], cause?: unknown) {
    super(
      "STORE_INVALID",
      cause === undefined
        ? `the schema of "${collection}" refuses "${key}": ${issues.join("; ")}`
        : `"${key}" of "${collection}" cannot be brought up: ${issues.join("; ")}; mend migrate, put() a new value or delete() it`,
      { cause },
    );
    this.issues = issues;
  }
}

/** What the log says of one object cannot be applied. Others go on; `put` and `delete` mend it. */
export class StoreDamagedError extends StoreError {
  readonly key: string;

  constructor(collection: string, key: string, cause: Error) {
    super(
      "STORE_DAMAGED",
      `object "${key}" of "${collection}" cannot be read: ${cause.message}; put() a new value or delete() it`,
      { cause },
    );
    this.key = key;
  }
}

export function versionError(collection: string, found: number, known: number): StoreError {
  return new StoreError(
    "STORE_VERSION",
    `"${collection}" has values of version ${found}, and this process knows ${known}; run the newer code here too`,
  );
}

export function storeClosedError(): StoreError {
  return new StoreError("STORE_CLOSED", "the store is closed; make a new BokiStore");
}

/** Others have trimmed what is read at a position meanwhile. A transaction runs again then, a snapshot has to be taken anew. */
export class OutdatedError extends LogError {
  constructor(collection: string, position: number, cause: Error) {
    super(
      "LOG_TRIMMED",
      `"${collection}" is not retained as it was at ${position}; read it anew, or retain it longer`,
      {
        retryable: true,
        cause,
      },
    );
  }
}
