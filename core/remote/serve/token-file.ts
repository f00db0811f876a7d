/**
 * The file that says who has which tokens and rights:
 *
 *     { "tokens": [
 *       { "name": "shop", "sha256": "9f86d0...", "expires": "2027-01-31T00:00:00Z", "rights": { "orders.*": ["read", "append"] } }
 *     ] }
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { show } from "../../check.js";
import { LogError } from "../../errors.js";
import { type Right, rightNames } from "../rights.js";

/** Who has a token, and what he may do with it. */
export interface TokenEntry {
  /** How logs and errors name him. */
  readonly name: string;
  /** The SHA-256 of the token, 64 hex digits. */
  readonly sha256?: string | undefined;
  /** The token itself, in place of its hash: at least 16 visible ASCII characters. */
  readonly token?: string | undefined;
  /** When it ends, in ISO 8601 with a zone; without, never. */
  readonly expires?: string | undefined;
  /** By book: its name, the beginning of names and a star (`"orders.*"`), or `"*"` for all. `admin` only for `"*"`. */
  readonly rights: Readonly<Record<string, readonly Right[]>>;
}

/** An entry that was checked. */
export interface Grant {
  readonly name: string;
  readonly sha256: Buffer;
  /** ms since 1970, or Infinity. */
  readonly expires: number;
  readonly rights: Readonly<Record<string, readonly Right[]>>;
}

const tokenLength = 16;
const fileKeys = ["tokens"];
const entryKeys = ["name", "sha256", "token", "expires", "rights"];

/** A token file, and whether it is another one than when it was read. */
export class TokenFile {
  readonly path: string;
  #version = "";

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** Rejects with `LOG_IO`, or TypeError for what is in it. */
  async read(): Promise<Grant[]> {
    const { path } = this;
    try {
      // First: what changes meanwhile is a change.
      this.#version = await this.#look();
      return parseTokens(path, await readFile(path, "utf8"));
    } catch (error) {
      if (error instanceof TypeError) throw error;
      const { message } = error as Error;
      throw new LogError("LOG_IO", `the token file ${path} cannot be read: ${message}`, { cause: error });
    }
  }

  /** One that is not there for now, as while it is replaced, has not changed. */
  async hasChanged(): Promise<boolean> {
    return this.#look().then(
      (version) => version !== this.#version,
      () => false,
    );
  }

  async #look(): Promise<string> {
    const { ino, size, mtimeNs, ctimeNs } = await stat(this.path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(" ");
  }
}

function parseTokens(path: string, text: string): Grant[] {
  const file = parse(path, text);
  if (!isObject(file) || !Array.isArray(file["tokens"]))
    throw new TypeError(`${path} must have an object with the array "tokens", not ${show(file)}`);
  refuseOthers(path, file, fileKeys);
  return checkTokens(file["tokens"], `${path}, token`);
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { message } = error as Error;
    const at = /at position (\d+)/.exec(message)?.[1];
    const line = at === undefined ? text.trimEnd().split("\n").length : text.slice(0, Number(at)).split("\n").length;
    throw new TypeError(`${path}, line ${line}: it is no JSON: ${message}`, { cause: error });
  }
}

/** `where` names the list in errors, such as "tokens.json, token". */
export function checkTokens(entries: readonly unknown[], where: string): Grant[] {
  const grants = entries.map((entry, i) => grantOf(entry, `${where} ${i + 1}`));
  for (const [i, { name, sha256 }] of grants.entries()) {
    const before = grants.slice(0, i);
    if (before.some((other) => other.name === name))
      throw new TypeError(`${where} ${i + 1}: ${show(name)} is there already; names differ`);
    const twin = before.find((other) => other.sha256.equals(sha256));
    if (twin !== undefined)
      throw new TypeError(`${where} ${i + 1} (${show(name)}): ${show(twin.name)} has the same token; make another one`);
  }
  return grants;
}

function grantOf(entry: unknown, place: string): Grant {
  if (!isObject(entry)) throw new TypeError(`${place} must be an object, not ${show(entry)}`);
  const { name, sha256, token, expires, rights } = entry;
  if (typeof name !== "string" || name === "")
    throw new TypeError(`${place}: name must be a string, not ${show(name)}`);
  const where = `${place} (${show(name)})`;
  refuseOthers(where, entry, entryKeys);
  return {
    name,
    sha256: hashIn(where, sha256, token),
    expires: expiryOf(where, expires),
    rights: rightsOf(where, rights),
  };
}

function hashIn(where: string, sha256: unknown, token: unknown): Buffer {
  if ((sha256 === undefined) === (token === undefined))
    throw new TypeError(`${where} must have either sha256 or token`);
  if (token === undefined) {
    if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/i.test(sha256))
      throw new TypeError(`${where}: sha256 must have 64 hex digits; printf %s TOKEN | sha256sum prints them`);
    return Buffer.from(sha256, "hex");
  }
  // Not shown: it may be a secret with a slip in it.
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token) || token.length < tokenLength)
    throw new TypeError(
      `${where}: token must have at least ${tokenLength} visible ASCII characters; openssl rand -hex 24 prints a good one`,
    );
  return hashOf(token);
}

export function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function expiryOf(where: string, expires: unknown): number {
  if (expires === undefined) return Infinity;
  const time = typeof expires === "string" && zoned.test(expires) ? Date.parse(expires) : Number.NaN;
  if (Number.isNaN(time))
    throw new TypeError(`${where}: expires must be a time such as "2027-01-31T00:00:00Z", not ${show(expires)}`);
  return time;
}

const zoned = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

function rightsOf(where: string, rights: unknown): Grant["rights"] {
  if (!isObject(rights))
    throw new TypeError(
      `${where}: rights must be an object such as { "orders.*": ["read", "append"] }, not ${show(rights)}`,
    );
  for (const [pattern, names] of Object.entries(rights)) {
    if (pattern === "") throw new TypeError(`${where}: rights has an empty name of a book; "*" stands for all`);
    if (!Array.isArray(names))
      throw new TypeError(`${where}: the rights of ${show(pattern)} must be an array, not ${show(names)}`);
    for (const right of names as unknown[]) {
      if (!rightNames.includes(right as Right))
        throw new TypeError(`${where}: ${show(right)} is no right; there are ${rightNames.join(", ")}`);
      if (right === "admin" && pattern !== "*")
        throw new TypeError(`${where}: admin is a right of the whole log; give it with "*", not ${show(pattern)}`);
    }
  }
  return rights as Grant["rights"];
}

function refuseOthers(where: string, object: object, keys: readonly string[]): void {
  for (const key of Object.keys(object))
    if (!keys.includes(key))
      throw new TypeError(`${where} has ${show(key)}, which means nothing here; there are ${keys.join(", ")}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
