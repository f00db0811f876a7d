/** What a store takes of the disk that keeps no history: at most three times what is live, however often it is changed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import { messagePackCodec } from "../../libs/codec.js";
import { BokiStore } from "../../libs/store/store.js";

const full = process.env["FULL"] === "1";
const objects = full ? 100_000 : 2_000;
const updates = full ? 100 : 50;
/** Written at once. */
const atOnce = 1000;

describe("room of a store", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "boki-space-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it(`${objects} objects with ${updates} updates each stay within three times their size`, async function () {
    this.timeout(full ? 3_600_000 : 120_000);
    const value = { n: 0, text: "x".repeat(full ? 1000 : 10_000) };
    const keys = Array.from({ length: objects }, (_, i) => `key-${i}`);
    const live = keys.reduce((sum, key) => sum + key.length + messagePackCodec.encode(value).length, 0);
    const log = await openLog(`file:${folder}`, { durability: "os" });
    // All objects stay open, so that this does not measure reading them again.
    const store = new BokiStore(log.book("b"), { cacheBytes: 1 << 30 });
    const items = store.collection<typeof value>("items", { retain: "0s" });
    for (let n = 0; n <= updates; n++) {
      for (let at = 0; at < objects; at += atOnce) {
        const some = keys.slice(at, at + atOnce);
        await Promise.all(some.map((key) => items.update(key, (draft) => void draft.n++, { initial: value })));
      }
    }
    await items.checkpoint();
    let left = 0;
    for await (const { size } of log.book("b").read({ head: true })) left += size;
    assert.ok(left < 3 * live, `${left} bytes of records for ${live} of live data`);
    // The first one covers what was trimmed, the second gives its room back.
    await log.checkpoint();
    await log.checkpoint();
    const { diskBytes } = await log.stats();
    assert.ok(diskBytes < 3 * live, `${diskBytes} bytes on disk for ${live} of live data`);
    await store.close();
    await log.close();

    const again = await openLog(`file:${folder}`, { durability: "os" });
    const reread = new BokiStore(again.book("b"));
    const values = await reread.collection<typeof value>("items").getAll(keys.slice(0, 1000));
    assert.ok(values.every((each) => each!.n === updates + 1));
    await reread.close();
    await again.close();
  });
});
