/**
 * The names on a fault disk. A create, rename or remove is seen at once and durable once one of its folders is synced; until
 * then a power loss keeps or loses each of them, but never half of one: a rename over a name leaves the old file or the
 * new one.
 */
import { dirname } from "node:path";
import { FaultFile } from "./fault-file.js";
import { pick } from "./random.js";

/** One change: names that go, and names that then stand for a file. */
interface Change {
  readonly removed?: string;
  readonly added?: { readonly path: string; readonly file: FaultFile };
}

export class FaultNames {
  #seen = new Map<string, FaultFile>();
  #durable = new Map<string, FaultFile>();
  #pending: Change[] = [];

  get(path: string): FaultFile | undefined {
    return this.#seen.get(path);
  }

  files(): Iterable<FaultFile> {
    return this.#seen.values();
  }

  paths(): Iterable<string> {
    return this.#seen.keys();
  }

  create(path: string): FaultFile {
    const file = new FaultFile();
    this.#change({ added: { path, file } });
    return file;
  }

  rename(from: string, to: string, file: FaultFile): void {
    this.#change({ removed: from, added: { path: to, file } });
  }

  link(path: string, file: FaultFile): void {
    this.#change({ added: { path, file } });
  }

  remove(path: string): void {
    this.#change({ removed: path });
  }

  /** Makes the changes in a folder durable, and those that came before one of them and touch the same folders. */
  sync(folder: string): void {
    const folders = new Set([folder]);
    const synced = new Set<Change>();
    for (const change of this.#pending.toReversed()) {
      const touched = foldersOf(change);
      if (!touched.some((path) => folders.has(path))) continue;
      for (const path of touched) folders.add(path);
      synced.add(change);
    }
    for (const change of this.#pending) if (synced.has(change)) apply(this.#durable, change);
    this.#pending = this.#pending.filter((change) => !synced.has(change));
  }

  /** The names as the next boot finds them, and the files behind them. */
  afterPowerLoss(random: () => number): FaultNames {
    const share = pick(random, [0, 1, random(), random()]);
    const kept = new Map(this.#durable);
    for (const change of this.#pending) if (random() < share) apply(kept, change);
    const left = new FaultNames();
    const files = new Map<FaultFile, FaultFile>();
    for (const [path, before] of kept) {
      const file = files.get(before) ?? before.afterPowerLoss(random);
      files.set(before, file);
      left.#seen.set(path, file);
    }
    left.#durable = new Map(left.#seen);
    return left;
  }

  #change(change: Change): void {
    apply(this.#seen, change);
    this.#pending.push(change);
  }
}

function apply(names: Map<string, FaultFile>, { removed, added }: Change): void {
  if (removed !== undefined) names.delete(removed);
  if (added !== undefined) names.set(added.path, added.file);
}

function foldersOf({ removed, added }: Change): string[] {
  return [removed, added?.path].flatMap((path) => (path === undefined ? [] : [dirname(path)]));
}
