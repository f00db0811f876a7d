/**
 * One file on a fault disk: what processes see of it, and what of that a loss of power may take back.
 *
 *      cache    what was written, page by page; pages that are not there read as zeros
 *      unsafe   pages whose disk does not hold what the cache does: what it holds for sure, and all that was written since,
 *               any of which may be on the disk by now
 *
 * Bytes of a page are never changed, only replaced, so that versions and copies of the disk can share them.
 */
import { pick } from "./random.js";

export const pageBytes = 4096;
export const sectorBytes = 512;
const zeroPage = new Uint8Array(pageBytes);

/** A state of a page or of the size, and when it was made. */
interface Version<T> {
  readonly value: T;
  readonly at: number;
}

/** What the disk holds for sure, and what it may hold. */
interface Unsafe<T> {
  disk: T;
  later: Version<T>[];
}

export class FaultFile {
  readonly #cache = new Map<number, Uint8Array>();
  readonly #unsafe = new Map<number, Unsafe<Uint8Array>>();
  #size = 0;
  #sizes: Unsafe<number> = { disk: 0, later: [] };

  get size(): number {
    return this.#size;
  }

  /** Pages that take room on the disk. */
  get pages(): number {
    return this.#cache.size;
  }

  read(target: Uint8Array, at: number, length: number, position: number): number {
    const bytes = Math.max(0, Math.min(length, this.#size - position));
    target.fill(0, at, at + bytes);
    for (let done = 0; done < bytes;) {
      const [page, from] = place(position + done);
      const count = Math.min(pageBytes - from, bytes - done);
      const cached = this.#cache.get(page);
      if (cached !== undefined)
        target.set(count === pageBytes ? cached : cached.subarray(from, from + count), at + done);
      done += count;
    }
    return bytes;
  }

  /** Writes as much as there are free pages for; gives how many bytes that was. `now` counts calls of the disk. */
  write(source: Uint8Array, length: number, position: number, freePages: number, now: number): number {
    let done = 0;
    while (done < length) {
      const [page, from] = place(position + done);
      const count = Math.min(pageBytes - from, length - done);
      const before = this.#cache.get(page);
      if (before === undefined && freePages-- <= 0) break;
      const bytes = new Uint8Array(pageBytes);
      if (before !== undefined && count < pageBytes) bytes.set(before);
      bytes.set(source.subarray(done, done + count), from);
      this.#put(page, bytes, now);
      done += count;
    }
    if (position + done > this.#size) this.#resize(position + done, now);
    return done;
  }

  truncate(length: number, now: number): void {
    const [last, kept] = place(length);
    for (const [page, bytes] of [...this.#cache]) {
      if (page < last) continue;
      this.#put(page, page === last && kept > 0 ? cut(bytes, kept) : undefined, now);
    }
    this.#resize(length, now);
  }

  /** Makes durable what was there when the call numbered `upTo` was made. */
  sync(upTo: number): void {
    for (const [page, unsafe] of this.#unsafe) {
      settle(unsafe, upTo);
      if (unsafe.later.length === 0 && unsafe.disk === this.#cached(page)) this.#unsafe.delete(page);
    }
    settle(this.#sizes, upTo);
  }

  /**
   * A sync that fails: some pages have been written, some not, and all count as clean from now on (as on Linux), so that
   * the next sync succeeds without them. What was not written is still in memory, or gone from there too.
   */
  failSync(random: () => number): void {
    for (const [page, unsafe] of this.#unsafe) {
      const fate = pick(random, ["written", "in memory", "gone"]);
      if (fate === "written") unsafe.disk = unsafe.later.at(-1)?.value ?? unsafe.disk;
      if (fate === "gone" && this.#cache.has(page)) this.#cache.set(page, unsafe.disk);
      unsafe.later = [];
      if (unsafe.disk === this.#cached(page)) this.#unsafe.delete(page);
    }
  }

  /** The file as the next boot finds it. */
  afterPowerLoss(random: () => number): FaultFile {
    // The device has written all of it, nothing of it, or any part of it in any order.
    const share = pick(random, [0, 1, random(), random()]);
    const left = new FaultFile();
    left.#size = survivor(this.#sizes, share, random);
    left.#sizes = { disk: left.#size, later: [] };
    const [last, kept] = place(left.#size);
    for (const [page, cached] of this.#cache) if (!this.#unsafe.has(page)) left.#cache.set(page, cached);
    for (const [page, unsafe] of this.#unsafe) left.#cache.set(page, tear(unsafe, share, random));
    for (const [page, bytes] of left.#cache) {
      if (bytes === zeroPage || page > last || (page === last && kept === 0)) left.#cache.delete(page);
      else if (page === last) left.#cache.set(page, cut(bytes, kept));
    }
    return left;
  }

  #cached(page: number): Uint8Array {
    return this.#cache.get(page) ?? zeroPage;
  }

  /** `undefined` gives the page back. */
  #put(page: number, bytes: Uint8Array | undefined, now: number): void {
    let unsafe = this.#unsafe.get(page);
    if (unsafe === undefined) this.#unsafe.set(page, (unsafe = { disk: this.#cached(page), later: [] }));
    unsafe.later.push({ value: bytes ?? zeroPage, at: now });
    if (bytes === undefined) this.#cache.delete(page);
    else this.#cache.set(page, bytes);
  }

  #resize(size: number, now: number): void {
    this.#size = size;
    this.#sizes.later.push({ value: size, at: now });
  }
}

/** The page of a position, and the place in it. */
function place(position: number): [page: number, from: number] {
  return [Math.floor(position / pageBytes), position % pageBytes];
}

function cut(page: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(pageBytes);
  bytes.set(page.subarray(0, length));
  return bytes;
}

/** The last version up to a call becomes what the disk holds for sure. */
function settle<T>(unsafe: Unsafe<T>, upTo: number): void {
  const later = unsafe.later.findIndex(({ at }) => at > upTo);
  const settled = later < 0 ? unsafe.later : unsafe.later.slice(0, later);
  if (settled.length === 0) return;
  unsafe.disk = settled.at(-1)!.value;
  unsafe.later = unsafe.later.slice(settled.length);
}

/** What a power loss leaves: mostly all that was written or nothing of it, sometimes what was written in between. */
function survivor<T>({ disk, later }: Unsafe<T>, share: number, random: () => number): T {
  if (later.length === 0 || random() >= share) return disk;
  return random() < 0.7 ? later.at(-1)!.value : pick(random, later).value;
}

/** A page may also be torn between two of its versions: a disk writes sectors. */
function tear(unsafe: Unsafe<Uint8Array>, share: number, random: () => number): Uint8Array {
  const chosen = survivor(unsafe, share, random);
  if (unsafe.later.length === 0 || share === 0 || share === 1 || random() > 0.2) return chosen;
  const bytes = Uint8Array.from(chosen);
  const sectors = 1 + Math.floor(random() * (pageBytes / sectorBytes - 1));
  bytes.set(survivor(unsafe, 0.5, random).subarray(0, sectors * sectorBytes));
  return bytes;
}
