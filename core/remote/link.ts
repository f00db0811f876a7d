/** A link to a log of this very process: frames are handed over, not sent. */
import type { LogError } from "../errors.js";
import type { Session } from "../log.js";
import type { Link, LinkEvents } from "./connection.js";
import { errorOf } from "./fault.js";
import { allRights } from "./rights.js";
import { Serving } from "./serving.js";
import { heard } from "./wire.js";

export function localLink(log: Session, events: LinkEvents): Link {
  let isReading = true;
  const serving = new Serving(log, allRights, {
    send: (frame) => {
      setImmediate(() => events.frame(frame));
      return true;
    },
    setReading: (now) => {
      isReading = now;
      if (now) setImmediate(() => events.drain());
    },
    end: (fault) => setImmediate(() => events.closed(errorOf(fault) as LogError)),
  });
  return {
    send: (frame) => {
      const told = heard(frame);
      setImmediate(() => serving.frame(told));
      return isReading;
    },
    close: () => serving.close(),
  };
}
