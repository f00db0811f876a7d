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
 * Whether a patch says all of its change from `before` to `after`. It does not
 *   inside of a Set, or where its member is an object: it names members themselves, and those are others once they were in the log;
 *   at a key of a Map that is no string or number, or beside keys that are objects: their parts look like steps of the path;
 *   inside of a property "constructor", which immer refuses;
 *   where a key was deleted and set again: it has another place in the order then, of which the patch says nothing.
 */
export function isFaithful(patch: Patch, before: unknown, after: unknown): boolean {
  const { path, op } = patch;
  const member: unknown = patch.value;
  let old = before;
  let now = after;
  if (hasObjectKeys(old) || hasObjectKeys(now)) return false;
  for (let i = 0; i < path.length; i++) {
    const step: unknown = path[i];
    if ((typeof step !== "string" && typeof step !== "number") || step === "constructor") return false;
    const isLast = i === path.length - 1;
    if (old instanceof Set) return isLast && (typeof member !== "object" || member === null);
    if (!isObject(old)) return false;
    const keepsKeys = !isLast || op !== "replace" || Array.isArray(old) || keepsOrder(old, now);
    old = stepInto(old, step);
    now = stepInto(now, step);
    // An empty array as a key is no step at all: the patch seems to be about the Map itself.
    if (!keepsKeys || hasObjectKeys(old) || hasObjectKeys(now)) return false;
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

/** The keys that both have are in the same order, and in front of those that are new. */
function keepsOrder(before: object, after: unknown): boolean {
  if (!isObject(after)) return false;
  const now = keysOf(after);
  let at = 0;
  for (const key of keysOf(before)) {
    if (key === now[at]) at++;
    else if (after instanceof Map ? after.has(key) : Object.hasOwn(after, key as string)) return false;
  }
  return true;
}

function keysOf(value: object): unknown[] {
  return value instanceof Map ? [...value.keys()] : Object.keys(value);
}
