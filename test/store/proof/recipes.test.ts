/** Recipes: patches and whole values give the same object, everywhere; and a recipe behaves as immer documents it. */
import assert from "node:assert/strict";
import { inspect } from "node:util";
import fc from "fast-check";
import { enableMapSet, Immer } from "immer";
import { openLog, type Log } from "../../../core/index.js";
import { pick, randomSource } from "../../../core/testing/random.js";
import { BokiStore, type Collection } from "../../../libs/index.js";
import { copyValue } from "../../../libs/value.js";
import { anyValue } from "../../libs/values.js";

enableMapSet();
const immer = new Immer({ autoFreeze: true });
const runs = process.env["FULL"] === "1" ? 20 : 1;

function parameters<T>(numRuns: number): fc.Parameters<T> {
  const seed = process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) };
  const path = process.env["FC_PATH"] === undefined ? {} : { path: process.env["FC_PATH"] };
  return { numRuns: numRuns * runs, ...seed, ...path };
}

type Container = Record<string, unknown> | unknown[] | Map<unknown, unknown> | Set<unknown>;

function isContainer(value: unknown): value is Container {
  if (typeof value !== "object" || value === null) return false;
  return !(value instanceof Date || value instanceof Uint8Array);
}

function partsOf(value: Container): unknown[] {
  if (Array.isArray(value)) return value;
  return value instanceof Map || value instanceof Set ? [...value.values()] : Object.values(value);
}

/** What is done inside a recipe: a walk to some place, and a change there. */
function changeSome(root: unknown, random: () => number, values: readonly unknown[]): void {
  let at = root;
  for (;;) {
    if (!isContainer(at)) return;
    const inner = partsOf(at).filter(isContainer);
    if (inner.length === 0 || random() < 0.3) break;
    at = pick(random, inner);
  }
  const value = pick(random, values);
  if (Array.isArray(at)) changeArray(at, random, value);
  else if (at instanceof Map) changeMap(at, random, value, pick(random, values));
  else if (at instanceof Set) changeSet(at, random, value);
  else {
    const keys = Object.keys(at);
    const key = keys.length > 0 && random() < 0.7 ? pick(random, keys) : pick(random, ["a", "b", "constructor", "0"]);
    if (random() < 0.3) delete at[key];
    else at[key] = value;
  }
}

function changeArray(at: unknown[], random: () => number, value: unknown): void {
  const place = Math.floor(random() * (at.length + 1));
  const changes = [
    () => at.push(value),
    () => at.unshift(value),
    () => at.splice(place, 1 + Math.floor(random() * 2)),
    () => at.splice(place, 1, value, value),
    () => at.reverse(),
    () => void (at.length = Math.min(at.length, place)),
    () => at.pop(),
  ];
  pick(random, changes)();
}

function changeMap(at: Map<unknown, unknown>, random: () => number, any: unknown, value: unknown): void {
  const key = any === undefined ? null : any;
  const keys = [...at.keys()];
  const known = keys.length > 0 ? pick(random, keys) : key;
  const again = (): void => {
    at.delete(known);
    at.set(known, value);
  };
  const changes = [
    () => at.set(key, value),
    () => at.set(known, value),
    again,
    () => at.delete(known),
    () => at.clear(),
  ];
  pick(random, changes)();
}

function changeSet(at: Set<unknown>, random: () => number, value: unknown): void {
  const members = [...at];
  const changes = [() => at.add(value), () => at.delete(members[0]), () => at.clear()];
  pick(random, changes)();
}

interface Session {
  readonly log: Log;
  readonly store: BokiStore;
  readonly items: Collection<unknown>;
}

async function open(url: string): Promise<Session> {
  const log = await openLog(url);
  const store = new BokiStore(log.book("b"));
  return { log, store, items: store.collection("items") };
}

async function close({ store, log }: Session): Promise<void> {
  await store.close();
  await log.close();
}

const whole = { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity };
let names = 0;
const newUrl = (): string => `memory:recipes-${process.pid}-${++names}`;

function assertFrozen(value: unknown): void {
  if (!isContainer(value)) return;
  assert.ok(Object.isFrozen(value), `${inspect(value)} is not frozen`);
  if (value instanceof Map) assert.throws(() => value.set(1, 1));
  if (value instanceof Set) assert.throws(() => value.add(1));
  for (const part of partsOf(value)) assertFrozen(part);
}

describe("patches", function () {
  this.timeout(runs * 30_000);

  it("give what the recipe gave: here, in another session, and opened later", async () => {
    let kept = 0;
    const property = fc.asyncProperty(
      anyValue,
      fc.array(anyValue, { minLength: 1 }),
      fc.nat(),
      async (base, values, seed) => {
        const url = newUrl();
        const [here, there] = [await open(url), await open(url)];
        // Enough beside it that patches are smaller.
        const start = { base, padding: "x".repeat(5000) };
        await here.items.put("x", start);
        await there.items.get("x");
        let expected = copyValue(start);
        for (let i = 0; i < 5; i++) {
          const recipe = (draft: unknown): void => {
            const random = randomSource(seed + i);
            for (let left = 1 + Math.floor(random() * 3); left > 0; left--)
              changeSome(draft, random, values.map(copyValue));
          };
          let result: typeof expected;
          try {
            result = copyValue(immer.produce<typeof expected>(expected, recipe));
          } catch (error) {
            // What immer refuses is refused here, and nothing has changed.
            await assert.rejects(here.items.update("x", recipe), { message: (error as Error).message });
            continue;
          }
          expected = result;
          const given = await here.items.update("x", recipe);
          assert.deepStrictEqual(given, expected);
          assertFrozen(given);
          const mine = await here.items.get("x");
          await there.store.sync();
          const theirs = await there.items.get("x");
          assert.deepStrictEqual(theirs, mine, "another session");
          assert.equal(inspect(theirs, whole), inspect(mine, whole), "in the same order");
          assert.deepStrictEqual(mine, expected);
          assertFrozen(await there.items.get("x"));
          const later = await open(url);
          assert.deepStrictEqual(await later.items.get("x"), mine, "opened later");
          await close(later);
        }
        for await (const { size } of here.log.book("b").read({ tag: "$o/items/x", head: true }))
          if (size < 4000) kept++;
        await close(here);
        await close(there);
      },
    );
    await fc.assert(property, parameters(150));
    assert.ok(kept > 50, `${kept} updates were patches`);
  });

  interface Ordered {
    n: number;
    readonly map: Map<string, number>;
    readonly set: Set<string | null | undefined>;
    readonly object: Record<string, number>;
    readonly padding: string;
  }

  /** Changes of an order, for which immer has no patch. */
  const unsaid: Record<string, (draft: Ordered) => void> = {
    "a member of a Set goes and comes again": ({ set }) => set.delete("a") && set.add("a"),
    "a member of a Set goes and comes again behind another one": ({ set }) => set.delete("a") && set.add(null).add("a"),
    "a key of a Map goes and comes again": ({ map }) => map.delete("a") && map.set("a", 1),
    "a key of a Map goes and comes again with another value": ({ map }) => map.delete("a") && map.set("a", 7),
    "a property goes and comes again": ({ object }) => delete object["a"] && (object["a"] = 1),
  };

  for (const [what, change] of Object.entries(unsaid)) {
    it(`say all where ${what}, and something else changes too`, async () => {
      const url = newUrl();
      const [here, there] = [await open(url), await open(url)];
      const map = new Map([["a", 1], ["b", 2]]); // prettier-ignore
      const start: Ordered = {
        n: 1,
        map,
        set: new Set(["a", "b"]),
        object: { a: 1, b: 2 },
        padding: "x".repeat(5000),
      };
      await here.items.put("x", start);
      await there.items.get("x");
      await (here.items as Collection<Ordered>).update("x", (draft) => {
        draft.n++;
        change(draft);
      });
      await there.store.sync();
      const [mine, theirs] = [await here.items.get("x"), await there.items.get("x")];
      assert.notEqual(inspect(mine, whole), inspect({ ...start, n: 2 }, whole), "it did change");
      assert.equal(inspect(theirs, whole), inspect(mine, whole));
      await close(here);
      await close(there);
    });
  }

  it("are not used where keys of a Map are arrays, old ones, new ones and empty ones", async () => {
    const url = newUrl();
    const [here, there] = [await open(url), await open(url)];
    const items = here.items as Collection<{ map: Map<unknown, unknown>; padding: string }>;
    for (const key of [[], ["a"], ["a", "b"]]) {
      await items.put("x", { map: new Map([["a", 1]]), padding: "x".repeat(5000) });
      await there.store.sync();
      await there.items.get("x");
      const recipes = [
        (map: Map<unknown, unknown>) => map.set(key, 1),
        (map: Map<unknown, unknown>) => map.set([...map.keys()].at(-1), 2),
        (map: Map<unknown, unknown>) => map.delete([...map.keys()].at(-1)),
      ];
      for (const recipe of recipes) {
        await items.update("x", ({ map }) => void recipe(map));
        await there.store.sync();
        assert.deepStrictEqual(await there.items.get("x"), await items.get("x"), inspect(key));
      }
    }
    await close(here);
    await close(there);
  });

  it("keep the order of keys where one was deleted and set again, also beside keys that are arrays", async () => {
    const url = newUrl();
    const [here, there] = [await open(url), await open(url)];
    const padding = "x".repeat(5000);
    const items = here.items as Collection<{
      map: Map<unknown, number>;
      plain: Record<string, number>;
      padding: string;
    }>;
    const map = new Map<unknown, number>([
      ["a", 1],
      ["b", 2],
      [["a"], 3],
    ]);
    await items.put("x", { map, plain: { a: 1, b: 2 }, padding });
    await there.items.get("x");
    await items.update("x", ({ map: draft }) => {
      draft.delete("a");
      draft.set("a", 4);
    });
    await items.update("x", ({ map: draft }) => void draft.set([...draft.keys()][1], 6));
    await items.update("x", ({ plain }) => {
      delete plain["a"];
      plain["a"] = 5;
    });
    await there.store.sync();
    const mine = await items.get("x");
    assert.deepEqual(
      [...mine!.map],
      [
        ["b", 2],
        [["a"], 6],
        ["a", 4],
      ],
    );
    assert.deepEqual(Object.keys(mine!.plain), ["b", "a"]);
    assert.equal(inspect(await there.items.get("x"), whole), inspect(mine, whole));
    await close(here);
    await close(there);
  });
});

describe("a recipe", () => {
  let session: Session;
  before(async () => (session = await open(newUrl())));
  after(() => close(session));

  async function stored<T>(value: T): Promise<Collection<T>> {
    await session.items.put("x", value);
    return session.items as unknown as Collection<T>;
  }

  it("that throws changes nothing, and its error comes back", async () => {
    const items = await stored({ n: 1, list: [1] });
    const fault = new Error("mine");
    const failing = items.update("x", (draft) => {
      draft.n = 2;
      draft.list.push(2);
      throw fault;
    });
    await assert.rejects(failing, fault);
    assert.deepEqual(await items.get("x"), { n: 1, list: [1] });
  });

  it("that returns undefined or its draft keeps the changes", async () => {
    const items = await stored({ n: 1 });
    assert.deepEqual(await items.update("x", (draft) => void draft.n++), { n: 2 });
    assert.deepEqual(
      await items.update("x", (draft) => {
        draft.n++;
        return draft;
      }),
      { n: 3 },
    );
  });

  it("that returns a new value replaces the object", async () => {
    const items = await stored<{ n: number; m?: number }>({ n: 1 });
    assert.deepEqual(await items.update("x", ({ n }) => ({ n: n + 1, m: 0 })), { n: 2, m: 0 });
  });

  it("that changes the draft and returns something else is refused", async () => {
    const items = await stored({ n: 1 });
    const both = items.update("x", (draft) => {
      draft.n = 2;
      return { n: 3 };
    });
    await assert.rejects(both, /modified/);
    assert.deepEqual(await items.get("x"), { n: 1 });
  });

  it("that changes nothing writes nothing", async () => {
    const items = await stored({ n: 1, map: new Map([["a", [1]]]) });
    const tail = await session.log.book("b").tail();
    await items.update("x", (draft) => {
      draft.n = 1;
      draft.map.get("a")!.push(2);
      draft.map.get("a")!.pop();
    });
    const { length } = (await items.get("x"))!.map.get("a")!;
    assert.equal(length, 1);
    assert.ok((await session.log.book("b").tail()) - tail <= 1);
  });

  it("changes nested Maps, with keys of all types", async () => {
    const keys = ["text", 7, 7n, true, null, NaN];
    const inner = (): Map<unknown, { list: number[] }> => new Map(keys.map((key) => [key, { list: [0] }]));
    const items = await stored({ padding: "x".repeat(5000), map: new Map(keys.map((key) => [key, inner()])) });
    const other = await open(session.log.url);
    for (const outer of keys) {
      for (const key of keys) {
        const given = await items.update("x", (draft) => void draft.map.get(outer)!.get(key)!.list.push(1));
        assert.deepEqual(given.map.get(outer)!.get(key), { list: [0, 1] });
      }
    }
    await other.store.sync();
    assert.deepStrictEqual(await other.items.get("x"), await items.get("x"), "another session");
    await close(other);
  });

  it("gets a stored null, which is a value", async () => {
    const items = await stored<number | null>(null);
    assert.equal(await items.update("x", (n) => (n ?? 0) + 1), 1);
  });
});
