/** The cases of BokiStore on a log that a server has. */
import type { OpenOptions } from "../../core/types.js";
import type { StoreOptions } from "../../libs/store/store.js";
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
