/**
 * A path by which sockets in a folder are reached. The kernel bounds the path of a socket to about a hundred bytes; a folder with a longer
 * one is reached by a symbolic link, made for the use and gone with it. The sockets are in the folder itself in any case: there all
 * processes meet, by whatever path, container or user they come.
 */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import { join } from "node:path";

/** The kernel's bound is 104 bytes on macOS, 108 on Linux. */
const socketPathMax = 100;
/** Bytes of a name in it at most. */
const nameMax = 24;

export class SocketFolder {
  readonly path: string;
  readonly #link: string | undefined;

  /** `folder`: an absolute path. */
  constructor(folder: string) {
    if (!fits(folder)) this.#link = makeLink(folder);
    this.path = this.#link ?? folder;
  }

  /** Nothing is reached by it any more; what was, stays connected. */
  close(): void {
    if (this.#link !== undefined) fs.rmSync(this.#link, { force: true });
  }
}

function fits(folder: string): boolean {
  return Buffer.byteLength(folder) + nameMax <= socketPathMax;
}

function makeLink(folder: string): string {
  const name = `boki-socket-${randomBytes(6).toString("hex")}`;
  const links = [os.tmpdir(), "/tmp"].map((place) => join(place, name));
  const link = links.find(fits) ?? links[0]!;
  fs.symlinkSync(folder, link);
  return link;
}
