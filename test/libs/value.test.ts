/** What a value may be, and that nobody can change one. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { checkValue, copyValue, freezeValue } from "../../libs/value.js";
import { anyValue } from "./values.js";

/** All objects in a value, keys of maps too. */
function objectsIn(value: unknown, found: object[] = []): object[] {
  if (typeof value !== "object" || value === null) return found;
  found.push(value);
  if (value instanceof Map) for (const entry of value) for (const part of entry) objectsIn(part, found);
  else if (value instanceof Set || Array.isArray(value)) for (const part of value) objectsIn(part, found);
  else if (!isLoose(value)) for (const part of Object.values(value)) objectsIn(part, found);
  return found;
}

function isLoose(value: object): boolean {
  return value instanceof Date || value instanceof Uint8Array;
}

function checkFrozen(value: unknown): void {
  for (const object of objectsIn(value)) {
    if (isLoose(object)) continue;
    assert.ok(Object.isFrozen(object));
    if (object instanceof Map)
      for (const change of [() => object.set(1, 1), () => object.delete(1), () => object.clear()])
        assert.throws(change, /a stored value cannot be changed/);
    if (object instanceof Set)
      for (const change of [() => object.add(1), () => object.delete(1), () => object.clear()])
        assert.throws(change, /a stored value cannot be changed/);
  }
}

class Account {
  balance = 1;
}

function cycle(): unknown {
  const user: { name: string; friends: unknown[] } = { name: "ada", friends: [] };
  user.friends.push({ of: new Map([["back", user]]) });
  return { user };
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { value };
  return value;
}

const refused: [value: unknown, message: string | RegExp][] = [
  [() => 1, "a function cannot be stored; store the data from which it can be made"],
  [{ user: { roles: [1, 2, () => 1] } }, /^at \.user\.roles\[2\]: a function cannot be stored; /],
  [[{ "a b": Symbol("s") }], 'at [0]["a b"]: a symbol cannot be stored; use a string'],
  [{ a: { [Symbol("s")]: 1 } }, "at .a: a key Symbol(s) cannot be stored; use a string as key"],
  [
    { a: new Account() },
    "at .a: an instance of Account cannot be stored; make it a plain object, for example { ...value }",
  ],
  [new Map([[undefined, 1]]), /^at \.keys\(\)\[0\]: undefined as a key cannot be stored; use null/],
  [new Map([["k", new Account()]]), /^at \.get\("k"\): an instance of Account /],
  [new Map([[{ a: new Account() }, 1]]), /^at \.keys\(\)\[0\]\.a: an instance of Account /],
  [new Map([[{}, new Account()]]), /^at \.values\(\)\[0\]: an instance of Account /],
  [new Set([1, new Account()]), /^at \.values\(\)\[1\]: an instance of Account /],
  [{ a: Promise.resolve(1) }, "at .a: an instance of Promise cannot be stored; await it first"],
  [[new RangeError("x")], "at [0]: an instance of RangeError cannot be stored; store its name and message"],
  [[/x/], "at [0]: an instance of RegExp cannot be stored; store its source and flags"],
  [[new WeakMap()], /an instance of WeakMap cannot be stored/],
  [[new Float64Array(1)], /an instance of Float64Array cannot be stored; copy its bytes into a Uint8Array/],
  [[new ArrayBuffer(1)], /an instance of ArrayBuffer cannot be stored; copy its bytes/],
  [[new Number(1)], /an instance of Number cannot be stored/],
  [[new (class List extends Array<unknown> {})()], /an instance of List cannot be stored/],
  [[new (class Index extends Map<unknown, unknown> {})()], /an instance of Index cannot be stored/],
  [[Object.create(Map.prototype)], /an instance of Map cannot be stored/],
  [[Object.create({ inherited: 1 })], /^at \[0\]: an instance of Object cannot be stored/],
  [
    {
      get total() {
        return 1;
      },
    },
    "at .total: a getter cannot be stored; store what it gives, for example with { ...value }",
  ],
  [
    {
      set total(_: number) {
        assert.fail();
      },
    },
    /^at \.total: a setter cannot be stored/,
  ],
  [["ok", "\ud800"], "at [1]: a string with an unpaired surrogate cannot be stored; use toWellFormed()"],
  [{ "\udc00": 1 }, /a key with an unpaired surrogate cannot be stored/],
  [
    JSON.parse('{"a":{"__proto__":{"admin":true}}}'),
    "at .a.__proto__: a key __proto__ cannot be stored; use another key, or a Map",
  ],
  [
    cycle(),
    'at .user.friends[0].of.get("back"): a cycle cannot be stored; it is .user again; store an id in its place',
  ],
  [nested(1001), /^at (\[0\]|\.value).* \.\.\. .*: anything deeper than 1000 levels cannot be stored; store parts/],
];

describe("values", () => {
  it("a copy equals the value, shares nothing with it, and nobody can change it", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const copy = copyValue(value);
        assert.deepEqual(copy, value);
        const originals = new Set(objectsIn(value));
        assert.ok(objectsIn(copy).every((object) => !originals.has(object)));
        checkFrozen(copy);
        for (const object of originals) assert.ok(!Object.isFrozen(object) || isLoose(object));
      }),
    );
  });

  it("a decoded value is frozen as it is", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        assert.equal(freezeValue(value), value);
        checkFrozen(value);
      }),
    );
  });

  it("a check tells whether there is anything that cannot be frozen", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        assert.equal(checkValue(value), objectsIn(value).some(isLoose));
      }),
    );
  });

  it("the bytes of a copy are its own", () => {
    const buffer = Buffer.from("abc");
    const copy = copyValue({ buffer });
    buffer.fill(0);
    assert.deepEqual(copy, { buffer: new Uint8Array([97, 98, 99]) });
  });

  refused.forEach(([value, message], i) => {
    it(`is refused (${i}): ${String(message)}`, () => {
      assert.throws(() => copyValue(value), { name: "TypeError", message });
      assert.throws(() => checkValue(value), { name: "TypeError", message });
    });
  });

  it("a check names the place in the whole value", () => {
    assert.throws(() => checkValue({ a: [Symbol("s")] }, ".users[3]"), {
      message: /^at \.users\[3\]\.a\[0\]: a symbol /,
    });
    assert.throws(() => checkValue(Symbol("s"), ".users[3]"), { message: /^at \.users\[3\]: a symbol / });
  });

  it("a value of 1,000 levels, and one that is shared but no cycle, are taken", () => {
    const value = nested(1000);
    assert.deepEqual(copyValue(value), value);
    const shared = { a: 1 };
    const twice = copyValue([shared, { shared }]);
    assert.deepEqual(twice, [{ a: 1 }, { shared: { a: 1 } }]);
  });

  it("properties that others gave to all objects do not count", () => {
    const prototype = Object.prototype as { everywhere?: number };
    prototype.everywhere = 1;
    try {
      assert.deepEqual(Object.keys(copyValue({ a: 1 })), ["a"]);
      assert.equal(Object.hasOwn(copyValue({ a: 1 }), "everywhere"), false);
    } finally {
      delete prototype.everywhere;
    }
  });
});
