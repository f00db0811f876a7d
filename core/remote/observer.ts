/** Those who are told of what a server does, for figures and logs. Some of it happens often: they are to be quick. */
import type { Fault } from "./wire.js";

/** What became of an append. */
export type Outcome = "accepted" | "refused" | "failed";

/** Told of one client's doings. */
export interface Told {
  /** `ms`: from its coming in to its answer. */
  appended(outcome: Outcome, ms: number): void;
  /** So many records went out. */
  gave(records: number): void;
  /** Something was answered with a fault. */
  fault(fault: Fault): void;
}

/** Somebody at the other end. */
export interface Client {
  /** The name of his rights, or of his certificate. */
  readonly name: string;
  /** His address. */
  readonly peer: string;
  /** When his session began, ms since 1970. */
  readonly since: number;
}

export interface Observer {
  received(bytes: number): void;
  sent(bytes: number): void;
  /** What tells of this client. */
  of(client: Client): Told;
  opened(client: Client): void;
  /** Without `why`, the client has left. */
  closed(client: Client, why: Fault | undefined): void;
}

const nothing = (): void => undefined;
export const untold: Told = { appended: nothing, gave: nothing, fault: nothing };
export const nobody: Observer = {
  received: nothing,
  sent: nothing,
  of: () => untold,
  opened: nothing,
  closed: nothing,
};
