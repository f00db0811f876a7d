/** Chance comes through one function, which a user can replace to make a run repeat itself. */
import { randomBytes } from "node:crypto";
import { show } from "./check.js";

/** The default: nobody can guess it. */
export const systemRandom = (): number => randomBytes(4).readUInt32LE() / 2 ** 32;

/** 128 random bits as 32 hex digits. Throws a TypeError that names the value if `random` gives something else than [0, 1). */
export function drawId(random: () => number): string {
  return Buffer.from(Array.from({ length: 16 }, () => Math.floor(draw(random) * 256))).toString("hex");
}

function draw(random: () => number): number {
  const value: unknown = random();
  if (typeof value === "number" && value >= 0 && value < 1) return value;
  throw new TypeError(`random() gave ${show(value)}; it must give a number from 0 up to, but not including, 1`);
}
