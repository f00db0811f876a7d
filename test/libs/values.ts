/** Any value that can be stored, for properties. */
import fc from "fast-check";

const text = fc.string({ unit: "binary", maxLength: 40 });
const longText = fc.tuple(fc.constantFrom("\uFEFF", "a", "é", "\u{1F600}"), fc.nat(300)).map(([unit, n]) => {
  return `\uFEFF${unit.repeat(n)}`;
});
const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(-0, NaN, Infinity, -Infinity, 2 ** 32, 2 ** 32 - 1, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53),
  // Around the places where the form of an integer changes.
  fc
    .tuple(fc.constantFrom(5, 7, 8, 15, 16, 31, 32, 53), fc.integer({ min: -2, max: 2 }), fc.constantFrom(1, -1))
    .map(([power, by, sign]) => sign * (2 ** power + by)),
);
const bigint = fc.oneof(
  fc.bigInt(),
  fc
    .tuple(fc.constantFrom(0n, 31n, 63n, 64n, 2000n), fc.bigInt({ min: -2n, max: 2n }), fc.constantFrom(1n, -1n))
    .map(([power, by, sign]) => sign * (2n ** power + by)),
);
const date = fc.oneof(
  // Not invalid ones: to assert.deepEqual no two of those are equal. codec.test.ts has them.
  fc.date({ noInvalidDate: true }),
  fc
    .constantFrom(0, -1, 1, 999, -999, 2 ** 32 * 1000, 2 ** 34 * 1000, 2 ** 34 * 1000 - 1, 8.64e15, -8.64e15)
    .map((time) => new Date(time)),
);
const bytes = fc.oneof(
  fc.uint8Array(),
  fc.nat(300).map((length) => new Uint8Array(length).fill(7)),
);
const key = fc.oneof(
  text,
  fc.constantFrom(
    "constructor",
    "toJSON",
    "hasOwnProperty",
    "length",
    "$map",
    "$$date",
    "$",
    "$number",
    "0",
    "k".repeat(40),
  ),
);

/** Of all types, each in each. */
export const anyValue: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => {
  const value = tie("value");
  return {
    value: fc.oneof(
      { maxDepth: 4, depthSize: "small", withCrossShrink: true },
      fc.constantFrom(null, undefined, true, false),
      number,
      bigint,
      text,
      longText,
      date,
      bytes,
      fc.array(value, { maxLength: 5 }),
      fc.dictionary(
        key.filter((one) => one !== "__proto__"),
        value,
        { maxKeys: 5, noNullPrototype: true },
      ),
      fc
        .array(fc.tuple(value, value), { maxLength: 5 })
        .map((entries) => new Map(entries.map(([key, part]) => [key === undefined ? null : key, part]))),
      fc.array(value, { maxLength: 5 }).map((parts) => new Set(parts)),
    ),
  };
}).value;
