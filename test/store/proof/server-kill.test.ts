/** S1, S2 and L8 over several processes: clients of a server that is killed again and again notice nothing, and nothing happens twice. */
import assert from "node:assert/strict";
import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog } from "../../../core/index.js";
import { randomSource } from "../../../core/testing.js";
import { checkListAppend } from "../../check/list-append.js";
import { checkRegisters } from "../../check/registers.js";
import type { Said } from "./client-process.js";
import { explain, type Ran } from "./model.js";
import { accountKeys, Bank } from "./transfers.js";
import { txns } from "./txns.js";

const full = process.env["FULL"] === "1";
const kills = full ? 60 : 5;
const clients = 3;
/** Transfers between two kills, at most. */
const transfersMax = 300;
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

const program = (name: string): string => fileURLToPath(new URL(`${name}.js`, import.meta.url));

/** A server in a process of its own. */
class Server {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown[]>;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#exited = once(child, "exit");
    this.port = port;
  }

  static async start(folder: string, port: number): Promise<Server> {
    const args = [program("server-process"), `file:${folder}`, String(port)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: child.stdout })) return new Server(child, Number(line));
    throw new Error("the server ended before it served");
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    assert.deepEqual(await this.#exited, [null, "SIGKILL"], "the server ended by itself");
  }
}

/** A client in a process of its own. */
class Client {
  readonly acknowledged: Set<string>;
  history: readonly Ran[] | undefined;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown[]>;
  #onTransfer: () => void;

  constructor(url: string, name: number, acknowledged: Set<string>, onTransfer: () => void) {
    this.acknowledged = acknowledged;
    this.#onTransfer = onTransfer;
    const args = [url, String(name), String(seed + name)];
    this.#child = fork(program("client-process"), args, { serialization: "advanced" });
    this.#child.on("message", (said: Said) => {
      if ("history" in said) this.history = said.history;
      else {
        acknowledged.add(said.transfer);
        this.#onTransfer();
      }
    });
    this.#exited = once(this.#child, "exit");
    // Whoever waits for transfers shall see that there will be no more.
    void this.#exited.then(() => this.#onTransfer());
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What it did and saw. */
  async stop(): Promise<readonly Ran[]> {
    if (!this.hasEnded) this.#child.send("stop");
    assert.deepEqual(await this.#exited, [0, null], "a client failed");
    return this.history!;
  }

  kill(): void {
    if (!this.hasEnded) this.#child.kill("SIGKILL");
  }
}

describe("L8 a server that is killed under three client processes", () => {
  it(`is noticed by none of them, and nothing is lost or there twice, in ${kills} kills`, async function () {
    this.timeout(kills * 20_000 + 60_000);
    const folder = mkdtempSync(join(tmpdir(), "boki-server-kill-"));
    const random = randomSource(seed);
    const acknowledged = new Set<string>();
    let server = await Server.start(folder, 0);
    const url = `grpc://127.0.0.1:${server.port}`;
    let transfers = 0;
    let awaited: { readonly count: number; readonly reached: () => void } | undefined;
    const onTransfer = (): void => {
      transfers++;
      if (awaited !== undefined && (transfers >= awaited.count || all.some(({ hasEnded }) => hasEnded)))
        awaited.reached();
    };
    const all: Client[] = [];
    for (let i = 0; i < clients; i++) all.push(new Client(url, i, acknowledged, onTransfer));
    try {
      for (let left = kills; left > 0; left--) {
        const count = transfers + 1 + Math.floor(random() * transfersMax);
        await new Promise<void>((resolve) => (awaited = { count, reached: resolve }));
        assert.ok(
          all.every(({ hasEnded }) => !hasEnded),
          "a client failed",
        );
        await server.kill();
        server = await Server.start(folder, server.port);
      }
      const history = (await Promise.all(all.map((client) => client.stop()))).flat();
      await server.kill();
      await using log = await openLog(`file:${folder}`);
      const bank = new Bank(log.book("bank"));
      await bank.check(acknowledged);
      let sum = 0;
      for await (const { value } of bank.accounts.scan()) sum += value.balance;
      assert.equal(sum, accountKeys.length * 1000);
      await bank.store.close();
      assert.deepEqual(explain(history).faults, []);
      assert.deepEqual(checkRegisters(txns(history, "register")), []);
      assert.deepEqual(checkListAppend(txns(history, "list")), []);
      const done = history.filter(({ status }) => status === "ok").length;
      assert.ok(done > 20 * kills, `${done} of ${history.length} transactions were done`);
    } catch (error) {
      (error as Error).message += ` (SEED=${seed} makes the same choices)`;
      throw error;
    } finally {
      for (const client of all) client.kill();
      await server.kill().catch(() => undefined);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
