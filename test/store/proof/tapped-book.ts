/** A book with taps on it: what a library appends, trims and reads can be watched, held up, changed or made to fail. */
import type { AppendResult, Condition, LogBook, LogRecord, ReadOptions, TrimOptions } from "../../../core/index.js";

export interface AppendCall {
  readonly data: Uint8Array;
  readonly options: {
    readonly tags: readonly string[];
    readonly unless?: readonly Condition[] | undefined;
    readonly signal?: AbortSignal | undefined;
  };
}

export interface Taps {
  append?(call: AppendCall, next: (call: AppendCall) => Promise<AppendResult>): Promise<AppendResult>;
  trim?(options: TrimOptions, next: () => Promise<void>): Promise<void>;
  read?(options: ReadOptions, next: () => AsyncIterableIterator<LogRecord>): AsyncIterableIterator<LogRecord>;
}

/** The taps are looked up at each call, so that they can be changed at any time. */
export function tapped(book: LogBook, taps: Taps): LogBook {
  const append = (data: Uint8Array, options: AppendCall["options"]): Promise<AppendResult> => {
    const next = (call: AppendCall): Promise<AppendResult> => book.append(call.data, call.options as never);
    return taps.append === undefined ? next({ data, options }) : taps.append({ data, options }, next);
  };
  const trim = (options: TrimOptions): Promise<void> =>
    taps.trim === undefined ? book.trim(options) : taps.trim(options, () => book.trim(options));
  const read = (options: ReadOptions = {}): AsyncIterableIterator<LogRecord> =>
    taps.read === undefined ? book.read(options) : taps.read(options, () => book.read(options));
  const replaced: Readonly<Record<string | symbol, unknown>> = { append, trim, read };
  return new Proxy(book, {
    get(target, name) {
      const value: unknown = replaced[name] ?? Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A commit rule that is broken: no commit has conditions. */
export const withoutConditions: Taps = {
  append: ({ data, options }, next) => next({ data, options: { tags: options.tags } }),
};
