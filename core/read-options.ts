/** What reads take, checked; the same wherever the log is. */
import { checkBoolean, checkOptions, checkSeqNum, checkSignal, checkTag, checkTimeout } from "./check.js";
import type { HeadOnly, ReadNextOptions, ReadOptions, ReadPrevOptions } from "./types.js";

export type Next = ReadNextOptions | HeadOnly<ReadNextOptions>;
export type Prev = ReadPrevOptions | HeadOnly<ReadPrevOptions>;
export type Read = ReadOptions | HeadOnly<ReadOptions>;

const nextOptions = new Set(["tag", "from", "head", "wait", "timeoutMs", "signal"]);
const prevOptions = new Set(["tag", "upTo", "head", "signal"]);
const readOptions = new Set(["tag", "from", "to", "reverse", "follow", "head", "signal"]);

/** All but the tag, which is looked at where it is looked up. */
export function checkNext(options: Next): void {
  checkOptions("readNext", options, nextOptions);
  const { from, head, wait, timeoutMs, signal } = options;
  if (from !== undefined) checkSeqNum("from", from);
  checkBoolean("head", head);
  checkBoolean("wait", wait);
  checkTimeout("timeoutMs", timeoutMs);
  checkSignal("signal", signal);
}

/** All but the tag. */
export function checkPrev(options: Prev): void {
  checkOptions("readPrev", options, prevOptions);
  const { upTo, head, signal } = options;
  if (upTo !== undefined) checkSeqNum("upTo", upTo);
  checkBoolean("head", head);
  checkSignal("signal", signal);
}

/** Called at the first step of an iteration. */
export function checkRead(options: Read): void {
  checkOptions("read", options, readOptions);
  const { tag, from, to, reverse, follow, head, signal } = options;
  if (tag !== undefined) checkTag(tag);
  if (from !== undefined) checkSeqNum("from", from);
  if (to !== undefined) checkSeqNum("to", to);
  checkBoolean("reverse", reverse);
  checkBoolean("follow", follow);
  checkBoolean("head", head);
  if (reverse === true && follow === true)
    throw new TypeError("read cannot follow in reverse; leave one of the two away");
  checkSignal("signal", signal);
}
