import assert from "node:assert/strict";
import { deflateSync, inflateSync } from "node:zlib";
import * as z from "zod";
import type { LogBook } from "../../core/types.js";
import { jsonCodec, messagePackCodec, type Codec } from "../../libs/codec.js";
import type { Collection, CollectionOptions } from "../../libs/store/collection.js";
import { BokiStore } from "../../libs/store/store.js";
import { all, code, onEveryView, onStore, take, type Suite } from "./suite.js";

const userSchema = z.object({
  name: z.string().trim().min(1),
  age: z.number().int().optional(),
  roles: z.set(z.string()).default(() => new Set<string>()),
});
type User = z.infer<typeof userSchema>;

/** What is known about a name is found out elsewhere. */
const slowSchema = userSchema.refine(async ({ name }) => Promise.resolve(name !== "nobody"), "nobody is known by that");

interface PersonV2 {
  first: string;
  last: string;
  text: string;
}

/** Version 2 splits the name; version 3 counts. */
const personOptions: CollectionOptions<PersonV2> = {
  version: 2,
  migrate: (value, version) => {
    assert.equal(version, 1);
    const { name, text } = value as { name: string; text: string };
    const [first, last] = name.split(" ");
    return { first, last, text };
  },
};

const text = "x".repeat(500);

export function values(suite: Suite): void {
  suite.describe("values", () => {
    onEveryView(
      suite,
      "a schema refuses what it refuses, and what it gives back is stored",
      async (store) => {
        for (const schema of [userSchema, slowSchema]) {
          const name = schema === userSchema ? "users" : "slow";
          const users = store.collection<User>(name, { schema, indexes: { name: (user) => user.name } });
          await users.put("a", { name: "  ada " } as User);
          await users.put("b", { name: "bob", roles: new Set(["x"]) });
          await users.update("b", (draft) => void (draft.name = " bo "));
          await store.transaction(async (tx) => {
            await tx.put(users, "c", { name: " carl " } as User);
            assert.equal((await tx.get(users, "c"))!.name, "carl");
            await tx.update(users, "c", (draft) => void (draft.age = 5));
          });
          const tail = await store.book.tail();
          const refused: (() => Promise<unknown>)[] = [
            () => users.put("d", { name: " " } as User),
            () => users.update("a", (draft) => void (draft.age = 1.5)),
            () => users.update("d", (draft) => draft, { initial: {} as User }),
            () =>
              store.transaction(async (tx) => {
                await tx.put(users, "e", { name: "eve" } as User);
                await tx.put(users, "d", { name: "dora", roles: ["x"] } as never);
              }),
          ];
          for (const write of refused) await assert.rejects(write(), code("STORE_INVALID", /name|age|roles/));
          if (schema === slowSchema)
            await assert.rejects(users.put("d", { name: "nobody" } as User), code("STORE_INVALID", /nobody is known/));
          assert.equal(await store.book.tail(), tail);
        }
      },
      async (store) => {
        for (const name of ["users", "slow"]) {
          const users = store.collection<User>(name, { schema: userSchema, indexes: { name: (user) => user.name } });
          assert.deepEqual(await all(users.scan()), [
            { key: "a", value: { name: "ada", roles: new Set() } },
            { key: "b", value: { name: "bo", roles: new Set(["x"]) } },
            { key: "c", value: { name: "carl", age: 5, roles: new Set() } },
          ]);
          assert.deepEqual(
            (await users.find("name", "bo")).map(({ key }) => key),
            ["b"],
          );
          await assert.rejects(
            users.put("d", { name: 5 } as never),
            (error: { issues?: readonly string[]; code?: string }) =>
              error.code === "STORE_INVALID" && error.issues!.length === 1 && error.issues![0]!.startsWith("name: "),
          );
        }
      },
    );

    onEveryView(
      suite,
      "values of an older version are brought up: read, found, patched, in transactions, in the past",
      async (store) => {
        const old = store.collection<{ name: string; text: string }>("people");
        for (const name of ["ada lovelace", "alan turing", "grace hopper"])
          await old.put(name.split(" ")[0]!, { name, text });
        await old.update("ada", (draft) => void (draft.name = "ada byron"));
        return (await store.book.tail()) - 1;
      },
      async (store, position) => {
        const people = store.collection<PersonV2>("people", personOptions);
        const ada = { first: "ada", last: "byron", text };
        assert.deepEqual(await people.get("ada"), ada);
        assert.ok(Object.isFrozen(await people.get("ada")));
        assert.deepEqual(
          (await people.getAll(["ada", "alan"])).map((one) => one!.last),
          ["byron", "turing"],
        );
        assert.deepEqual(
          (await all(people.scan())).map(({ value }) => value.first),
          ["ada", "alan", "grace"],
        );
        assert.deepEqual(await people.update("ada", (draft) => void (draft.last = "king")), { ...ada, last: "king" });
        await people.update("ada", (draft) => void (draft.first = "augusta"));
        assert.deepEqual(await people.get("ada"), { first: "augusta", last: "king", text });
        await store.transaction(async (tx) => {
          assert.equal((await tx.get(people, "alan"))!.last, "turing");
          await tx.update(people, "alan", (draft) => void (draft.last = "t."));
        });
        assert.deepEqual(await people.at("ada", position), ada);
        assert.deepEqual(
          (await all(people.history("ada"))).map(({ value }) => [value!.first, value!.last]),
          [
            ["ada", "lovelace"],
            ["ada", "byron"],
            ["ada", "king"],
            ["augusta", "king"],
          ],
        );
        assert.equal((await take(6, people.watch({ from: 0 }))).at(-1)!.value!.last, "king");
        const byLast = store.collection<PersonV2>("people", {
          ...personOptions,
          indexes: { last: ({ last }) => last },
        });
        assert.deepEqual(
          (await byLast.find("last", "hopper")).map(({ key }) => key),
          ["grace"],
        );
      },
    );

    onEveryView(
      suite,
      "what was written by newer code is refused by older code with STORE_VERSION, and nothing is lost",
      async (store) => {
        await store.collection<{ name: string; text: string }>("people").put("old", { name: "a b", text });
        await store.collection<PersonV2>("people", personOptions).put("new", { first: "a", last: "b", text });
      },
      async (store) => {
        const old = store.collection<{ name: string; text: string }>("people");
        const version = code("STORE_VERSION", /people/, /2/, /1/);
        await assert.rejects(old.get("new"), version);
        await assert.rejects(
          old.update("new", (draft) => void (draft.name = "x")),
          version,
        );
        await assert.rejects(old.put("new", { name: "x", text }), version);
        await assert.rejects(old.getAll(["old", "new"]), version);
        await assert.rejects(
          store.transaction((tx) => tx.get(old, "new")),
          version,
        );
        assert.deepEqual(await old.get("old"), { name: "a b", text });
        assert.deepEqual(await store.collection<PersonV2>("people", personOptions).get("new"), {
          first: "a",
          last: "b",
          text,
        });
      },
    );

    onStore(
      suite,
      "a value of an older version that the schema refuses is named, and can be replaced",
      async (opened, bench) => {
        await opened.store.collection("users").put("a", { name: 5 });
        await opened.store.collection("users").put("b", { name: "bob" });
        const { store } = await bench.renew(opened);
        const users = store.collection<User>("users", { schema: userSchema, version: 2 });
        await assert.rejects(users.get("a"), code("STORE_INVALID", /"a"/));
        // Defaults of the schema count on read too.
        assert.deepEqual(await users.get("b"), { name: "bob", roles: new Set() });
        await users.delete("a");
        assert.equal(await users.get("a"), undefined);
      },
    );

    onStore(
      suite,
      "values are written with JSON or a codec of one's own, and read by whoever knows it",
      async ({ store, book }) => {
        const zip: Codec = {
          id: 200,
          encode: (value) => deflateSync(messagePackCodec.encode(value)),
          decode: (bytes) => messagePackCodec.decode(inflateSync(bytes)),
        };
        await store.collection("c").put("plain", { n: 1n });
        for (const [key, codec] of Object.entries({ json: jsonCodec, zip })) {
          const written = new BokiStore(book, { codec });
          const values = written.collection<{ map: Map<string, bigint>; text: string }>("c");
          await values.put(key, { map: new Map([["a", 1n]]), text: "x".repeat(5000) });
          assert.ok(key === "json" || (await book.readPrev())!.size < 500, "it was not compressed");
          await values.update(key, (draft) => void draft.map.set("b", 2n));
          await written.close();
          const again = new BokiStore(book, { codec });
          assert.deepEqual(
            (await again.collection<{ map: object }>("c").get(key))!.map,
            new Map([
              ["a", 1n],
              ["b", 2n],
            ]),
          );
          assert.deepEqual(await again.collection("c").get("plain"), { n: 1n });
          await again.close();
        }
      },
    );

    onStore(suite, "who does not know a codec is told which, for that object alone", async (opened, bench) => {
      const codec: Codec = { ...messagePackCodec, id: 222 };
      const written = new BokiStore(opened.book, { codec });
      await written.collection("c").put("a", { n: 1 });
      await written.close();
      const { store } = await bench.reopen(opened);
      const values = store.collection("c");
      await values.put("b", { n: 2 });
      await assert.rejects(values.get("a"), code("STORE_DAMAGED", /"a"/, /codec 222/));
      assert.deepEqual(await values.get("b"), { n: 2 });
      assert.deepEqual(await all(values.keys()), ["a", "b"]);
    });

    onEveryView(
      suite,
      "a change that cannot be applied damages its object, until it is put or deleted, and nothing else",
      async (store) => {
        const values = store.collection<{ list?: { n: number }[]; n?: number }>("c", { indexes: { n: ({ n }) => n } });
        for (const key of ["a", "b"]) {
          await values.put(key, { list: [{ n: 1 }], n: 1, text } as object);
          await values.update(key, (draft) => void (draft.list![0]!.n = 2));
          const patch = (await store.book.readPrev())!;
          await values.put(key, { n: 5 });
          // The patch again, where there is nothing that it fits.
          await store.book.append(patch.data, { tags: patch.tags });
        }
        await values.put("other", { n: 3 });
      },
      async (store) => {
        const values = store.collection<{ n: number }>("c", { indexes: { n: ({ n }) => n } });
        const damaged = code("STORE_DAMAGED", /"[ab]"/, /put\(\)/);
        await assert.rejects(values.get("a"), damaged);
        await assert.rejects(
          values.update("a", (draft) => void draft.n++),
          damaged,
        );
        await assert.rejects(
          store.transaction((tx) => tx.get(values, "a")),
          damaged,
        );
        assert.deepEqual(await values.get("other"), { n: 3 });
        assert.deepEqual(await all(values.keys()), ["a", "b", "other"]);
        assert.deepEqual(
          (await values.find("n", 3)).map(({ key }) => key),
          ["other"],
        );
        await values.put("a", { n: 7 });
        await values.delete("b");
        assert.deepEqual(await all(values.scan()), [
          { key: "a", value: { n: 7 } },
          { key: "other", value: { n: 3 } },
        ]);
      },
    );

    onStore(
      suite,
      "records of others in the book, and bytes that are no commit, change nothing",
      async ({ store, book }) => {
        const values: Collection<number> = store.collection<number>("c");
        await values.put("a", 1);
        await noise(book);
        await values.put("b", 2);
        assert.deepEqual(await all(values.scan()), [
          { key: "a", value: 1 },
          { key: "b", value: 2 },
        ]);
        await values.update("a", (n) => n + 1);
        assert.equal(await values.get("a"), 2);
      },
    );
  });
}

async function noise(book: LogBook): Promise<void> {
  for (const tags of [["mine"], ["$x/y"], ["$c/other", "mine"]])
    await book.append(Buffer.from([255, 255, 255, 1, 2, 3]), { tags });
}
