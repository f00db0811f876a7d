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

/** A folder, given as a url or as its path. */
export function folderOf(url: unknown): string {
  if (typeof url !== "string" || url === "" || /^(memory|grpc|cluster):/.test(url))
    throw new TypeError(`${show(url)} is no folder; use "file:DIR" or a path`);
  if (url.startsWith("file:")) return filePath(url);
  if (url.includes("\0")) throw new TypeError(`the folder ${show(url)} has a zero byte`);
  return resolve(url);
}
