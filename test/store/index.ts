/**
 * The cases of BokiStore, for any log that can be opened twice: what a user of the store can rely on.
 *
 * `subject` is called once for each case, with the clock that the log is to run on where the case needs one.
 */
import { closing } from "./closing.js";
import { expiry } from "./expiry.js";
import { finding } from "./finding.js";
import { badInput } from "./input.js";
import { objects } from "./objects.js";
import { retention } from "./retention.js";
import { time } from "./time.js";
import { transactions } from "./transactions.js";
import { unique } from "./unique.js";
import { values } from "./values.js";
import type { Suite } from "./suite.js";

export function storeCases(suite: Suite & { readonly name: string }): void {
  suite.describe(`${suite.name} has a store`, () => {
    for (const cases of [objects, transactions, finding, unique, time, retention, expiry, values, badInput, closing])
      cases(suite);
  });
}
