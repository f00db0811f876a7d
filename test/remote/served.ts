/** A server as its users start it, in this process, and what tests want to know of it. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Log, type OpenOptions, openLog } from "../../core/index.js";
import type { Logger, Served, ServeOptions } from "../../core/remote/serve/serve.js";
import { serve } from "../../core/remote/serve/serve.js";

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps lines. */
export class Lines implements Logger {
  readonly lines: Line[] = [];

  #add(level: string, fields: object, message: string): void {
    this.lines.push({ level, fields: fields as Record<string, unknown>, message });
  }

  debug = (fields: object, message: string): void => this.#add("debug", fields, message);
  info = (fields: object, message: string): void => this.#add("info", fields, message);
  warn = (fields: object, message: string): void => this.#add("warn", fields, message);
  error = (fields: object, message: string): void => this.#add("error", fields, message);

  of(message: string): Line[] {
    return this.lines.filter((line) => line.message === message);
  }
}

export interface Running extends Served {
  readonly log: Log;
  readonly lines: Lines;
  /** Opens the log as a client; it is closed at the end. */
  client(options?: OpenOptions): Promise<Log>;
}

/** Servers and clients of one test, closed at its end. */
export function useServer(): {
  readonly start: (options?: ServeOptions, openOptions?: OpenOptions & { readonly url?: string }) => Promise<Running>;
} {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  return {
    async start(options = {}, { url = "memory:", ...openOptions } = {}) {
      const log = await openLog(url, openOptions);
      ends.push(() => log.close());
      const lines = new Lines();
      const served = await serve(log, { listen: "127.0.0.1:0", logger: lines, graceMs: 1000, ...options });
      ends.push(() => served.close());
      const client = async (more?: OpenOptions): Promise<Log> => {
        const opened = await openLog(served.url, { timeoutMs: 5000, ...more });
        ends.push(() => opened.close());
        return opened;
      };
      return Object.assign(served, { log, lines, client });
    },
  };
}

/** Waits for something that other parts of the process bring about. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 8000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it did not come to pass: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Certificates, made anew for each run, so that none expires in a repository. */
export interface Certificates {
  readonly folder: string;
  readonly path: (name: string) => string;
  readonly text: (name: string) => string;
}

/** Makes authorities and certificates: "ca", "other-ca"; "server" for localhost and 127.0.0.1, "client", "stranger" of other-ca. */
export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "boki-certificates-"));
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  for (const ca of ["ca", "other-ca"])
    openssl("req", "-x509", ...curve, "-subj", `/CN=${ca}`, "-keyout", `${ca}.key`, "-out", `${ca}.pem`);
  const make = (name: string, ca: string, ...more: string[]): void =>
    openssl("req", "-x509", ...curve, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-CA", `${ca}.pem`, "-CAkey", `${ca}.key`, ...more); // prettier-ignore
  make("server", "ca", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1");
  make("client", "ca");
  make("stranger", "other-ca");
  const path = (name: string): string => join(folder, name);
  return { folder, path, text: (name) => readFileSync(path(name), "utf8") };
}

/** Skips what needs the openssl of this machine where there is none; a machine that tests for others (CI) has it. */
export function needsOpenssl(context: Mocha.Context): void {
  if (spawnSync("openssl", ["version"]).status !== 0 && process.env["CI"] !== "true") context.skip();
}

export function useCertificates(): Certificates {
  let made: Certificates | undefined;
  before("openssl", function () {
    needsOpenssl(this);
    made = makeCertificates();
  });
  after(() => {
    if (made !== undefined) rmSync(made.folder, { recursive: true });
  });
  return {
    get folder() {
      return made!.folder;
    },
    path: (name) => made!.path(name),
    text: (name) => made!.text(name),
  };
}
