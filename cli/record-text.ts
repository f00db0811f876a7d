/**
 * Records as text: a line for people, and the JSON line that export writes and import reads.
 *
 * `data` is a string where the bytes are UTF-8, so that nothing is lost by it, else `{ "base64": "..." }`.
 */
import { isUtf8 } from "node:buffer";
import type { AppendInput, LogRecord, RecordHead } from "../core/index.js";

type JsonData = string | { readonly base64: string };

export function jsonData(data: Uint8Array): JsonData {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  return isUtf8(bytes) ? bytes.toString("utf8") : { base64: bytes.toString("base64") };
}

/** What `--json` prints of a record; import takes it too. */
export function jsonRecord(record: LogRecord | RecordHead): object {
  const { seqnum, time, tags, size } = record;
  return { seqnum, time, tags, size, ...("data" in record ? { data: jsonData(record.data) } : {}) };
}

/** Seqnum, time, tags and data, separated by tabs; one line whatever they contain. */
export function recordLine(record: LogRecord | RecordHead): string {
  const time = new Date(record.time).toISOString();
  const tags = record.tags.map(printable).join(",");
  return [record.seqnum, time, tags, "data" in record ? dataText(record.data) : `${record.size} bytes`].join("\t");
}

function dataText(data: Uint8Array): string {
  const text = jsonData(data);
  return typeof text === "string" ? printable(text) : `base64:${text.base64}`;
}

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Without what would break the line or command the terminal. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    (character) => escapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const fields = new Set(["data", "tags", "time", "seqnum", "size"]);

/** One line of an import. Throws an Error that says what is wrong with it. Tags and sizes are the log's to judge. */
export function parseRecord(line: Uint8Array): AppendInput {
  if (!isUtf8(line)) throw new Error("it is not UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString("utf8"));
  } catch (error) {
    throw new Error(`it is not JSON (${(error as Error).message})`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("it is not a JSON object");
  for (const name in value) {
    if (!fields.has(name))
      throw new Error(`it has a field ${JSON.stringify(name)}, not one of ${[...fields].join(", ")}`);
  }
  const { data, tags } = value as { data?: unknown; tags?: unknown };
  return { data: parseData(data), tags: tags as readonly string[] };
}

function parseData(data: unknown): Uint8Array {
  if (typeof data === "string") {
    // An unpaired surrogate has no UTF-8: something else would be read back.
    if (!data.isWellFormed()) throw new Error("its data has an unpaired surrogate");
    return Buffer.from(data);
  }
  const base64 = (data as { base64?: unknown } | null | undefined)?.base64;
  if (typeof base64 !== "string") throw new Error('its data is neither a string nor { "base64": "..." }');
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64) throw new Error("its base64 is damaged");
  return bytes;
}
