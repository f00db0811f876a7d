/** The contract of the log through a server and a client. */
import { conformance } from "./conformance/index.js";
import { inFolder, inMemory, served } from "./remote/subject.js";

conformance({ describe, it, name: "grpc: of memory:", subject: () => served(inMemory, {}) });
conformance({ describe, it, name: "grpc: of file:", subject: () => served(inFolder, {}) });
conformance({
  describe,
  it,
  name: "grpc: without caches",
  subject: () => served(inMemory, { cacheBytes: 0, auxBytes: 0 }),
});
