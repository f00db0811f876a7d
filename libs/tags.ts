/**
 * The tags that the libraries give to records, all beginning with "$". What users append beside them in the same book has
 * other tags.
 *
 *   $o/COLLECTION/KEY          changes of one object
 *   $c/COLLECTION              changes of all objects of a collection
 *   $i/COLLECTION/INDEX/ENTRY  changes that concern one entry of an index
 *   $d/COLLECTION              definitions of indexes
 *   $k/NAME, $k/NAME/part      checkpoints of a replica, and the parts they consist of
 */
import { createHash } from "node:crypto";
import { checkName } from "../core/index.js";

/** UTF-8 bytes of a name that users give to a collection or an index. */
const nameBytesMax = 60;
/** UTF-8 bytes of a key; with names and slashes it fits into a tag. */
export const keyBytesMax = 128;

const tagBytesMax = 255;

/** Names of collections and indexes stand between slashes. */
export function checkPathName(what: string, value: unknown): asserts value is string {
  checkName(what, value, nameBytesMax);
  if ((value as string).includes("/"))
    throw new RangeError(`${what} has a slash: "${value as string}"; use another sign`);
}

export function checkKey(value: unknown): asserts value is string {
  checkName("a key", value, keyBytesMax);
}

export const isLibraryTag = (tag: string): boolean => tag.charCodeAt(0) === 36;

export const objectTag = (collection: string, key: string): string => `$o/${collection}/${key}`;
/** Collection and key in the tag of an object; undefined for another tag. */
export function objectOf(tag: string): readonly [collection: string, key: string] | undefined {
  const end = tag.indexOf("/", 3);
  return tag.startsWith("$o/") && end > 0 ? [tag.slice(3, end), tag.slice(end + 1)] : undefined;
}

export const collectionTag = (collection: string): string => `$c/${collection}`;
export const definitionTag = (collection: string): string => `$d/${collection}`;
export const checkpointTag = (name: string): string => `$k/${name}`;
export const checkpointPartTag = (name: string): string => `$k/${name}/part`;
/** Of a change whose writer could not compute the entries of an index: it concerns any of them. */
export const anyEntryTag = (collection: string, index: string): string => `$i/${collection}/${index}`;

/** Long entries are known by their hash. */
export function entryTag(collection: string, index: string, entry: string): string {
  const tag = `$i/${collection}/${index}/${entry}`;
  if (3 * tag.length <= tagBytesMax || Buffer.byteLength(tag) <= tagBytesMax) return tag;
  return `$i/${collection}/${index}/#${createHash("sha256").update(entry).digest("base64url")}`;
}
