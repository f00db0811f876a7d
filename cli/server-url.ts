/** Logs that a server has: how the command line gets in, by the environment, so that no secret is in a list of processes. */
import { readFileSync } from "node:fs";
import type { OpenOptions, TlsOptions } from "../core/index.js";
import { UsageError } from "./exit.js";

/** Nobody at a terminal waits as long as a program does, ms. */
const timeoutMs = 10_000;

export const serverHelp = `
Environment, for a url grpc://HOST:PORT:
  BOKI_TOKEN                    the token, or BOKI_TOKEN_FILE, a file that has it
  BOKI_TLS=1                    speak TLS, trusting what this machine trusts
  BOKI_TLS_CA                   speak TLS, trusting the authorities in this PEM file
  BOKI_TLS_CERT, BOKI_TLS_KEY   PEM files to show, for a server that asks for a certificate
  BOKI_TLS_NAME                 the name in the server's certificate, where it is not HOST
`;

export function isServer(url: string): boolean {
  return /^grpc:/i.test(url);
}

/** What `openLog` needs for a server. */
export function serverOptions(): OpenOptions {
  return { timeoutMs, token: tokenOf(), tls: tlsOf() };
}

function tokenOf(): string | undefined {
  const file = variable("BOKI_TOKEN_FILE");
  return variable("BOKI_TOKEN") ?? (file === undefined ? undefined : fileIn("BOKI_TOKEN_FILE", file).trim());
}

function tlsOf(): TlsOptions | boolean {
  const [ca, cert, key] = (["BOKI_TLS_CA", "BOKI_TLS_CERT", "BOKI_TLS_KEY"] as const).map((name) => {
    const file = variable(name);
    return file === undefined ? undefined : fileIn(name, file);
  });
  const serverName = variable("BOKI_TLS_NAME");
  const asked = variable("BOKI_TLS");
  if (asked !== undefined && asked !== "0" && asked !== "1")
    throw new UsageError(`BOKI_TLS must be 1 or 0, not ${asked}`);
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError("BOKI_TLS_CERT and BOKI_TLS_KEY belong together; give both or neither");
  const options = Object.entries({ ca, cert, key, serverName }).filter(([, value]) => value !== undefined);
  if (options.length === 0) return asked === "1";
  if (asked === "0")
    throw new UsageError("BOKI_TLS is 0, and there are other variables BOKI_TLS_...; take away either");
  return Object.fromEntries(options);
}

/** One that is empty counts as none. */
function variable(name: string): string | undefined {
  return process.env[name] || undefined;
}

/** The text of a file that an option or a variable names. */
export function fileIn(name: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${name} names a file that cannot be read: ${(error as Error).message}`);
  }
}
