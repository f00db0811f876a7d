/** The door of `boki/testing`: time and a disk under a user's command, for the `clock` and `disk` of `openLog`. */
export { FaultDisk } from "./testing/fault-disk.js";
export type { FaultDiskOptions } from "./testing/fault-disk.js";
export type { DiskOperation } from "./testing/fault-plan.js";
export { randomSource } from "./testing/random.js";
export { VirtualClock } from "./testing/virtual-clock.js";
