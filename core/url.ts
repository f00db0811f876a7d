/** Folders in urls: `file:DIR` is a path as written, `file:///DIR` a URL. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { show } from "./check.js";

/** The path in a url that begins with `file:`. */
export function filePath(url: string): string {
  const written = url.slice("file:".length);
  if (written === "") throw new TypeError('the url "file:" names no folder; write for example "file:./data"');
  if (written.includes("\0")) throw new TypeError(`the folder in ${show(url)} has a zero byte`);
  return resolve(url.startsWith("file:///") ? fileURLToPath(url) : written);
}

/** "HOST:PORT" of a url that begins with `grpc:`. */
export function addressOf(url: string): string {
  const [, host = "", port = ""] = /^grpc:\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+):(\d{1,5})\/?$/i.exec(url) ?? [];
  if (host === "" || Number(port) > 65_535 || Number(port) === 0)
    throw new TypeError(`${show(url)} is no url of a server; write for example "grpc://127.0.0.1:7464"`);
  return `${host}:${port}`;
}

/** A folder, given as a url or as its path. */
export function folderOf(url: unknown): string {
  if (typeof url !== "string" || url === "" || /^(memory|grpc|cluster):/.test(url))
    throw new TypeError(`${show(url)} is no folder; use "file:DIR" or a path`);
  if (url.startsWith("file:")) return filePath(url);
  if (url.includes("\0")) throw new TypeError(`the folder ${show(url)} has a zero byte`);
  return resolve(url);
}
