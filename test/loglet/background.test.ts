import assert from "node:assert/strict";
import { Background } from "../../core/loglet/file/background.js";

const MiB = 1 << 20;

/** Bytes that are appended while background work writes so many, beside batches of one size. */
async function appendedMeanwhile(bytes: number, share: number, batch: number): Promise<number> {
  let appended = 0;
  const append = (): number => (appended += batch);
  const background = new Background(share, append, () => undefined);
  for (let written = 0; written < bytes; written += 64 * 1024) await background.take(64 * 1024);
  return appended;
}

describe("background work beside appends", () => {
  it("writes its share of what they write, be their batches small or large", async () => {
    for (const batch of [MiB / 4, MiB, 4 * MiB]) {
      const appended = await appendedMeanwhile(64 * MiB, 2, batch);
      assert.ok(appended >= 28 * MiB && appended <= 40 * MiB, `${appended} bytes in batches of ${batch}`);
    }
  });

  it("is not starved by tiny ones", async () => {
    const appended = await appendedMeanwhile(4 * MiB, 1 / 4, 100);
    assert.ok(appended <= ((4 * MiB) / 32 / 1024) * 100 + 1000, `${appended} bytes`);
  });
});
