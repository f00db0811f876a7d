/** Repairs that are cut short, by a loss of power or the end of the process, at each call that changes the disk. */
import assert from "node:assert/strict";
import { repair, verify } from "../../core/index.js";
import { headerBytes } from "../../core/loglet/file/header.js";
import type { Disk } from "../../core/loglet/file/disk.js";
import { FaultDisk } from "../../core/testing.js";
import { contents, longLog, smallSegments } from "./long-log.js";
import { openOn } from "./on-disk.js";

const folder = "/log";
/** Of the calls, in a short run: others at each damage. */
const every = process.env["FULL"] === "1" ? 1 : 25;
const changing = new Set<keyof Disk>([
  "write",
  "truncate",
  "sync",
  "syncLater",
  "syncFolder",
  "rename",
  "remove",
  "link",
]);

/** All is synced: what is cut off or flipped is damage, not what a crash left. */
function damage(disk: FaultDisk, path: string, change: (bytes: Buffer) => Buffer): void {
  const file = disk.open(path, "update");
  const bytes = Buffer.alloc(disk.size(file));
  disk.read(file, bytes, bytes.length, 0);
  const changed = change(bytes);
  disk.truncate(file, changed.length);
  disk.write(file, changed, changed.length, 0);
  disk.sync(file);
  disk.close(file);
}

const flip =
  (at: number) =>
  (bytes: Buffer): Buffer => {
    bytes[at < 0 ? bytes.length + at : at]! ^= 4;
    return bytes;
  };

/** The numbers of the calls of a disk that change something. */
function watch(disk: FaultDisk): { watched: Disk; calls: number[] } {
  const calls: number[] = [];
  const watched = new Proxy<Disk>(disk, {
    get(target, name: keyof Disk) {
      const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      return (...args: unknown[]): unknown => {
        if (changing.has(name)) calls.push(disk.operations);
        return method.apply(target, args);
      };
    },
  });
  return { watched, calls };
}

/** What can be read and how conditions are decided. */
async function everything(disk: FaultDisk): Promise<unknown[]> {
  const log = await openOn(folder, { segmentSizes: smallSegments, disk });
  const found = await contents(log);
  for (const name of ["a", "b", "new"]) {
    for (const nr of [10, 150, 250, 350, 500]) {
      for (const after of [0, 30, 150, 450]) {
        // One of them is always refused, so that nothing is appended.
        const unless = [
          { tag: `nr-${nr}`, after },
          { tag: "all", after: 0 },
        ];
        const result = await log.book(name).append(Buffer.from("x"), { tags: ["x"], unless });
        found.push([name, nr, after, result.ok ? "accepted" : result.conflict]);
      }
    }
  }
  await log.close();
  return found;
}

const ways = {
  "the power goes": (disk: FaultDisk) => disk.powerLoss(),
  "the process ends": (disk: FaultDisk) => disk.kill(),
};

for (const released of [false, true]) {
  describe(`a repair that is cut short, of a log ${released ? "that has given room back" : "of which all is there"}`, function () {
    this.timeout(120_000);
    let place = 0;
    let whole: FaultDisk;
    let segments: string[];
    let checkpoints: string[];
    before(async () => {
      const disk = new FaultDisk({ seed: 1 });
      await longLog(folder, { released, disk });
      whole = disk.kill();
      for (const name of whole.list(folder)) {
        const file = whole.open(`${folder}/${name}`, "read");
        whole.sync(file);
        whole.close(file);
      }
      whole.syncFolder(folder);
      const paths = whole.list(folder).map((name) => `${folder}/${name}`);
      segments = paths.filter((path) => path.endsWith(".log"));
      checkpoints = paths.filter((path) => path.endsWith(".ckpt"));
    });

    const damages: Record<string, (disk: FaultDisk) => void> = {
      "a record": (disk) => damage(disk, segments[3]!, flip(headerBytes + 400)),
      "records behind the last checkpoint": (disk) => damage(disk, segments.at(-3)!, flip(headerBytes + 400)),
      "a missing file": (disk) => (disk.remove(segments.at(-4)!), disk.syncFolder(folder)),
      "the last file": (disk) => (disk.remove(segments.at(-1)!), disk.syncFolder(folder)),
      "both checkpoints": (disk) => checkpoints.forEach((path) => damage(disk, path, flip(3000))),
      "a header and a checkpoint": (disk) => {
        damage(disk, segments[2]!, flip(20));
        damage(disk, checkpoints[1]!, flip(3000));
      },
      "a checkpoint and records behind it": (disk) => {
        damage(disk, checkpoints[1]!, flip(3000));
        damage(disk, segments.at(-2)!, (bytes) => bytes.fill(0, headerBytes + 300, headerBytes + 700));
      },
    };
    for (const [what, act] of Object.entries(damages)) {
      it(`${what}: the next one comes to the same end, and tells what is lost`, async () => {
        const damaged = whole.powerLoss();
        act(damaged);
        // A copy at each time: all of it is synced.
        const uncut = damaged.powerLoss();
        const { watched, calls } = watch(uncut);
        const begin = uncut.operations;
        const { lost } = await repair(folder, { disk: watched });
        const expected = await everything(uncut);
        assert.ok(calls.length > 5);
        place++;
        for (const [way, cut] of Object.entries(ways)) {
          for (const [i, call] of calls.entries()) {
            if ((i + place) % every !== 0) continue;
            const disk = damaged.powerLoss();
            disk.cutPowerAfter(call - begin);
            const name = `${way} at call ${call - begin}`;
            await repair(folder, { disk }).then(
              () => undefined,
              () => undefined,
            );
            const next = cut(disk);
            const again = await repair(folder, { disk: next });
            assert.deepEqual((await verify(folder, { disk: next })).damage, [], name);
            assert.deepEqual(await everything(next), expected, name);
            // A repair that ended before its last call may have ended for good.
            if (again.changed.length > 0)
              for (const what of lost) assert.ok(again.lost.includes(what), `${name}: ${what}`);
            else if (lost.length > 0) assert.ok(calls.indexOf(call) >= calls.length - 2, name);
            assert.deepEqual(
              next.list(folder).filter((file) => /unfinished|tmp/.test(file)),
              [],
              name,
            );
          }
        }
      });
    }
  });
}
