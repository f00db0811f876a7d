/**
 * MongoDB at MONGODB_URL, a replica set: w: majority, j: true, 64 connections. A deposit is one update; a transfer is a
 * transaction with two, which the client runs again when it is refused. Its snapshots are weaker than serializable.
 */
import { type Account, type Accounts, type Bank, totalsOf } from "../harness/accounts.js";
import { client, Missing, type Peer } from "../harness/peer.js";

type Stored = Account & { readonly _id: string };
type Changed = { readonly modifiedCount: number };
type Filter = { readonly _id?: string };

interface Change {
  readonly $inc: { readonly balance: number; readonly changes: number };
}

interface MongoCollection {
  deleteMany(filter: Filter): Promise<unknown>;
  insertMany(documents: readonly Stored[]): Promise<unknown>;
  updateOne(filter: Filter, change: Change): Promise<Changed>;
  bulkWrite(
    changes: readonly { updateOne: { filter: Filter; update: Change } }[],
    options: { session: Session },
  ): Promise<Changed>;
  find(filter: Filter): { toArray(): Promise<Stored[]> };
}

interface Session {
  withTransaction(body: () => Promise<void>, options: object): Promise<unknown>;
}

interface MongoDatabase {
  command(command: object): Promise<{ setName?: string }>;
  collection(name: string): MongoCollection;
  dropDatabase(): Promise<unknown>;
}

interface MongoClient {
  connect(): Promise<unknown>;
  db(name: string): MongoDatabase;
  withSession(body: (session: Session) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

const writeConcern = { w: "majority", journal: true };
const transaction = { readConcern: { level: "snapshot" }, writeConcern };

export const mongodbBank = ({ keys, values }: Accounts): Peer<Bank> => ({
  name: "mongodb",
  async start() {
    const mongo = await connect();
    const database = mongo.db(`boki_bench_${process.pid}`);
    const accounts = database.collection("accounts");
    return {
      async open() {
        await accounts.deleteMany({});
        await accounts.insertMany(values.map((value, i) => ({ _id: keys[i]!, ...value })));
        return {
          async deposit(key) {
            expect(1, await accounts.updateOne({ _id: key }, change(1)));
          },
          transfer: (from, to) =>
            mongo.withSession(async (session) => {
              const changes = [
                { updateOne: { filter: { _id: from }, update: change(-1) } },
                { updateOne: { filter: { _id: to }, update: change(1) } },
              ];
              await session.withTransaction(
                async () => expect(2, await accounts.bulkWrite(changes, { session })),
                transaction,
              );
            }),
          totals: async () => totalsOf(await accounts.find({}).toArray()),
          close: () => Promise.resolve(),
        };
      },
      async stop() {
        await database.dropDatabase();
        await mongo.close();
      },
    };
  },
});

async function connect(): Promise<MongoClient> {
  const url = process.env["MONGODB_URL"];
  if (url === undefined || url === "") throw new Missing("MONGODB_URL is not set");
  const { MongoClient } = client("mongodb") as { MongoClient: new (url: string, options: object) => MongoClient };
  const mongo = new MongoClient(url, { writeConcern, maxPoolSize: 64, serverSelectionTimeoutMS: 5000 });
  try {
    await mongo.connect();
    const { setName } = await mongo.db("admin").command({ hello: 1 });
    if (setName === undefined) throw new Error("it is not a replica set, so it has no transactions");
  } catch (error) {
    await mongo.close();
    throw new Missing(`the server at MONGODB_URL: ${(error as Error).message}`);
  }
  return mongo;
}

function change(amount: number): Change {
  return { $inc: { balance: amount, changes: 1 } };
}

function expect(count: number, { modifiedCount }: Changed): void {
  if (modifiedCount !== count) throw new Error(`mongodb changed ${modifiedCount} accounts`);
}
