/** Accounts of about 150 bytes, what is done to them, and whether all of it was done. */
import { closedLoop, type Latencies, zipf } from "./workload.js";

const firstBalance = 1_000_000;
const drawn = 1 << 18;

export interface Account {
  readonly id: string;
  readonly owner: string;
  readonly email: string;
  readonly opened: string;
  readonly balance: number;
  /** How often it was changed. */
  readonly changes: number;
}

/** A store of accounts. A change is serializable, and durable when it is answered; one that meets another is done again. */
export interface Bank {
  /** Adds 1 to a balance. */
  deposit(key: string): Promise<unknown>;
  /** Moves 1 from one account to another, in one transaction. */
  transfer(from: string, to: string): Promise<unknown>;
  totals(): Promise<Totals>;
  close(): Promise<void>;
}

export interface Totals {
  readonly accounts: number;
  readonly balance: number;
  readonly changes: number;
}

/** Which accounts the ith operation is about. */
export interface Picks {
  one(i: number): string;
  /** Two that are not the same. */
  pair(i: number): [string, string];
}

export class Accounts {
  readonly keys: readonly string[];
  readonly values: readonly Account[];
  /** Those in flight at once are all different. */
  readonly distinct: Picks;
  /** Zipf: one in ten is the same account. */
  readonly contended: Picks;

  constructor(random: () => number, count: number) {
    this.keys = Array.from({ length: count }, (_, i) => keyOf(i));
    this.values = this.keys.map((key, i) => accountOf(key, i));
    const { keys } = this;
    const spread = (n: number): string => keys[(n * 7919) % count]!;
    this.distinct = { one: spread, pair: (i) => [spread(2 * i), spread(2 * i + 1)] };
    const draws = zipf(count, drawn, random);
    const draw = (n: number): number => draws[n % drawn]!;
    this.contended = {
      one: (i) => keys[draw(i)]!,
      pair(i) {
        const [from, to] = [draw(2 * i), draw(2 * i + 1)];
        return [keys[from]!, keys[from === to ? (to + 1) % count : to]!];
      },
    };
  }
}

export const keyOf = (i: number): string => `account:${String(i).padStart(6, "0")}`;

export function accountOf(key: string, i: number): Account {
  const owner = `Ada Lovelace ${i}`;
  const email = `ada.lovelace.${i}@example.org`;
  return { id: key, owner, email, opened: "2026-01-31T09:30:00.000Z", balance: firstBalance, changes: 0 };
}

export function totalsOf(accounts: Iterable<Account>): Totals {
  const totals = { accounts: 0, balance: 0, changes: 0 };
  for (const { balance, changes } of accounts) {
    totals.accounts++;
    totals.balance += balance;
    totals.changes += changes;
  }
  return totals;
}

export const kinds = {
  update: { deposits: 1, changes: 1, run: (bank: Bank, picks: Picks, i: number) => bank.deposit(picks.one(i)) },
  txn: { deposits: 0, changes: 2, run: (bank: Bank, picks: Picks, i: number) => bank.transfer(...picks.pair(i)) },
};

export interface Loops {
  /** Default: `distinct`. */
  readonly picks?: Picks;
  readonly inFlight: number;
  readonly ms: number;
}

/** Loops over a bank that nobody has used. Throws unless all that was answered, and nothing else, is in the balances. */
export async function measureBank(
  bank: Bank,
  accounts: Accounts,
  kind: keyof typeof kinds,
  { picks, inFlight, ms }: Loops,
): Promise<Latencies> {
  const { deposits, changes, run } = kinds[kind];
  const measured = await closedLoop(inFlight, ms, (i) => run(bank, picks ?? accounts.distinct, i));
  const { ops } = measured;
  const wanted: Totals = {
    accounts: accounts.keys.length,
    balance: accounts.keys.length * firstBalance + deposits * ops,
    changes: changes * ops,
  };
  const found = await bank.totals();
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`after ${ops} answers there is ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  }
  return measured;
}
