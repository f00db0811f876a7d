/** A log over a disk that a test controls, and copies of folders as a crash would leave them. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Engine } from "../../core/engine/engine.js";
import { Session } from "../../core/log.js";
import type { Disk } from "../../core/loglet/file/disk.js";
import { FileLoglet, type FileLogletOptions } from "../../core/loglet/file/file-loglet.js";
import { realDisk } from "../../core/loglet/file/real-disk.js";
import { systemClock } from "../../core/loglet/log-clock.js";

export async function openOn(
  folder: string,
  options: FileLogletOptions & { readonly cacheBytes?: number; readonly auxBytes?: number } = {},
): Promise<Session> {
  const loglet = await FileLoglet.open(folder, options);
  const { cacheBytes = 0, auxBytes = 0, clock = systemClock, random = Math.random } = options;
  try {
    const engine = await Engine.start(loglet, { cacheBytes, auxBytes, clock, random });
    return new Session(`file:${folder}`, engine, () => engine.close());
  } catch (error) {
    await loglet.close();
    throw error;
  }
}

/** A new folder that goes away when the test file is done. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "boki-loglet-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The folder as it is now, without its lock: what a killed owner leaves behind. */
export function copyFolder(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true, filter: (path) => !path.includes("/.lock") });
}

export function segmentFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .sort()
    .map((name) => join(folder, name));
}

/** The real disk with some of its functions replaced. */
export function diskWith(changes: Partial<Disk>): Disk {
  return { ...realDisk, ...changes };
}

export function ioError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code });
}
