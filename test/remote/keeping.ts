/** The test's end of keeper.ts. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export class Keeper {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL("keeper.js", import.meta.url)));

  async open(folder: string): Promise<void> {
    await this.#tell("open", folder);
  }

  async close(folder: string): Promise<void> {
    await this.#tell("close", folder);
  }

  async #tell(what: "open" | "close", folder: string): Promise<void> {
    this.#child.send([what, folder]);
    const [answer] = (await once(this.#child, "message")) as [string];
    if (answer !== folder) throw new Error(answer);
  }

  /** Stops the process, and lets it go on. */
  stop(): void {
    this.#child.kill("SIGSTOP");
  }

  goOn(): void {
    this.#child.kill("SIGCONT");
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill(signal);
    await exited;
  }
}
