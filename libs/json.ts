/**
 * JSON that keeps what JSON has no form for: an object with one key that begins with "$" stands for another value.
 *
 *   {"$undefined":0}        {"$number":"NaN"}        {"$bigint":"12"}          {"$date":"2026-01-01T00:00:00.000Z"}
 *   {"$bytes":"base64"}     {"$map":[[key,value]]}   {"$set":[value]}          {"$date":null} if invalid
 *
 * A plain object that looks like that gets one more "$" before its key.
 */
import { describe } from "./value.js";

/** The text of an accepted value. */
export function encodeJson(value: unknown): string {
  return JSON.stringify(toJson(value));
}

/** The value of a text that `encodeJson` or anybody else wrote. */
export function decodeJson(text: string): unknown {
  return fromJson(JSON.parse(text));
}

function toJson(value: unknown): unknown {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { $number: Object.is(value, -0) ? "-0" : String(value) };
    case "undefined":
      return { $undefined: 0 };
    case "bigint":
      return { $bigint: String(value) };
    case "object":
      return value === null ? null : objectToJson(value);
    case "function":
    case "symbol":
      throw new TypeError(`${describe(value)} cannot be stored`);
    default:
      return value;
  }
}

function objectToJson(value: object): unknown {
  if (Array.isArray(value)) return Array.from(value, toJson);
  if (value instanceof Map) return { $map: Array.from(value, ([key, part]) => [toJson(key), toJson(part)]) };
  if (value instanceof Set) return { $set: Array.from(value, toJson) };
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
  if (value instanceof Uint8Array)
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64") };
  const json = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, toJson(part)]));
  const sign = signOf(json);
  return sign === undefined ? json : { [`$${sign}`]: json[sign] };
}

function fromJson(json: unknown): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(fromJson);
  const sign = signOf(json);
  if (sign !== undefined) return signed(sign, (json as Record<string, unknown>)[sign]);
  const value: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(json)) {
    if (key === "__proto__") throw new Error("a key __proto__ is in this JSON, which no value has");
    value[key] = fromJson(part);
  }
  return value;
}

/** The one key of an object, if it begins with "$". */
function signOf(json: object): string | undefined {
  let sign: string | undefined;
  for (const key in json) {
    if (sign !== undefined || !key.startsWith("$")) return undefined;
    sign = key;
  }
  return sign;
}

function signed(sign: string, json: unknown): unknown {
  switch (sign) {
    case "$undefined":
      return undefined;
    case "$number":
      return Number(json);
    case "$bigint":
      return BigInt(json as string);
    case "$date":
      return new Date(json === null ? NaN : (json as string));
    case "$bytes":
      return new Uint8Array(Buffer.from(json as string, "base64"));
    case "$map":
      return new Map((json as [unknown, unknown][]).map(([key, part]) => [fromJson(key), fromJson(part)]));
    case "$set":
      return new Set((json as unknown[]).map(fromJson));
    default:
      if (sign.startsWith("$$")) return { [sign.slice(1)]: fromJson(json) };
      throw new Error(`${JSON.stringify(sign)} is in this JSON, and stands for nothing that is known`);
  }
}
