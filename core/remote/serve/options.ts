/** What `serve` takes, checked; and the rule that what is reached from outside asks who is there. */
import { createSecureContext } from "node:tls";
import { checkBoolean, checkOptions, checkTimeout, show } from "../../check.js";
import { checkTokens, type Grant, type TokenEntry, TokenFile } from "./token-file.js";
import type { Logger } from "./watch.js";

export interface ServeOptions {
  /** "HOST:PORT"; port 0 is any that is free. Default "127.0.0.1:7464". */
  readonly listen?: string | undefined;
  /** Speak TLS. */
  readonly tls?: ServeTls | undefined;
  /** Who may do what: the path of a token file, which is read again when it changes, or its entries. Without, everybody may do all. */
  readonly tokens?: string | readonly TokenEntry[] | undefined;
  /** "HOST:PORT" of metrics, health and the status page over HTTP, for anybody who can reach it. Default: none. */
  readonly http?: string | undefined;
  /** Listen also where others can reach it without TLS and without saying who they are. */
  readonly insecure?: boolean | undefined;
  /** How long `close` lets clients take their answers, ms. Default 5,000. */
  readonly graceMs?: number | undefined;
  /** Where to tell what happens; pino fits. Default: nowhere. */
  readonly logger?: Logger | undefined;
}

/** Texts of PEM files. */
export interface ServeTls {
  /** The certificate, and those between it and its authority. */
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Authorities of clients: each client must show a certificate of one of them. */
  readonly clientCa?: string | Uint8Array | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ServeSettings extends Omit<ServeOptions, "listen" | "http" | "graceMs"> {
  readonly listen: Address;
  readonly http: Address | undefined;
  readonly graceMs: number;
}

export const defaultListen = "127.0.0.1:7464";

const optionNames = new Set(["listen", "tls", "tokens", "http", "insecure", "graceMs", "logger"]);
const tlsNames = new Set(["cert", "key", "clientCa"]);

function checkServe(options: ServeOptions): ServeSettings {
  checkOptions("serve", options ?? null, optionNames);
  const { listen = defaultListen, tls, tokens, http, insecure, graceMs = 5000, logger } = options;
  const settings = {
    listen: addressIn("listen", listen),
    tls,
    tokens,
    http: http === undefined ? undefined : addressIn("http", http),
    insecure,
    graceMs,
    logger,
  };
  checkServeTls(tls);
  if (tokens !== undefined && (typeof tokens !== "string" || tokens === "") && !Array.isArray(tokens))
    throw new TypeError(`tokens must be the path of a token file, or its entries, not ${show(tokens)}`);
  checkBoolean("insecure", insecure);
  checkTimeout("graceMs", graceMs);
  for (const level of ["debug", "info", "warn", "error"] as const)
    if (logger !== undefined && typeof logger?.[level] !== "function")
      throw new TypeError(
        `logger must have the functions debug, info, warn and error, as pino has; ${show(logger)} has no ${level}`,
      );
  refuseOpenDoor(settings);
  return settings;
}

/** What `serve` can know to be wrong without a log. */
export async function checkServing(
  options: ServeOptions,
): Promise<{ settings: ServeSettings; file: TokenFile | undefined; grants: Grant[] | undefined }> {
  const settings = checkServe(options);
  const { tokens } = settings;
  const file = typeof tokens === "string" ? new TokenFile(tokens) : undefined;
  const grants = typeof tokens === "object" ? checkTokens(tokens, "token") : await file?.read();
  return { settings, file, grants };
}

function addressIn(what: string, text: unknown): Address {
  const [, host = "", port = ""] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+):(\d{1,5})$/i.exec(String(text)) ?? [];
  if (typeof text !== "string" || host === "" || Number(port) > 65_535)
    throw new TypeError(`${what} must be HOST:PORT, such as "127.0.0.1:7464" or "[::1]:7464", not ${show(text)}`);
  return { host: host.replace(/[[\]]/g, ""), port: Number(port) };
}

export function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function checkServeTls(tls: unknown): void {
  if (tls === undefined) return;
  checkOptions("tls", (tls ?? null) as object, tlsNames);
  const { cert, key, clientCa } = tls as Record<string, unknown>;
  for (const [name, value] of Object.entries({ cert, key, ...(clientCa === undefined ? undefined : { clientCa }) })) {
    if (typeof value !== "string" && !(value instanceof Uint8Array))
      throw new TypeError(`tls.${name} must be the text of a PEM file, not ${show(value)}`);
  }
  const given = tls as ServeTls;
  try {
    createSecureContext({ cert: pem(given.cert), key: pem(given.key) });
  } catch (error) {
    throw new TypeError(`tls.cert and tls.key are no certificate with its key: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (given.clientCa !== undefined && !pem(given.clientCa).includes("-----BEGIN CERTIFICATE-----"))
    throw new TypeError("tls.clientCa has no certificate in it; give the text of a PEM file");
}

export function pem(text: string | Uint8Array): Buffer {
  return Buffer.from(text as string);
}

/** Others can reach it: then it speaks TLS and asks who is there, or somebody has said that it need not. */
function refuseOpenDoor({
  listen,
  tls,
  tokens,
  insecure,
}: Pick<ServeSettings, "listen" | "tls" | "tokens" | "insecure">): void {
  if (isLoopback(listen.host) || insecure === true) return;
  const missing = [
    ...(tls === undefined ? ["TLS"] : []),
    ...(tokens === undefined && tls?.clientCa === undefined ? ["tokens or certificates of clients"] : []),
  ];
  if (missing.length > 0)
    throw new TypeError(
      `others can reach ${addressText(listen)}, and it would be without ${missing.join(" and without ")}; add that, listen at 127.0.0.1, or say that it shall be so (insecure: true, --insecure)`,
    );
}

export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i.test(host);
}
