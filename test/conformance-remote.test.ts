/** The contract of the log through a server and a client, and in a folder that processes share. */
import { conformance } from "./conformance/index.js";
import { Keeper } from "./remote/keeping.js";
import { asGuest, asHeir } from "./remote/sharing.js";
import { inFolder, inMemory, served } from "./remote/subject.js";

conformance({ describe, it, name: "grpc: of memory:", subject: () => served(inMemory, {}) });
conformance({ describe, it, name: "grpc: of file:", subject: () => served(inFolder, {}) });
conformance({
  describe,
  it,
  name: "grpc: without caches",
  subject: () => served(inMemory, { cacheBytes: 0, auxBytes: 0 }),
});

describe("a shared folder", function () {
  let keeper: Keeper;
  before(() => (keeper = new Keeper()));
  after(() => keeper.end());

  conformance({ describe, it, name: "file: as a guest", subject: () => asGuest(keeper) });
  conformance({ describe, it, name: "file: as the heir of an owner", subject: () => asHeir(keeper) });
});
