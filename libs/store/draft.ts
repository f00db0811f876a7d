/** One object inside a commit that is being made: what it was, what it is to be, and the change that says so. */
import type { Patch } from "immer";
import { show } from "../../core/index.js";
import type { Values } from "../codec.js";
import { toMs } from "../duration.js";
import { StoreDamagedError, StoreNotFoundError } from "../errors.js";
import type { PutOptions, Recipe, UpdateOptions } from "../objects.js";
import { objectTag } from "../tags.js";
import { checkValue, copyValue } from "../value.js";
import { ObjectChange, type What } from "./change.js";
import { immer, wholeDue, type ObjectState } from "./object.js";
import { areFaithful, packPatches, pathOf } from "./patches.js";
import type { Shape } from "./schema.js";

/** Options of writes, apart from a signal. */
export const putOptions = new Set(["expiresIn"]);
export const updateOptions = new Set(["initial", "expiresIn"]);

export function checkRecipe(recipe: unknown): void {
  if (typeof recipe !== "function") throw new TypeError(`a recipe must be a function, not ${show(recipe)}`);
}

const none: readonly never[] = Object.freeze([]);

export class Draft<T> {
  readonly collection: string;
  readonly key: string;
  /** That of its object. */
  readonly tag: string;
  readonly base: ObjectState;
  /** What users see of the base: of the collection's version, undefined where nothing is or where it has expired. */
  readonly before: T | undefined;
  readonly #shape: Shape<T>;
  readonly #fault: Error | undefined;
  #value: T | undefined;
  #what: What = "same";
  #patches: readonly Patch[] = none;
  /** ms from the record on; null for never. */
  #expiresIn: number | null | undefined;
  #keepsExpiry: boolean;
  #reindexed = false;
  /** Somebody else may change what is in the value: who folds it decodes a copy. */
  #shared = false;

  /** `fault`: what who asks for its value is told, where that is not known. */
  constructor(
    collection: string,
    key: string,
    base: ObjectState,
    before: T | undefined,
    shape: Shape<T>,
    fault?: Error,
  ) {
    this.collection = collection;
    this.key = key;
    this.tag = objectTag(collection, key);
    this.base = base;
    this.before = before;
    this.#fault = fault;
    this.#shape = shape;
    this.#value = before;
    this.#keepsExpiry = before !== undefined;
  }

  /** Throws, such as `STORE_DAMAGED`, while it is what it was and that is not known. */
  get value(): T | undefined {
    if (this.#fault !== undefined && this.#what === "same") throw this.#fault;
    return this.#value;
  }

  /** Something is to be written. */
  get changed(): boolean {
    if (this.#what === "deleted") return this.base.exists;
    return this.#what !== "same" || this.#expiresIn !== undefined || this.#reindexed;
  }

  /** Its entries are to be written, whatever else is. Throws as `value`. */
  reindex(): void {
    this.#reindexed = this.value !== undefined;
  }

  /** `copy` is one that `copyOf` made, when the user called. */
  put(copy: T, options: PutOptions | undefined): Promise<void> | undefined {
    const expiresIn = options?.expiresIn === undefined ? undefined : toMs("expiresIn", options.expiresIn);
    const checked = this.#shape.check(copy, this.key);
    if (checked instanceof Promise)
      return checked.then((known) => this.#become("value", known === copy ? copy : copyOf(known), expiresIn));
    this.#become("value", checked === copy ? copy : copyOf(checked), expiresIn);
    return undefined;
  }

  delete(): void {
    this.#become("deleted", undefined, undefined);
  }

  /** What it is does not depend any more on what it was. */
  #become(what: "value" | "deleted", value: T | undefined, expiresIn: number | undefined): void {
    this.#value = value;
    this.#what = what;
    this.#patches = none;
    this.#expiresIn = expiresIn;
    this.#keepsExpiry = false;
    this.#shared = false;
  }

  /** Deletes it if its time has come. Of a damaged one only the keys know that, and whoever calls has asked them. */
  expire(): void {
    const isKnown = this.#fault === undefined || this.#fault instanceof StoreDamagedError;
    if (isKnown && this.base.exists && this.before === undefined) this.delete();
  }

  /** The new value. Throws `STORE_NOT_FOUND` where there is nothing to begin with, and what the recipe throws. */
  update(recipe: Recipe<T>, options: UpdateOptions<T> | undefined): T | Promise<T> {
    const given = options?.expiresIn;
    const expiresIn = given === undefined || given === null ? given : toMs("expiresIn", given);
    let from = this.value;
    if (from === undefined && options?.initial !== undefined) from = copyOf(options.initial);
    if (from === undefined) throw new StoreNotFoundError(this.collection, this.key);
    const [value, patches] = run(recipe, from);
    const checked = this.#shape.check(value, this.key);
    if (checked instanceof Promise) return checked.then((known) => this.#update(value, known, patches, expiresIn));
    return this.#update(value, checked, patches, expiresIn);
  }

  /** `checked` is what the schema has made of the recipe's value. */
  #update(value: T, checked: T, patches: readonly Patch[], expiresIn: number | null | undefined): T {
    if (expiresIn !== undefined) this.#expiresIn = expiresIn;
    if (checked === this.#value) return checked;
    // Where immer has no patch for a change, as from 0 to -0, the value says it.
    const isWhole = this.#value === undefined || this.#what === "value" || checked !== value || patches.length === 0;
    for (const patch of patches) {
      const part: unknown = patch.value;
      // Most parts are numbers: there is nothing to check, and no path to be made for it.
      if (typeof part !== "number" && patch.op !== "remove" && checkValue(part, pathOf(patch))) this.#shared = true;
    }
    const whole = isWhole || !areFaithful(patches, this.#value, value);
    this.#value = checked === value ? value : copyOf(checked);
    this.#what = whole ? "value" : "patches";
    if (whole) this.#patches = none;
    else this.#patches = this.#patches.length === 0 ? patches : [...this.#patches, ...patches];
    return this.#value;
  }

  /** The change for the log, without its indexes. */
  change(values: Values): ObjectChange {
    const { base } = this;
    const { version } = this.#shape;
    const change = new ObjectChange(this.collection, this.key);
    change.valueVersion = version;
    change.isFirst = !base.exists;
    change.what = this.#what;
    if (this.#what === "patches") {
      // Patches of what was brought up to a newer version say nothing of what is in the log.
      const bytes = base.version === version ? values.encode(packPatches(this.#patches)) : undefined;
      if (bytes === undefined || wholeDue(base, bytes.length)) change.what = "value";
      else change.bytes = bytes;
    }
    if (change.what === "value") change.bytes = values.encode(this.#value);
    if (change.bytes !== undefined && !this.#shared) {
      change.next = this.#value;
      change.hasNext = true;
    }
    if (this.#expiresIn === null) change.neverExpires = true;
    else if (this.#expiresIn !== undefined) change.expiresIn = Math.max(1, this.#expiresIn);
    else if (change.what === "value" && this.#keepsExpiry && base.expiresAt !== Infinity)
      change.expiresAt = base.expiresAt;
    return change;
  }
}

/** A value to be stored, which shares nothing with what the user gave. */
export function copyOf<T>(value: T): T {
  if (value === undefined)
    throw new TypeError("undefined cannot be stored, it means that there is no object; delete() it");
  return copyValue(value);
}

function run<T>(recipe: Recipe<T>, from: T): readonly [T, Patch[]] {
  const produce = immer.produceWithPatches as unknown as (from: T, recipe: (draft: T) => unknown) => [T, Patch[]];
  const [value, patches] = produce(from, (draft) => synchronous((recipe as (draft: T) => unknown)(draft)));
  if (value === undefined) throw new TypeError("a recipe made the value undefined; delete() the object instead");
  return [value, patches];
}

function synchronous(result: unknown): unknown {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== "function") return result;
  (result as PromiseLike<unknown>).then(undefined, () => undefined);
  throw new TypeError(
    "a recipe is async; await what it needs before update(), since the recipe itself may run several times",
  );
}
