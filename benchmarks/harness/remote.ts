/** Systems that are reached over loopback: servers, what a client process does with them, and processes that do as they are told. */
import { type ChildProcess, fork } from "node:child_process";
import type { Peer } from "./peer.js";

export type Durability = "disk" | "os";

/** A server that runs, with an empty log. */
export interface Server {
  /** As its clients take it. */
  readonly address: string;
  /** How many records are there. */
  count(): Promise<number>;
  close(): Promise<void>;
}

/** A server of others, which syncs before it answers, or does not. */
export interface ServerPeer extends Peer<Server> {
  readonly system: "redis" | "nats";
  readonly durability: Durability;
}

/** One client process's connections to a server. */
export interface Connected {
  /** Resolves to where the record is. */
  append(data: Uint8Array, tags: [string, string]): Promise<Place>;
  /** The data of the record at a place. */
  read(place: Place): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

export type Place = number | string;

type Tasks = Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;
type Answer = { readonly value: unknown } | { readonly fault: string };

/** A process of the benchmark that carries out tasks, one after the other. */
export class Helper<T extends Tasks> {
  readonly #child: ChildProcess;
  readonly #name: string;

  constructor(script: URL) {
    this.#name = script.pathname.split("/").at(-1)!;
    this.#child = fork(script, { serialization: "advanced" });
  }

  ask<K extends keyof T & string>(task: K, ...args: Parameters<T[K]>): Promise<Awaited<ReturnType<T[K]>>> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const gone = (code: number | null): void => reject(new Error(`${this.#name} ended with ${code} in ${task}`));
      child.once("exit", gone);
      child.once("message", (answer: Answer) => {
        child.off("exit", gone);
        if ("fault" in answer) reject(new Error(`${this.#name}, ${task}: ${answer.fault}`));
        else resolve(answer.value as Awaited<ReturnType<T[K]>>);
      });
      child.send({ task, args });
    });
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.disconnect();
    await gone;
  }
}

/** The other end of a Helper. The process ends with its parent. */
export function carryOut(tasks: Tasks): void {
  process.on("message", ({ task, args }: { task: string; args: never[] }) => {
    tasks[task]!(...args).then(
      (value) => process.send!({ value }),
      (error: unknown) => process.send!({ fault: error instanceof Error ? error.stack! : String(error) }),
    );
  });
  process.on("disconnect", () => process.exit());
}
