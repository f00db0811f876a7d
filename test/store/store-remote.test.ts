/** The cases of BokiStore on a log that a server has, and in a folder that processes share. */
import type { OpenOptions } from "../../core/types.js";
import type { StoreOptions } from "../../libs/store/store.js";
import { Keeper } from "../remote/keeping.js";
import { asGuest, asHeir } from "../remote/sharing.js";
import { inFolder, inMemory, served } from "../remote/subject.js";
import { storeCases } from "./index.js";

function on(name: string, make: typeof inMemory, log: OpenOptions, options: StoreOptions = {}): void {
  const own: OpenOptions = make === inFolder ? { durability: "os" } : {};
  storeCases({ describe, it, name, options, subject: (given) => served(make, { ...log, ...given }, own) });
}

/** So little aux data is kept that most of it is dropped. */
const scarce = { auxBytes: 300 };
/** So few objects stay open that most are read again and again. */
const small = { cacheBytes: 64 * 1024 };

on("grpc: of memory:", inMemory, {});
on("grpc: of file:", inFolder, {});
on("grpc: of memory: without aux data", inMemory, { auxBytes: 0, cacheBytes: 0 }, small);
on("grpc: of memory: with little aux data", inMemory, scarce, small);

describe("a store in a shared folder", () => {
  let keeper: Keeper;
  before(() => (keeper = new Keeper()));
  after(() => keeper.end());

  for (const [name, as] of Object.entries({ "as a guest": asGuest, "as the heir of an owner": asHeir })) {
    // Who has the log stamps the time: where a case has a clock of its own, that is a server in this process.
    storeCases({
      describe,
      it,
      name: `file: ${name}`,
      options: {},
      subject: ({ clock }) => (clock === undefined ? as(keeper) : served(inFolder, { clock })),
    });
  }
});
