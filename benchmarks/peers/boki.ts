/** Ourselves: a log in a folder, and objects on it, with the defaults. */
import { rmSync } from "node:fs";
import { BokiStore, type Collection, type Log, openLog, type OpenOptions, type Transaction } from "../../libs/index.js";
import { type Account, type Accounts, type Bank, totalsOf } from "../harness/accounts.js";
import type { Connected } from "../harness/remote.js";
import type { Appender } from "../harness/workload.js";

/** With `conditional` every append carries a condition that holds. */
export async function openBoki(
  folder: string,
  conditional = false,
): Promise<Appender & { bytesPerRecord(): Promise<number> }> {
  const path = `${folder}/boki`;
  rmSync(path, { recursive: true, force: true });
  const log = await openLog(`file:${path}`);
  const book = log.book("bench");
  return {
    // A refusal would be seen in the count.
    append: conditional
      ? (data, tags) => book.append(data, { tags, unless: [{ tag: tags[0], after: Number.MAX_SAFE_INTEGER }] })
      : (data, tags) => book.append(data, { tags }),
    count: async () => (await log.stats()).records,
    async bytesPerRecord() {
      const { logBytes, records } = await log.stats();
      return Math.ceil(logBytes / records);
    },
    async close() {
      await log.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

export interface BokiBank extends Bank {
  /** A record that a change has written. */
  records(): AsyncIterable<BankRecord>;
}

/** What a change appends. */
export interface BankRecord {
  readonly data: Uint8Array;
  readonly tags: readonly string[];
}

/** Accounts as objects, all of them open. `plain`: changes put whole values instead of running recipes. */
export async function openBokiBank(folder: string, { keys, values }: Accounts, plain = false): Promise<BokiBank> {
  const path = `${folder}/boki`;
  rmSync(path, { recursive: true, force: true });
  const log = await openLog(`file:${path}`);
  const book = log.book("bench");
  const store = new BokiStore(book);
  const accounts = store.collection<Account>("accounts");
  await loadAccounts(store, accounts, keys, values);
  const loaded = await book.tail();
  const move = plain ? movePlain : moveByRecipes;
  return {
    deposit: (key) =>
      accounts.update(key, (account) => {
        account.balance += 1;
        account.changes += 1;
      }),
    transfer: (from, to) => store.transaction((tx) => move(tx, accounts, from, to)),
    totals: async () => totalsOf((await accounts.getAll(keys)).filter((account) => account !== undefined)),
    records: () => book.read({ from: loaded }),
    async close() {
      await store.close();
      await log.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Five hundred in a transaction. */
export async function loadAccounts(
  store: BokiStore,
  accounts: Collection<Account>,
  keys: readonly string[],
  values: readonly Account[],
): Promise<void> {
  for (let first = 0; first < keys.length; first += 500) {
    await store.transaction((tx) => {
      for (let i = first; i < Math.min(keys.length, first + 500); i++) void tx.put(accounts, keys[i]!, values[i]!);
    });
  }
}

/** Writes need not be awaited: they are through before the commit. */
function moveByRecipes(tx: Transaction, accounts: Collection<Account>, from: string, to: string): void {
  void tx.update(accounts, from, (account) => {
    account.balance -= 1;
    account.changes += 1;
  });
  void tx.update(accounts, to, (account) => {
    account.balance += 1;
    account.changes += 1;
  });
}

async function movePlain(tx: Transaction, accounts: Collection<Account>, from: string, to: string): Promise<void> {
  const [a, b] = await tx.getAll(accounts, [from, to]);
  void tx.put(accounts, from, { ...a!, balance: a!.balance - 1, changes: a!.changes + 1 });
  void tx.put(accounts, to, { ...b!, balance: b!.balance + 1, changes: b!.changes + 1 });
}

/** Appends, in a log of its own, what changes have written: the same bytes and tags, and no store. */
export async function openBankAppender(
  folder: string,
  records: readonly BankRecord[],
): Promise<{ append(i: number): Promise<unknown>; count(): Promise<number>; close(): Promise<void> }> {
  const path = `${folder}/boki-append`;
  rmSync(path, { recursive: true, force: true });
  const log = await openLog(`file:${path}`);
  const book = log.book("bench");
  // As much is there already as where accounts are loaded.
  await book.appendAll(records);
  return {
    append: (i) => {
      const { data, tags } = records[i % records.length]!;
      return book.append(data, { tags });
    },
    count: async () => (await log.stats()).records - records.length,
    async close() {
      await log.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** A log by its url, as one process uses it; in a folder of its own or through a server. */
export async function connectBoki(url: string, options: OpenOptions): Promise<Connected & { readonly log: Log }> {
  const log = await openLog(url, options);
  const book = log.book("bench");
  return {
    log,
    append: (data, tags) => book.append(data, { tags }).then(({ seqnum }) => seqnum),
    read: async (seqnum) => {
      const record = await book.readNext({ from: Number(seqnum) });
      return record?.seqnum === seqnum ? record.data : undefined;
    },
    close: () => log.close(),
  };
}
