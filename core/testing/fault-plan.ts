/** Which call of a fault disk fails: those that were ordered to, and all once the power is gone. */
import type { Disk } from "../loglet/file/disk.js";

export type DiskOperation = Exclude<keyof Disk, "readLater" | "syncLater">;

export interface Failure {
  readonly error: Error;
  /** The call had begun: it may have happened, or a part of it. */
  readonly underWay: boolean;
}

interface Order {
  readonly operation: DiskOperation;
  readonly code: string;
  after: number;
  times: number;
}

export class FaultPlan {
  /** Calls so far. */
  operations: number;
  powered = true;
  #cutAt = Infinity;
  #orders: Order[] = [];

  constructor(operations: number) {
    this.operations = operations;
  }

  order(operation: DiskOperation, code: string, after: number, times: number): void {
    this.#orders.push({ operation, code, after, times });
  }

  cutPowerAfter(operations: number): void {
    this.#cutAt = this.operations + operations;
  }

  /** Counts a call; gives how it fails, if it does. */
  next(operation: DiskOperation, path: string): Failure | undefined {
    if (!this.powered) return { error: powerOff(operation, path), underWay: false };
    this.operations++;
    if (this.operations > this.#cutAt) {
      this.powered = false;
      return { error: powerOff(operation, path), underWay: true };
    }
    const order = this.#orders.find((one) => one.operation === operation);
    if (order === undefined || order.after-- > 0) return undefined;
    if (--order.times <= 0) this.#orders = this.#orders.filter((one) => one !== order);
    return { error: systemError(order.code, operation, path, "ordered by failNext"), underWay: true };
  }
}

/** As of node:fs. */
export function systemError(
  code: string,
  operation: DiskOperation,
  path: string,
  why = "fault disk",
): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${why}, ${operation} '${path}'`), { code, syscall: operation, path });
}

function powerOff(operation: DiskOperation, path: string): Error {
  return systemError("EIO", operation, path, "the power is off");
}
