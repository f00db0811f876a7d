/** For all tests: what they leave open is a failure, told by its kind, and does not hold up whoever waits for the result. */
import type { RootHookObject } from "mocha";

const patienceMs = 10_000;

export const mochaHooks: RootHookObject = {
  afterAll() {
    // Does not hold the process open itself.
    setTimeout(() => {
      const open = process.getActiveResourcesInfo().join(", ");
      console.error(`The tests have ended, but the process is held open: ${open}`);
      // After mocha's own, which gives the number of failures.
      process.on("exit", () => (process.exitCode = 1));
      process.exit();
    }, patienceMs).unref();
  },
};
