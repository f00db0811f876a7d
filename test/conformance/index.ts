/**
 * The conformance suite of the log's contract: what every log must do, in this process or behind a server, by the promises L1 to L10.
 *
 *     import { conformance } from "boki/conformance";
 *     conformance({ describe, it, name: "my log", subject: () => new MySubject() });
 *
 * It brings no test runner: `describe` and `it` are the caller's, and `subject` is called once for each case.
 */
import { append } from "./append.js";
import { badArguments } from "./arguments.js";
import { conditions } from "./conditions.js";
import { reads } from "./reads.js";
import type { Runner, Subject } from "./suite.js";
import { subscriptions } from "./subscriptions.js";
import { trims } from "./trims.js";
import { waits } from "./waits.js";

export type { Runner, Subject } from "./suite.js";

export function conformance(options: Runner & { readonly name: string; subject(): Subject }): void {
  const { describe, it, name } = options;
  describe(`${name} conforms to the contract of the log`, () => {
    const suite = { describe, it, subject: () => options.subject() };
    for (const cases of [append, conditions, reads, waits, subscriptions, trims, badArguments]) cases(suite);
  });
}
