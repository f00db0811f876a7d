import assert from "node:assert/strict";
import fc from "fast-check";
import { Postings } from "../../core/engine/postings.js";
import { TagIndex } from "../../core/engine/tag-index.js";

describe("the tag index against plain arrays", () => {
  it("finds the next and the previous value of lists of every length", () => {
    const lists = 5;
    const postings = new Postings();
    const model: number[][] = [];
    for (let list = 0; list < lists; list++) {
      postings.add();
      model.push([]);
    }
    let value = 0;
    let state = 1;
    const random = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32;
    for (let i = 0; i < 300_000; i++) {
      value += 1 + Math.floor(random() * 3);
      // The first list gets half of all, the last a thousandth: short and long ones share the arena.
      const list = Math.min(lists - 1, Math.floor(-Math.log2(random() + 1e-9) / 2));
      postings.push(list, value);
      model[list]!.push(value);
      if (i % 37 === 0) {
        const asked = Math.floor(random() * (value + 2));
        const at = Math.floor(random() * lists);
        const expected = model[at]!;
        const rank = lowerBound(expected, asked);
        assert.equal(postings.rank(at, asked), rank);
        assert.equal(postings.ceiling(at, asked), expected[rank] ?? 0);
        assert.equal(postings.floor(at, asked), expected[lowerBound(expected, asked + 1) - 1] ?? 0);
        assert.equal(postings.last(at), expected.at(-1) ?? 0);
      }
    }
    assert.deepEqual(
      model.map((_, list) => postings.count(list)),
      model.map((values) => values.length),
    );
  });

  it("keeps scopes apart, and finds every key again after growing", () => {
    const index = new TagIndex();
    const keys = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const scope = i % 3;
      const bytes = Buffer.from(`tag-${i >> 2}`);
      keys.set(`${scope}/${bytes.toString()}`, index.intern(scope, bytes, 0, bytes.length));
    }
    assert.equal(new Set(keys.values()).size, keys.size);
    for (const [key, number] of keys) {
      const [scope, name] = key.split("/") as [string, string];
      assert.equal(index.find(Number(scope), Buffer.from(`xx${name}`), 2, name.length), number);
    }
    assert.equal(index.find(7, Buffer.from("tag-1"), 0, 5), -1);
  });

  it("keeps a book's records as runs", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (mine) => {
        const index = new TagIndex();
        const book = index.intern(0, Buffer.from("b"), 0, 1);
        const ordinals = mine.flatMap((yes, i) => (yes ? [i + 1] : []));
        for (const ordinal of ordinals) index.addToBook(book, ordinal);
        for (let asked = 0; asked <= mine.length + 2; asked++) {
          assert.equal(index.nextInBook(book, asked), ordinals.find((ordinal) => ordinal >= asked) ?? 0);
          assert.equal(index.prevInBook(book, asked), ordinals.findLast((ordinal) => ordinal <= asked) ?? 0);
        }
      }),
    );
  });
});

function lowerBound(values: readonly number[], bound: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
