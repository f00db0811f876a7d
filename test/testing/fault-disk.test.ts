import assert from "node:assert/strict";
import fc from "fast-check";
import { FaultDisk } from "../../core/testing.js";

const page = 4096;
const sector = 512;

function make(options: ConstructorParameters<typeof FaultDisk>[0] = {}): FaultDisk {
  const disk = new FaultDisk(options);
  disk.makeFolder("/d");
  return disk;
}

function contents(disk: FaultDisk, path: string): Buffer | undefined {
  if (!disk.list("/d").includes(path.slice(3))) return undefined;
  const file = disk.open(path, "read");
  const bytes = Buffer.alloc(disk.size(file));
  assert.equal(disk.read(file, bytes, bytes.length, 0), bytes.length);
  disk.close(file);
  return bytes;
}

/** A file that is durable with its name, and open. */
function durable(disk: FaultDisk, path: string, bytes: Buffer): number {
  const file = disk.open(path, "create");
  disk.write(file, bytes, bytes.length, 0);
  disk.sync(file);
  disk.syncFolder("/d");
  return file;
}

/** What a power loss left, over so many seeds, as texts with their counts. */
function outcomes(act: (disk: FaultDisk) => void, look: (disk: FaultDisk) => string): Map<string, number> {
  const seen = new Map<string, number>();
  for (let seed = 0; seed < 300; seed++) {
    const disk = make({ seed });
    act(disk);
    const found = look(disk.powerLoss());
    seen.set(found, (seen.get(found) ?? 0) + 1);
  }
  return seen;
}

const operation = fc.oneof(
  fc.record({ kind: fc.constant("write"), at: fc.nat(5 * page), length: fc.integer({ min: 1, max: 3 * page }) }),
  fc.record({ kind: fc.constant("truncate"), at: fc.nat(6 * page), length: fc.constant(0) }),
  fc.record({ kind: fc.constant("sync"), at: fc.constant(0), length: fc.constant(0) }),
);

describe("FaultDisk", () => {
  it("is a disk: whatever is written, cut and synced reads as an array would, also in short pieces", () => {
    fc.assert(
      fc.property(fc.array(operation), fc.boolean(), fc.nat(), (operations, shortTransfers, seed) => {
        const disk = make({ seed, shortTransfers });
        const file = disk.open("/d/f", "create");
        let model = Buffer.alloc(0);
        operations.forEach(({ kind, at, length }, i) => {
          if (kind === "sync") disk.sync(file);
          else if (kind === "truncate") {
            disk.truncate(file, at);
            model = Buffer.concat([model.subarray(0, at), Buffer.alloc(Math.max(0, at - model.length))]);
          } else {
            disk.write(file, Buffer.alloc(length, i + 1), length, at);
            const grown = Buffer.concat([model, Buffer.alloc(Math.max(0, at + length - model.length))]);
            model = grown.fill(i + 1, at, at + length);
          }
          assert.ok(contents(disk, "/d/f")!.equals(model));
        });
      }),
    );
  });

  it("D1 D2 after a power loss each sector is one that was written there since the last sync, or the synced one", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 12 }), fc.nat(), (operations, seed) => {
        const disk = make({ seed });
        const file = durable(disk, "/d/f", Buffer.alloc(2 * page, 255));
        let versions = [contents(disk, "/d/f")!];
        operations.forEach(({ kind, at, length }, i) => {
          if (kind === "sync") disk.sync(file);
          else if (kind === "truncate") disk.truncate(file, at);
          else disk.write(file, Buffer.alloc(length, i + 1), length, at);
          if (kind === "sync") versions = [];
          versions.push(contents(disk, "/d/f")!);
        });
        const left = contents(disk.powerLoss(), "/d/f")!;
        assert.ok(
          versions.some(({ length }) => length === left.length),
          "a size that it had",
        );
        for (let at = 0; at < left.length; at += sector) {
          const found = left.subarray(at, at + sector);
          const possible = versions.some((version) => {
            // Where the file was shorter there are zeros.
            const then = Buffer.alloc(found.length);
            then.set(version.subarray(at, at + found.length));
            return found.equals(then);
          });
          assert.ok(possible, `the sector at ${at}`);
        }
      }),
    );
  });

  it("D2 loses and keeps unsynced pages in any combination, and tears some", () => {
    const seen = outcomes(
      (disk) => {
        const file = durable(disk, "/d/f", Buffer.alloc(3 * page, "a"));
        disk.write(file, Buffer.alloc(3 * page, "b"), 3 * page, 0);
      },
      (disk) => {
        const bytes = contents(disk, "/d/f")!;
        const pages = [0, 1, 2].map((i) => bytes.subarray(i * page, (i + 1) * page));
        return pages
          .map((one) => (one.every((byte) => byte === one[0]) ? String.fromCharCode(one[0]!) : "torn"))
          .join(" ");
      },
    );
    for (const whole of ["a a a", "b b b", "a b a", "b a b", "a a b", "b a a"]) {
      assert.ok((seen.get(whole) ?? 0) > 0, `${whole} never came of it`);
    }
    assert.ok([...seen.keys()].some((found) => found.includes("torn")));
  });

  it("D1 D2 a name is durable once its folder is synced; before, it may vanish, also when its file was synced", () => {
    const create = (disk: FaultDisk): void => disk.sync(disk.open("/d/f", "create"));
    const look = (disk: FaultDisk): string => disk.list("/d").join();
    assert.deepEqual([...outcomes(create, look).keys()].sort(), ["", "f"]);
    const sync = (disk: FaultDisk): void => (create(disk), disk.syncFolder("/d"));
    assert.deepEqual([...outcomes(sync, look).keys()], ["f"]);
    const remove = (disk: FaultDisk): void => (sync(disk), disk.remove("/d/f"));
    assert.deepEqual([...outcomes(remove, look).keys()].sort(), ["", "f"]);
  });

  it("D2 a rename over a name leaves the old file or the new one, never neither", () => {
    const act = (disk: FaultDisk): void => {
      durable(disk, "/d/f", Buffer.from("old"));
      durable(disk, "/d/g", Buffer.from("new"));
      disk.rename("/d/g", "/d/f");
    };
    const seen = outcomes(act, (disk) => `${disk.list("/d").join()}: ${contents(disk, "/d/f")?.toString()}`);
    assert.deepEqual([...seen.keys()].sort(), ["f,g: old", "f: new"]);
  });

  it("moves less than it was asked to, and its callers go on until all is moved", () => {
    const disk = make({ shortTransfers: true });
    const bytes = Buffer.from(Array.from({ length: 3 * page }, (_, i) => i % 251));
    const before = disk.operations;
    const file = durable(disk, "/d/f", bytes);
    assert.ok(disk.operations - before > 6, "more calls than open, write, sync and syncFolder");
    assert.ok(contents(disk, "/d/f")!.equals(bytes));
    disk.close(file);
  });

  it("D3 does the same for the same seed and the same calls", () => {
    const run = (): string => {
      const disk = make({ seed: 5, shortTransfers: true });
      const file = disk.open("/d/f", "create");
      for (let i = 0; i < 50; i++) disk.write(file, Buffer.alloc(page, i), page, (i % 7) * page);
      return `${disk.operations} ${contents(disk.powerLoss(), "/d/f")?.toString("hex")}`;
    };
    assert.equal(run(), run());
  });

  it("answers every call with an error once the power is gone, also the call it goes in", async () => {
    const disk = make();
    const file = durable(disk, "/d/f", Buffer.from("x"));
    const calls: Record<string, () => unknown> = {
      makeFolder: () => disk.makeFolder("/e"),
      list: () => disk.list("/d"),
      open: () => disk.open("/d/f", "read"),
      size: () => disk.size(file),
      read: () => disk.read(file, Buffer.alloc(1), 1, 0),
      write: () => disk.write(file, Buffer.alloc(1), 1, 0),
      truncate: () => disk.truncate(file, 0),
      sync: () => disk.sync(file),
      syncFolder: () => disk.syncFolder("/d"),
      rename: () => disk.rename("/d/f", "/d/g"),
      remove: () => disk.remove("/d/f"),
      close: () => disk.close(file),
    };
    disk.cutPowerAfter(1);
    assert.equal(disk.size(file), 1);
    assert.ok(disk.powered);
    for (const [name, call] of Object.entries(calls))
      assert.throws(call, { code: "EIO", message: /power is off/ }, name);
    await assert.rejects(disk.syncLater(file), { code: "EIO" });
    await assert.rejects(disk.readLater(file, Buffer.alloc(1), 1, 0), { code: "EIO" });
    await assert.rejects(disk.lock("/d"), { code: "EIO" });
    const next = disk.powerLoss();
    assert.equal(contents(next, "/d/f")!.toString(), "x");
    next.powerLoss();
    assert.throws(() => next.list("/d"), { code: "EIO", message: /power is off/ });
  });

  it("fails the call that it was told to, with the code, and no other", () => {
    const disk = make();
    const file = durable(disk, "/d/f", Buffer.from("x"));
    disk.failNext("truncate", "EIO", { after: 1, times: 2 });
    disk.failNext("rename", "EACCES");
    disk.truncate(file, 5);
    assert.throws(() => disk.rename("/d/f", "/d/g"), { code: "EACCES" });
    assert.throws(() => disk.truncate(file, 6), { code: "EIO" });
    assert.throws(() => disk.truncate(file, 7), { code: "EIO" });
    assert.equal(disk.size(file), 5);
    disk.truncate(file, 8);
    disk.rename("/d/f", "/d/g");
    assert.deepEqual(disk.list("/d"), ["g"]);
  });

  it("after a failed sync reports success for the next one, without what was dropped", () => {
    let shown = "";
    const act = (disk: FaultDisk): void => {
      const file = durable(disk, "/d/f", Buffer.from("old"));
      disk.write(file, Buffer.from("new"), 3, 0);
      disk.failNext("sync", "EIO");
      assert.throws(() => disk.sync(file), { code: "EIO" });
      disk.sync(file);
      shown = contents(disk, "/d/f")!.toString();
    };
    const seen = outcomes(act, (disk) => `${shown}, then ${contents(disk, "/d/f")!.toString()}`);
    assert.deepEqual([...seen.keys()].sort(), ["new, then new", "new, then old", "old, then old"]);
  });

  it("when the process is killed keeps all that was written, and loses what was not synced with the power later", () => {
    const act = (disk: FaultDisk): void => {
      const file = durable(disk, "/d/f", Buffer.from("old"));
      disk.write(file, Buffer.from("new"), 3, 0);
    };
    const disk = make();
    act(disk);
    const next = disk.kill();
    assert.throws(() => disk.list("/d"), { code: "EIO" });
    assert.equal(contents(next, "/d/f")!.toString(), "new");
    const left = new Set(Array.from({ length: 50 }, () => contents(next.powerLoss(), "/d/f")!.toString()));
    assert.deepEqual([...left].sort(), ["new", "old"]);
  });

  it("after a kill syncs what the dead process wrote, also later", async () => {
    const disk = make();
    const file = durable(disk, "/d/f", Buffer.from("old"));
    disk.write(file, Buffer.from("new"), 3, 0);
    const next = disk.kill();
    await next.syncLater(next.open("/d/f", "update"));
    assert.equal(contents(next.powerLoss(), "/d/f")!.toString(), "new");
  });

  it("does not take along in a sync what is written while that is under way", async () => {
    const left = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const disk = make({ seed });
      const file = durable(disk, "/d/f", Buffer.from("1"));
      disk.write(file, Buffer.from("2"), 1, 0);
      const syncing = disk.syncLater(file);
      disk.write(file, Buffer.from("3"), 1, 0);
      await syncing;
      left.add(contents(disk.powerLoss(), "/d/f")!.toString());
    }
    assert.deepEqual([...left].sort(), ["2", "3"]);
  });

  it("when it is full, writes what fits and says ENOSPC; there is room again behind a cut or a removal", () => {
    const disk = make({ capacityBytes: 3 * page });
    const file = disk.open("/d/f", "create");
    assert.throws(() => disk.write(file, Buffer.alloc(4 * page, 1), 4 * page, 0), { code: "ENOSPC" });
    assert.deepEqual([disk.size(file), disk.usedBytes], [3 * page, 3 * page]);
    disk.write(file, Buffer.alloc(page, 2), page, page);
    disk.truncate(file, page);
    disk.truncate(file, 100 * page);
    assert.equal(disk.usedBytes, page, "a hole takes no room");
    disk.write(file, Buffer.alloc(2 * page, 3), 2 * page, 50 * page);
    disk.remove("/d/f");
    assert.equal(disk.usedBytes, 3 * page, "an open file keeps its room");
    disk.close(file);
    assert.equal(disk.usedBytes, 0);
  });

  it("with lies reports success and makes nothing durable", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const disk = make({ seed, lies: true });
      durable(disk, "/d/f", Buffer.from("x"));
      seen.add(contents(disk.powerLoss(), "/d/f")?.toString() ?? "gone");
    }
    // Its name, its size and its bytes, each for itself.
    assert.deepEqual([...seen].sort(), ["", "\0", "gone", "x"]);
  });

  it("has the errors of a file system", () => {
    const disk = make();
    const file = durable(disk, "/d/f", Buffer.from("x"));
    assert.throws(() => disk.open("/d/f", "create"), { code: "EEXIST" });
    assert.throws(() => disk.open("/d/none", "update"), { code: "ENOENT" });
    assert.throws(() => disk.open("/none/f", "create"), { code: "ENOENT" });
    assert.throws(() => disk.rename("/d/none", "/d/f"), { code: "ENOENT" });
    assert.throws(() => disk.makeFolder("/d/f/g"), { code: "EEXIST" });
    assert.throws(() => disk.list("/d/f"), { code: "ENOTDIR" });
    const reading = disk.open("/d/f", "read");
    assert.throws(() => disk.write(reading, Buffer.alloc(1), 1, 0), { code: "EBADF" });
    disk.close(file);
    assert.throws(() => disk.sync(file), { code: "EBADF" });
    disk.remove("/d/none");
  });
});
