/**
 * What an immer recipe did, as patches in the log: only where they make of the value before exactly the value after, for whoever
 * reads them. What they cannot say is written as a whole value.
 */
import type { Patch } from "immer";
import { show } from "../../core/index.js";

const operations = ["add", "remove", "replace"] as const;
type Packed = [number, (string | number)[], unknown?];

export function packPatches(patches: readonly Patch[]): Packed[] {
  return patches.map(({ op, path, value }) =>
    op === "remove" && value === undefined ? [operations.indexOf(op), path] : [operations.indexOf(op), path, value],
  );
}

export function unpackPatches(packed: unknown): Patch[] {
  return (packed as Packed[]).map(([op, path, value]) => ({ op: operations[op]!, path, value }));
}

/** The place of a patch, for messages. */
export function pathOf({ path }: Patch): string {
  return path.map((step) => `.${typeof step === "object" ? show(step) : String(step)}`).join("");
}

/**
 * Whether patches say all of a change from `before` to `after`, for whoever reads them in the log. They do not where one
 *   is inside of a Set, or of a member that is an object: it names members themselves, and those are others once they were in the log;
 *   is at a key of a Map that is no string or number, or beside keys that are objects: their parts look like steps of the path;
 *   is inside of a property "constructor", which immer refuses;
 * nor where keys or members have another order than before, for which immer has no patch.
 */
export function areFaithful(patches: readonly Patch[], before: unknown, after: unknown): boolean {
  return patches.every((patch) => isSayable(patch, before, after)) && hasOrder(before, after, patches, []);
}

function isSayable({ path, value }: Patch, before: unknown, after: unknown): boolean {
  let old = before;
  let now = after;
  if (hasObjectKeys(old) || hasObjectKeys(now)) return false;
  for (let i = 0; i < path.length; i++) {
    const step: unknown = path[i];
    if ((typeof step !== "string" && typeof step !== "number") || step === "constructor") return false;
    if (old instanceof Set) return i === path.length - 1 && !isObject(value);
    if (!isObject(old)) return false;
    old = stepInto(old, step);
    now = stepInto(now, step);
    // An empty array as a key is no step at all: the patch seems to be about the Map itself.
    if (hasObjectKeys(old) || hasObjectKeys(now)) return false;
  }
  return path.length > 0;
}

function hasObjectKeys(value: unknown): boolean {
  if (value instanceof Map) for (const key of value.keys()) if (isObject(key)) return true;
  return false;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function stepInto(value: unknown, step: string | number): unknown {
  if (value instanceof Map) return value.get(step);
  return isObject(value) ? (value as Record<string, unknown>)[step] : undefined;
}

/** Whether what patches make of a place has the order of what is there now. What was not changed is the same object before and after. */
function hasOrder(old: unknown, now: unknown, patches: readonly Patch[], path: unknown[]): boolean {
  if (old === now || !isObject(old) || !isObject(now) || patches.some((patch) => isAt(patch, path))) return true;
  const keys = Array.isArray(old) ? old.keys() : keysOf(old);
  if (Array.isArray(keys) && !keepsOrder(keys, keysOf(now))) return false;
  if (old instanceof Set) return true;
  for (const key of keys) {
    const was = stepInto(old, key as string);
    if (!isObject(was)) continue;
    path.push(key);
    if (!hasOrder(was, stepInto(now, key as string), patches, path)) return false;
    path.pop();
  }
  return true;
}

function isAt({ path }: Patch, place: readonly unknown[]): boolean {
  return path.length === place.length && path.every((step, i) => step === place[i]);
}

/** The keys that both have are in the same order, and in front of those that are new. */
function keepsOrder(before: readonly unknown[], after: readonly unknown[]): boolean {
  let at = 0;
  let rest: Set<unknown> | undefined;
  for (const key of before) {
    if (key === after[at]) at++;
    else if ((rest ??= new Set(after)).has(key)) return false;
  }
  return true;
}

/** Of a Set its members. */
function keysOf(value: object): unknown[] {
  return value instanceof Map || value instanceof Set ? [...value.keys()] : Object.keys(value);
}
