/** What a collection makes of values: brought up to its version, and checked by a Standard Schema (zod, valibot, arktype ...). */
import { isDeepStrictEqual } from "node:util";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { StoreError, StoreInvalidError, versionError } from "../errors.js";
import { copyValue } from "../value.js";
import type { ObjectState } from "./object.js";

/** Brings a value of an older version up to the collection's, in one step or several. Must not change it: it is frozen. */
export type Migrate = (value: unknown, version: number) => unknown;

export class Shape<T> {
  readonly version: number;
  readonly #collection: string;
  readonly #schema: StandardSchemaV1<unknown, T> | undefined;
  readonly #migrate: Migrate | undefined;
  /** Values of older versions, brought up. */
  readonly #migrated = new WeakMap<ObjectState, unknown>();

  constructor(
    collection: string,
    version: number,
    schema: StandardSchemaV1<unknown, T> | undefined,
    migrate: Migrate | undefined,
  ) {
    this.#collection = collection;
    this.version = version;
    this.#schema = schema;
    this.#migrate = migrate;
  }

  /** The value as users of this collection see it. */
  seen(state: ObjectState, key: string): T | undefined | Promise<T | undefined> {
    if (!state.exists) return undefined;
    if (state.version === this.version) return state.value as T;
    if (state.version > this.version) throw versionError(this.#collection, state.version, this.version);
    return this.#bringUp(state, key);
  }

  async #bringUp(state: ObjectState, key: string): Promise<T> {
    if (this.#migrated.has(state)) return this.#migrated.get(state) as T;
    try {
      const value = this.#migrate === undefined ? state.value : this.#migrate(state.value, state.version);
      const seen = copyValue(await this.check(value as T, key));
      this.#migrated.set(state, seen);
      return seen;
    } catch (error) {
      if (error instanceof StoreError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new StoreInvalidError(this.#collection, key, [`version ${state.version}: ${why}`], error);
    }
  }

  /** What the schema makes of a value: the same object where it is equal. Throws `STORE_INVALID`. */
  check(value: T, key: string): T | Promise<T> {
    if (this.#schema === undefined) return value;
    const result = this.#schema["~standard"].validate(value);
    return result instanceof Promise
      ? result.then((known) => this.#take(value, known, key))
      : this.#take(value, result, key);
  }

  #take(value: T, result: StandardSchemaV1.Result<T>, key: string): T {
    if (result.issues !== undefined) throw new StoreInvalidError(this.#collection, key, result.issues.map(describe));
    return isDeepStrictEqual(result.value, value) ? value : result.value;
  }
}

function describe({ message, path }: StandardSchemaV1.Issue): string {
  if (path === undefined || path.length === 0) return message;
  const names = path.map((step) => String(typeof step === "object" ? step.key : step));
  return `${names.join(".")}: ${message}`;
}
