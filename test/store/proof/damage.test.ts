/** What the log says and nobody can apply: one object is damaged, everything else goes on; later versions stop with their name. */
import assert from "node:assert/strict";
import { openLog, type Log, type LogBook } from "../../../core/index.js";
import { BokiStore, type Collection } from "../../../libs/index.js";
import { encodeCommit, type Part } from "../../../libs/envelope.js";
import { beginMessage, endMessage, writeBytes, writeUint } from "../../../libs/protobuf.js";
import { ObjectChange } from "../../../libs/store/change.js";
import { messagePackCodec } from "../../../libs/codec.js";

interface Item {
  readonly n: number;
  readonly list: readonly number[];
}

interface Opened {
  readonly log: Log;
  readonly book: LogBook;
  readonly store: BokiStore;
  readonly items: Collection<Item>;
}

const damaged = { code: "STORE_DAMAGED" };
let names = 0;
const newUrl = (): string => `memory:damage-${process.pid}-${++names}`;

async function open(url: string, indexed = true): Promise<Opened> {
  const log = await openLog(url);
  const book = log.book("b");
  const store = new BokiStore(book);
  const items = store.collection<Item>("items", indexed ? { indexes: { n: ({ n }) => n } } : {});
  await items.ready();
  return { log, book, store, items };
}

async function close(...opened: readonly Opened[]): Promise<void> {
  for (const { store, log } of opened) {
    await store.close();
    await log.close();
  }
}

const encode = (value: unknown): Uint8Array => Buffer.concat([Buffer.from([1]), messagePackCodec.encode(value)]);

function change(key: string, what: "patches" | "value", bytes: Uint8Array): ObjectChange {
  const part = new ObjectChange("items", key);
  Object.assign(part, { what, bytes, valueVersion: 1 });
  return part;
}

const tagsOf = (...keys: string[]): string[] => ["$c/items", ...keys.map((key) => `$o/items/${key}`)];

/** A part whose body is not what its kind says. */
const brokenPart: Part = { kind: 1, version: 1, write: () => writeBytes(9, Buffer.from([0x0a, 0xff])) };

/** Ways to damage the object "bad". */
const damages: Readonly<Record<string, () => Uint8Array>> = {
  "patches that do not fit": () =>
    encodeCommit([change("bad", "patches", encode([[2, ["list", "deep", "deeper"], 1]]))]),
  "patches of another version": () => {
    const part = change("bad", "patches", encode([[2, ["n"], 1]]));
    part.valueVersion = 7;
    return encodeCommit([part]);
  },
  "a value of an unknown codec": () => encodeCommit([change("bad", "value", Buffer.from([200, 1, 2, 3]))]),
  "a value that is cut short": () =>
    encodeCommit([change("bad", "value", encode({ n: 1, list: [1, 2] }).subarray(0, 9))]),
  "a part that cannot be read": () => encodeCommit([brokenPart]),
  "a record that is no commit": () => Buffer.from([0x12, 0xff, 0xff, 0xff]),
};

describe("R2 an object that is damaged by", () => {
  for (const [name, bytes] of Object.entries(damages)) {
    describe(name, () => {
      /** The session that was there when it happened, and one that comes later. */
      async function withDamage(check: (opened: Opened) => Promise<void>): Promise<void> {
        for (const late of [false, true]) {
          const url = newUrl();
          const first = await open(url);
          await first.items.put("bad", { n: 1, list: [] });
          await first.items.put("good", { n: 2, list: [] });
          await first.book.append(bytes(), { tags: tagsOf("bad") });
          await first.store.sync();
          const second = await open(url);
          await check(late ? second : first);
          await close(first, second);
        }
      }

      it("says so, and others go on", async () => {
        await withDamage(async ({ store, items }) => {
          await assert.rejects(items.get("bad"), damaged);
          await assert.rejects(
            items.update("bad", (draft) => void draft.n++),
            damaged,
          );
          assert.equal((await items.update("good", (draft) => void draft.n++)).n, 3);
          await items.put("new", { n: 5, list: [] });
          await store.transaction(async (tx) => {
            await tx.update(items, "good", (draft) => void draft.n++);
            await assert.rejects(tx.get(items, "bad"), damaged);
          });
          assert.deepEqual(await items.get("good"), { n: 4, list: [] });
          assert.deepEqual(
            (await items.find("n", 4)).map(({ key }) => key),
            ["good"],
          );
          const keys: string[] = [];
          for await (const key of items.keys()) keys.push(key);
          assert.deepEqual(keys, ["bad", "good", "new"]);
          await items.checkpoint();
        });
      });

      it("is mended by put() and by delete()", async () => {
        await withDamage(async ({ store, items }) => {
          await items.put("bad", { n: 7, list: [1] });
          assert.deepEqual(await items.get("bad"), { n: 7, list: [1] });
          assert.equal((await items.update("bad", (draft) => void draft.n++)).n, 8);
          const other = await open(store.book.log.url);
          assert.equal((await other.items.get("bad"))!.n, 8);
          assert.deepEqual(
            (await other.items.find("n", 8)).map(({ key }) => key),
            ["bad"],
          );
          await close(other);
        });
        await withDamage(async ({ store, items }) => {
          await items.delete("bad");
          assert.equal(await items.get("bad"), undefined);
          const other = await open(store.book.log.url);
          assert.equal(await other.items.get("bad"), undefined);
          assert.deepEqual(await other.items.find("n", 1), []);
          await close(other);
        });
      });

      it("is what it was before the damage, in the past", async () => {
        await withDamage(async ({ items }) => {
          const { seqnum } = await items.put("bad", { n: 7, list: [1] });
          assert.deepEqual(await items.at("bad", seqnum), { n: 7, list: [1] });
          await assert.rejects(items.at("bad", seqnum - 1), damaged);
        });
      });
    });
  }
});

describe("R2 a damaged object", () => {
  it("is not in the way of an index that is added later", async () => {
    const url = newUrl();
    const first = await open(url, false);
    await first.items.put("bad", { n: 2, list: [] });
    await first.items.put("good", { n: 2, list: [] });
    await first.book.append(encodeCommit([brokenPart]), { tags: tagsOf("bad") });
    const second = await open(url);
    const found = async (): Promise<string[]> => (await second.items.find("n", 2)).map(({ key }) => key);
    assert.deepEqual(await found(), ["good"]);
    await second.items.put("new", { n: 2, list: [] });
    assert.deepEqual(await found(), ["good", "new"]);
    await second.items.put("bad", { n: 2, list: [] });
    assert.deepEqual(await found(), ["bad", "good", "new"]);
    await close(first, second);
  });
});

describe("L10 a later version of", () => {
  const laterCommit = (): Uint8Array => {
    beginMessage();
    writeUint(1, 99);
    return endMessage();
  };
  const laterPart: Part = { kind: 1, version: 99, write: () => undefined };

  for (const [name, bytes] of [
    ["a commit", laterCommit],
    ["a part", () => encodeCommit([laterPart])],
  ] as const) {
    it(`${name} stops with LOG_VERSION whatever may depend on it`, async () => {
      const url = newUrl();
      const first = await open(url);
      const other = await open(url);
      await first.items.put("x", { n: 1, list: [] });
      await other.store.sync();
      assert.equal((await other.items.get("x"))!.n, 1);
      await first.book.append(bytes(), { tags: tagsOf("x") });
      // Whatever is asked for behind it.
      for (const { store, items, book } of [first, other]) {
        await book.sync();
        await assert.rejects(store.sync(), { code: "LOG_VERSION" });
        await assert.rejects(items.get("x"), { code: "LOG_VERSION" });
        await assert.rejects(items.get("y"), { code: "LOG_VERSION" });
        await assert.rejects(items.put("x", { n: 2, list: [] }), { code: "LOG_VERSION" });
        await assert.rejects(items.find("n", 1), { code: "LOG_VERSION" });
        await assert.rejects(
          store.transaction((tx) => tx.put(items, "x", { n: 2, list: [] })),
          { code: "LOG_VERSION" },
        );
        await assert.rejects(
          store.snapshot((at) => at.get(items, "x")),
          { code: "LOG_VERSION" },
        );
      }
      const log = await openLog(url);
      const store = new BokiStore(log.book("b"));
      const items = store.collection<Item>("items");
      await assert.rejects(items.get("x"), { code: "LOG_VERSION" });
      await store.close();
      await log.close();
      await close(first, other);
    });
  }

  it("the fold of a checkpoint ends in a named error, and what needs no keys goes on", async () => {
    const url = newUrl();
    const first = await open(url, false);
    await first.items.put("x", { n: 1, list: [] });
    const head: Part = {
      kind: 3,
      version: 1,
      write: () => {
        writeUint(2, 1);
        writeUint(1, 99);
      },
    };
    await first.book.append(encodeCommit([head]), { tags: ["$k/items"] });
    const second = await open(url, false);
    const all = async (): Promise<void> => {
      for await (const _ of second.items.keys()) assert.fail("keys of a state that is not known");
    };
    await assert.rejects(all(), { code: "STORE_VERSION" });
    await assert.rejects(second.items.checkpoint(), { code: "STORE_VERSION" });
    assert.equal((await second.items.get("x"))!.n, 1);
    await second.items.put("x", { n: 2, list: [] });
    await close(first, second);
  });
});
