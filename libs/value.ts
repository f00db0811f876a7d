/**
 * What a value may be, so that what is read is what was written, with any codec and after any crash: null, undefined,
 * booleans, numbers (also NaN, the infinities and -0), bigints, well-formed strings, Date, Uint8Array, and arrays, plain
 * objects, Map and Set of these, at most 1,000 levels deep. Anything else is refused with the place where it is.
 *
 * A Buffer is taken and comes back as a Uint8Array, a hole of an array as undefined, an object without prototype as a plain
 * one. What is in two places is copied to both. Properties that are not enumerable, and named ones of arrays, do not count.
 */
import { types } from "node:util";

const levelsMax = 1000;

/** A frozen copy of a value that shares nothing with it. Date and Uint8Array cannot be frozen; theirs are copies. */
export function copyValue<T>(value: T): T {
  return new Walk("", true).any(value, 0) as T;
}

/**
 * Checks a value without copying it. Returns whether it holds anything that cannot be frozen (Date, Uint8Array): such a
 * value must not be shared. `path` is where the value lies in a larger one, such as `.user.roles`.
 */
export function checkValue(value: unknown, path = ""): boolean {
  const walk = new Walk(path, false);
  walk.any(value, 0);
  return walk.loose;
}

/** Freezes a value that nobody else has, with all in it. */
export function freezeValue<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || value instanceof Date) return value;
  if (Array.isArray(value)) {
    for (const part of value) freezeValue(part);
  } else if (value instanceof Map) {
    for (const [key, part] of value) {
      freezeValue(key);
      freezeValue(part);
    }
    Object.defineProperties(value, mutators);
  } else if (value instanceof Set) {
    for (const part of value) freezeValue(part);
    Object.defineProperties(value, mutators);
  } else {
    for (const key in value) freezeValue(value[key]);
  }
  return Object.freeze(value);
}

/** Object.freeze does not reach what a Map or a Set holds. */
const mutators = Object.fromEntries(
  ["set", "add", "delete", "clear"].map((name) => [name, { value: refuseChange, enumerable: false }]),
);

function refuseChange(): never {
  throw new TypeError("a stored value cannot be changed; change a copy, such as new Map(value) or new Set(value)");
}

/** A step from a value to a part of it: a key of an object, an index of an array, or as text what leads into a Map or Set. */
type Step = string | number | { readonly text: string };

/** One pass over a value. It notes the way as it goes, so that only an error costs the making of a path. */
class Walk {
  readonly #path: string;
  readonly #copies: boolean;
  readonly #steps: Step[] = [];
  readonly #above: object[] = [];
  /** Whether something was met that cannot be frozen. */
  loose = false;

  constructor(path: string, copies: boolean) {
    this.#path = path;
    this.#copies = copies;
  }

  any(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        if (!value.isWellFormed())
          throw this.#refused(depth, "a string with an unpaired surrogate", "use toWellFormed()");
        return value;
      case "object":
        return value === null ? null : this.#object(value, depth);
      case "function":
        throw this.#refused(depth, "a function", "store the data from which it can be made");
      case "symbol":
        throw this.#refused(depth, "a symbol", "use a string");
      default:
        return value;
    }
  }

  #object(value: object, depth: number): unknown {
    this.#above[depth] = value;
    if (depth >= levelsMax) throw this.#tooDeep(depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return this.#plain(value as Plain, depth);
    if (prototype === Array.prototype && Array.isArray(value)) return this.#array(value, depth);
    if (prototype === Map.prototype && types.isMap(value)) return this.#map(value, depth);
    if (prototype === Set.prototype && types.isSet(value)) return this.#set(value, depth);
    if (prototype === Date.prototype && types.isDate(value)) {
      this.loose = true;
      return this.#copies ? new Date(value.getTime()) : value;
    }
    if ((prototype === Uint8Array.prototype || prototype === Buffer.prototype) && types.isUint8Array(value)) {
      this.loose = true;
      return this.#copies ? new Uint8Array(value) : value;
    }
    throw this.#refused(depth, describe(value), remedyFor(value));
  }

  #plain(value: Plain, depth: number): unknown {
    const copy: Plain = {};
    for (const key in value) {
      if (!hasOwn.call(value, key)) continue;
      this.#steps[depth] = key;
      if (key === "__proto__" || !key.isWellFormed()) throw this.#badKey(depth, key);
      if (getterOf.call(value, key) !== undefined) throw this.#refused(depth + 1, "a getter", accessorRemedy);
      const original = value[key];
      if (original === undefined && setterOf.call(value, key) !== undefined)
        throw this.#refused(depth + 1, "a setter", accessorRemedy);
      const part = this.any(original, depth + 1);
      if (this.#copies) copy[key] = part;
    }
    const symbols = Object.getOwnPropertySymbols(value);
    if (symbols.length > 0) this.#checkSymbols(value, symbols, depth);
    return this.#copies ? Object.freeze(copy) : value;
  }

  #array(value: readonly unknown[], depth: number): unknown {
    const copy: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      this.#steps[depth] = i;
      const part = this.any(value[i], depth + 1);
      if (this.#copies) copy.push(part);
    }
    return this.#copies ? Object.freeze(copy) : value;
  }

  #map(value: ReadonlyMap<unknown, unknown>, depth: number): unknown {
    const copy = new Map<unknown, unknown>();
    let i = 0;
    for (const [key, part] of value) {
      this.#steps[depth] = { text: `.keys()[${i++}]` };
      // immer loses what is drafted under it.
      if (key === undefined) throw this.#refused(depth + 1, "undefined as a key", "use null");
      const keyCopy = this.any(key, depth + 1);
      this.#steps[depth] = { text: typeof key === "object" ? `.values()[${i - 1}]` : `.get(${literal(key)})` };
      const partCopy = this.any(part, depth + 1);
      if (this.#copies) copy.set(keyCopy, partCopy);
    }
    return this.#copies ? Object.freeze(Object.defineProperties(copy, mutators)) : value;
  }

  #set(value: ReadonlySet<unknown>, depth: number): unknown {
    const copy = new Set<unknown>();
    let i = 0;
    for (const part of value) {
      this.#steps[depth] = { text: `.values()[${i++}]` };
      const partCopy = this.any(part, depth + 1);
      if (this.#copies) copy.add(partCopy);
    }
    return this.#copies ? Object.freeze(Object.defineProperties(copy, mutators)) : value;
  }

  #badKey(depth: number, key: string): TypeError {
    return key === "__proto__"
      ? this.#refused(depth + 1, "a key __proto__", "use another key, or a Map")
      : this.#refused(depth + 1, "a key with an unpaired surrogate", "use toWellFormed()");
  }

  #checkSymbols(value: object, symbols: readonly symbol[], depth: number): void {
    const key = symbols.find((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol));
    if (key !== undefined) throw this.#refused(depth, `a key ${String(key)}`, "use a string as key");
  }

  /** A value that holds itself has no end, so it comes here too. */
  #tooDeep(depth: number): TypeError {
    const seen = new Map<object, number>();
    for (let at = 0; at <= depth; at++) {
      const first = seen.get(this.#above[at]!);
      if (first !== undefined) {
        const outer = this.#place(first) || "the value itself";
        return this.#refused(at, "a cycle", `it is ${outer} again; store an id in its place`);
      }
      seen.set(this.#above[at]!, at);
    }
    return this.#refused(
      depth,
      `anything deeper than ${levelsMax} levels`,
      "store parts of it under keys of their own",
    );
  }

  #refused(depth: number, what: string, remedy: string): TypeError {
    const place = this.#place(depth);
    return new TypeError(`${place === "" ? "" : `at ${place}: `}${what} cannot be stored; ${remedy}`);
  }

  #place(depth: number): string {
    const place = this.#path + this.#steps.slice(0, depth).map(stepText).join("");
    return place.length > 200 ? `${place.slice(0, 100)} ... ${place.slice(-60)}` : place;
  }
}

type Plain = Record<string, unknown>;

const accessorRemedy = "store what it gives, for example with { ...value }";

/** These are several times faster than Object.hasOwn and a descriptor. */
const {
  hasOwnProperty: hasOwn,
  __lookupGetter__: getterOf,
  __lookupSetter__: setterOf,
} = Object.prototype as unknown as {
  readonly hasOwnProperty: (this: object, key: string) => boolean;
  readonly __lookupGetter__: (this: object, key: string) => unknown;
  readonly __lookupSetter__: (this: object, key: string) => unknown;
};

function stepText(step: Step): string {
  if (typeof step === "object") return step.text;
  if (typeof step === "number") return `[${step}]`;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(step) ? `.${step}` : `[${literal(step)}]`;
}

function literal(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  return typeof value === "bigint" ? `${value}n` : String(value);
}

/** A value in words, for an error. */
export function describe(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return literal(value);
  if (Object.getPrototypeOf(value) === Array.prototype) return "an array";
  const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === "string" && name !== "" ? `an instance of ${name}` : "an object with a prototype of its own";
}

function remedyFor(value: object): string {
  if (types.isPromise(value)) return "await it first";
  if (types.isNativeError(value)) return "store its name and message";
  if (types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value)) return "copy its bytes into a Uint8Array";
  if (types.isRegExp(value)) return "store its source and flags";
  return "make it a plain object, for example { ...value }";
}
