/** Power that goes at any call of the disk, over and over, under a log that is kept busy. */
import assert from "node:assert/strict";
import { openLog } from "../../core/index.js";
import { FaultDisk, randomSource, VirtualClock, type DiskOperation } from "../../core/testing.js";
import type { AppendResult, Condition, Log } from "../../core/types.js";
import { History, type Call, type Draft } from "./history.js";

const url = "file:/log";
const books = ["x", "y"] as const;
const tags = ["a", "b", "c", "d"] as const;

/** What an opening may fail with when a call of the disk fails. */
const failures = new Set(["LOG_IO", "LOG_FULL"]);

/** A log on a disk, what is known of it, and appends under way. */
class World {
  readonly random: () => number;
  readonly clock = new VirtualClock();
  readonly history = new History();
  disk: FaultDisk;
  log!: Log;
  /** A call of the disk was ordered to fail, and may not have come yet. */
  faulty = false;
  #waiting: Promise<void>[] = [];

  constructor(seed: number, lies: boolean) {
    this.random = randomSource(seed);
    this.disk = new FaultDisk({ seed: seed + 1_000_000_007, lies, shortTransfers: this.random() < 0.3 });
  }

  upTo(count: number): number {
    return Math.floor(this.random() * (count + 1));
  }

  oneOf<const T>(items: readonly T[]): T {
    return items[this.upTo(items.length - 1)]!;
  }

  /** Opens the log and checks it. False if the power went meanwhile. */
  async open(): Promise<boolean> {
    const options = {
      disk: this.disk,
      clock: this.clock,
      random: this.random,
      io: this.oneOf(["main", "worker"]),
    } as const;
    for (let tries = 0; ; tries++) {
      try {
        this.log = await openLog(url, { ...options, cacheBytes: this.oneOf([0, 100_000]) });
        break;
      } catch (error) {
        if (!this.disk.powered) return false;
        if (!this.faulty || tries === 5 || !failures.has((error as { code?: string }).code ?? "")) throw error;
      }
    }
    this.history.session++;
    try {
      await this.history.check(this.log);
      return true;
    } catch (error) {
      await this.close();
      if (this.disk.powered || error instanceof assert.AssertionError) throw error;
      return false;
    }
  }

  /** Closes in order, unless the disk is against it. */
  async close(): Promise<void> {
    await this.settle();
    await this.log.close().catch((error: unknown) => {
      if (this.disk.powered && !this.faulty) throw error;
    });
  }

  append(draft: Draft): void {
    const { call, input } = this.history.begin(draft);
    const { data, tags, unless } = input;
    const book = this.log.book(draft.book);
    const answer: Promise<AppendResult> =
      unless === undefined ? book.append(data, { tags }) : book.append(data, { tags, unless });
    this.#wait(
      [call],
      answer.then((result) => [result]),
    );
  }

  appendAll(book: string, drafts: readonly Omit<Draft, "book">[]): void {
    const begun = drafts.map((draft) => this.history.begin({ ...draft, book }));
    const answer = this.log.book(book).appendAll(begun.map(({ input }) => input));
    this.#wait(
      begun.map(({ call }) => call),
      answer,
    );
  }

  #wait(calls: readonly Call[], answer: Promise<readonly AppendResult[]>): void {
    const waiting = this.history.answer(calls, answer);
    // Awaited in settle(); until then nobody has handled it.
    waiting.catch(() => undefined);
    this.#waiting.push(waiting);
  }

  /** Waits for all answers. */
  async settle(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
  }

  draft(unless?: readonly Condition[]): Draft {
    const some = tags.filter(() => this.random() < 0.4);
    return { book: this.oneOf(books), tags: some, unless, size: Math.floor(this.random() ** 3 * 20_480) };
  }

  /** Around the places where decisions change. */
  conditional(): Draft {
    const draft = this.draft();
    const conditions = Array.from({ length: 1 + this.upTo(2) }, () => {
      const tag = this.oneOf(tags);
      const last = this.history.last(draft.book, tag);
      return { tag, after: this.oneOf([0, last, last, Math.max(0, last - 1), this.upTo(this.history.tail + 3)]) };
    });
    return { ...draft, unless: conditions };
  }

  any(): Draft {
    return this.random() < 0.3 ? this.conditional() : this.draft();
  }
}

/** What may be done to a log, and how often. */
const commands: readonly { readonly name: string; readonly weight: number; run(world: World): void | Promise<void> }[] =
  [
    { name: "append", weight: 30, run: (world) => world.append(world.any()) },
    { name: "append and wait", weight: 10, run: (world) => (world.append(world.any()), world.settle()) },
    { name: "let the event loop turn", weight: 15, run: () => new Promise((resolve) => setImmediate(resolve)) },
    {
      name: "burst",
      weight: 10,
      run: (world) => {
        for (let left = 2 + world.upTo(28); left > 0; left--) world.append(world.any());
      },
    },
    {
      name: "appendAll",
      weight: 8,
      run: (world) =>
        world.appendAll(
          world.oneOf(books),
          Array.from({ length: world.upTo(12) }, () => world.any()),
        ),
    },
    {
      // Segments have 4 MiB at first, so this goes over to the next one now and then.
      name: "large append",
      weight: 2,
      run: (world) => world.append({ ...world.any(), size: 1_000_000 + world.upTo(1_500_000) }),
    },
    {
      name: "conditions decide by what is there",
      weight: 5,
      run: async (world) => {
        await world.settle();
        const [book, tag] = [world.oneOf(books), world.oneOf(tags)];
        const last = world.history.last(book, tag);
        if (last === 0) return;
        world.append({ book, tags: [], unless: [{ tag, after: last - 1 }], size: 0 });
        world.append({ book, tags: [tag], unless: [{ tag, after: last }], size: 1 });
        await world.settle();
        const [against, with_] = world.history.calls.slice(-2) as [Call, Call];
        assert.notEqual(against.state, "there", `L3 ${tag} after ${last - 1}`);
        assert.notEqual(with_.state, "refused", `L3 ${tag} after ${last}`);
      },
    },
    {
      name: "read back",
      weight: 5,
      run: async (world) => {
        const there = world.history.calls.filter(({ state }) => state === "there");
        if (there.length === 0) return;
        const call = world.oneOf(there);
        const record = await world.log
          .book(call.book)
          .readNext({ tag: call.tags.at(-1) })
          .catch((error: unknown) => {
            if (world.disk.powered) throw error;
          });
        if (world.disk.powered) assert.equal(record?.seqnum, call.seqnum, `L4 #${call.id} can be read`);
      },
    },
    {
      name: "let time pass, or jump",
      weight: 5,
      run: (world) => {
        world.clock.advance(world.upTo(5000));
        if (world.random() < 0.2) world.clock.setWall(world.clock.now() + world.upTo(200_000) - 100_000);
      },
    },
    {
      name: "a full disk, for a while",
      weight: 2,
      run: async (world) => {
        await world.settle();
        world.disk.capacityBytes = world.disk.usedBytes + world.upTo(300_000);
        for (let left = world.upTo(40); left > 0; left--) world.append(world.any());
        await world.settle();
        world.disk.capacityBytes = Infinity;
      },
    },
    {
      name: "close in order and open again",
      weight: 3,
      run: async (world) => {
        await world.close();
        await world.open();
      },
    },
    {
      name: "a call of the disk fails, and the log is opened again",
      weight: 3,
      run: async (world) => {
        await world.settle();
        const operation = world.oneOf<DiskOperation>([
          "sync",
          "sync",
          "write",
          "truncate",
          "rename",
          "syncFolder",
          "open",
        ]);
        world.faulty = true;
        world.disk.failNext(operation, world.oneOf(["EIO", "EIO", "ENOSPC"]), { after: world.upTo(3) });
        for (let left = world.upTo(20); left > 0; left--) world.append(world.any());
        if (world.random() < 0.3) world.append({ ...world.any(), size: 3_000_000 });
        await world.close();
        await world.open();
      },
    },
  ];

const weights = commands.reduce((sum, { weight }) => sum + weight, 0);

async function runSome(world: World, count: number): Promise<void> {
  for (let left = count; left > 0 && world.disk.powered; left--) {
    let at = world.random() * weights;
    const command = commands.find(({ weight }) => (at -= weight) < 0)!;
    await command.run(world);
  }
}

/** Several boots on one disk, each ended by a loss of power. Throws if the log breaks a promise. */
async function round(seed: number, lies = false): Promise<World> {
  const world = new World(seed, lies);
  for (let boots = 2 + world.upTo(4); boots > 0; boots--) {
    // In the middle of the opening, in the middle of the work, or when all is quiet.
    if (world.random() < 0.85) world.disk.cutPowerAfter(world.upTo(world.oneOf([20, 100, 400])));
    if (await world.open()) {
      await runSome(world, 3 + world.upTo(50));
      if (world.random() < 0.3) await world.close();
    }
    world.disk.cutPowerAfter(0);
    if (world.log !== undefined) await world.close();
    // Now and then only the process is gone, and the next one finds what it wrote, synced or not.
    world.disk = world.random() < 0.25 ? world.disk.kill() : world.disk.powerLoss();
    world.faulty = false;
  }
  // What the last boot found is there for good.
  for (let again = 0; again < 2; again++) {
    assert.ok(await world.open());
    await world.close();
    world.disk = world.disk.powerLoss();
  }
  return world;
}

describe("L2 power that goes while a log is at work", () => {
  const asked = process.env["SEED"];
  const rounds = asked !== undefined ? 1 : process.env["FULL"] === "1" ? 10_000 : 500;

  it(`loses nothing that was acknowledged and brings back nothing that was refused, in ${rounds} rounds`, async function () {
    this.timeout(rounds * 1000 + 10_000);
    const first = asked !== undefined ? Number(asked) : 1;
    const seen = { there: 0, refused: 0, none: 0, gone: 0 } as Record<Call["state"], number>;
    let over = 0;
    for (let seed = first; seed < first + rounds; seed++) {
      try {
        const { history, disk } = await round(seed);
        for (const { state } of history.calls) seen[state]++;
        if (disk.list("/log").length > 1) over++;
      } catch (error) {
        throw new Error(`SEED=${seed} replays this: ${(error as Error).message}`, { cause: error });
      }
    }
    if (rounds === 1) return;
    for (const [state, count] of Object.entries(seen)) assert.ok(count > rounds, `${count} calls ended as ${state}`);
    assert.ok(over > rounds / 10, `${over} logs had more than one segment`);
  });

  it("is found out when the disk lies about its syncs", async () => {
    let found = 0;
    for (let seed = 1; seed <= 10; seed++) await round(seed, true).catch(() => found++);
    assert.ok(found >= 5, `only ${found} of 10 lying disks were found out`);
  });
});
