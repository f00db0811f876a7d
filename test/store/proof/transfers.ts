/**
 * Transfers between accounts, for tests that end them at any moment. A transfer changes two accounts and writes its id into both
 * and into a ledger, all in one transaction.
 */
import { BokiStore, type Collection } from "../../../libs/index.js";
import type { LogBook } from "../../../core/index.js";
import assert from "node:assert/strict";

export interface Account {
  readonly balance: number;
  /** Ids of the last transfers that changed it. */
  readonly transfers: readonly string[];
}

export interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

const accountCount = 12;
const opening = 1000;
const remembered = 50;
export const accountKeys = Array.from({ length: accountCount }, (_, i) => `a${String(i).padStart(2, "0")}`);

export class Bank {
  readonly store: BokiStore;
  readonly accounts: Collection<Account>;
  readonly ledger: Collection<Transfer>;

  constructor(book: LogBook, retain: "0s" | "1h" = "1h") {
    this.store = new BokiStore(book);
    this.accounts = this.store.collection<Account>("accounts", {
      retain,
      indexes: { isRich: ({ balance }) => balance > opening },
    });
    this.ledger = this.store.collection<Transfer>("ledger", { retain, indexes: { from: ({ from }) => from } });
  }

  /** Makes the accounts, if they are not there: all or none. */
  async open(): Promise<void> {
    await this.store.transaction(async (tx) => {
      if (await tx.has(this.accounts, accountKeys[0]!)) return;
      for (const key of accountKeys) void tx.put(this.accounts, key, { balance: opening, transfers: [] });
    });
  }

  transfer(id: string, { from, to, amount }: Transfer): Promise<void> {
    return this.store.transaction(async (tx) => {
      if (from === to) return;
      const change = (key: string, by: number): void => {
        void tx.update(this.accounts, key, (account) => {
          account.balance += by;
          account.transfers = [...account.transfers.slice(1 - remembered), id];
        });
      };
      change(from, -amount);
      change(to, amount);
      await tx.put(this.ledger, id, { from, to, amount });
    });
  }

  /** The accounts are what the ledger says, all that was acknowledged is in it, and both indexes agree. */
  async check(acknowledged: ReadonlySet<string>): Promise<void> {
    await this.store.snapshot(async (at) => {
      const expected = new Map(accountKeys.map((key) => [key, opening]));
      const parts = new Map<string, Transfer>();
      for await (const { key, value } of at.scan(this.ledger)) {
        parts.set(key, value);
        expected.set(value.from, expected.get(value.from)! - value.amount);
        expected.set(value.to, expected.get(value.to)! + value.amount);
      }
      for (const id of acknowledged) assert.ok(parts.has(id), `S2 transfer ${id} was acknowledged and is lost`);
      const balances = new Map<string, number>();
      for await (const { key, value } of at.scan(this.accounts)) {
        balances.set(key, value.balance);
        for (const id of value.transfers) {
          const { from, to } = parts.get(id) ?? {};
          assert.ok(from === key || to === key, `S2 transfer ${id} is in ${key} and not in the ledger`);
        }
      }
      if (balances.size > 0) assert.deepEqual(balances, expected, "S2 each transfer is whole or absent");
      else assert.equal(parts.size, 0, "S2 there are transfers and no accounts");
      const rich = (await at.find(this.accounts, "isRich", true)).map(({ key }) => key);
      assert.deepEqual(
        rich,
        [...balances.keys()].filter((key) => balances.get(key)! > opening),
      );
      const [key] = accountKeys;
      const sent = (await at.find(this.ledger, "from", key!)).map((found) => found.key);
      assert.deepEqual(sent, [...parts.keys()].filter((id) => parts.get(id)!.from === key).sort());
    });
  }
}
