/**
 * `boki/server`: a log that this process has, served to others. Tokens, TLS, health, reflection, metrics and the status page around
 * a LogServer.
 */
import type { Server } from "node:http";
import grpc from "@grpc/grpc-js";
import { show } from "../../check.js";
import { LogError } from "../../errors.js";
import { Session } from "../../log.js";
import type { Log } from "../../types.js";
import { allRights } from "../rights.js";
import { LogServer } from "../server.js";
import { Health } from "./health.js";
import { plain, servePages, type Shown } from "./http.js";
import { Metrics } from "./metrics.js";
import {
  type Address,
  addressText,
  checkServing,
  isLoopback,
  pem,
  type ServeOptions,
  type ServeSettings,
  type ServeTls,
} from "./options.js";
import { page } from "./page.js";
import { addReflection } from "./reflection.js";
import type { TokenEntry, TokenFile } from "./token-file.js";
import { Tokens } from "./tokens.js";
import { type Logger, silentLogger, watch } from "./watch.js";

export { LogError } from "../../errors.js";
export type { Right } from "../rights.js";
export type { Logger, ServeOptions, ServeTls, TokenEntry };

/** A server that runs. */
export interface Served {
  /** For `openLog`. */
  readonly url: string;
  readonly port: number;
  /** Of the status page; undefined without `http`. */
  readonly httpUrl: string | undefined;
  /** Reads the token file again, as happens by itself when it changes. When it cannot be used, rejects, and the tokens of before go on. */
  reload(): Promise<void>;
  /** Takes nothing more, answers what was accepted, and tells clients to come again later. The log stays open. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A token file is looked at so often, ms. */
const lookMs = 1000;

/**
 * Serves an opened log to other processes, which open it as "grpc://HOST:PORT".
 *
 * Rejects with TypeError or RangeError on a bad argument, among them an address that others can reach without TLS and
 * authentication, and `LOG_IO` when the port cannot be had or the token file not be read.
 */
export async function serve(log: Log, options: ServeOptions = {}): Promise<Served> {
  if (!(log instanceof Session))
    throw new TypeError(
      `serve takes a log that this process has, opened with "file:DIR" or "memory:", not ${what(log)}`,
    );
  const { settings, file, grants } = await checkServing(options);
  const server = new RunningServer(log, settings, grants && new Tokens(grants, log.clock), file);
  await server.start();
  return server;
}

function what(log: unknown): string {
  const url = (log as Partial<Log> | null | undefined)?.url;
  return typeof url === "string" ? url : show(log);
}

class RunningServer implements Served {
  readonly #log: Session;
  readonly #settings: ServeSettings;
  readonly #tokens: Tokens | undefined;
  readonly #file: TokenFile | undefined;
  #looking: NodeJS.Timeout | undefined;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #server: LogServer;
  readonly #health: Health;
  readonly #startedAt: number;
  #http: Server | undefined;
  #closing: Promise<void> | undefined;
  url = "";
  port = 0;
  httpUrl: string | undefined;

  constructor(log: Session, settings: ServeSettings, tokens: Tokens | undefined, file: TokenFile | undefined) {
    this.#log = log;
    this.#settings = settings;
    this.#tokens = tokens;
    this.#file = file;
    this.#logger = settings.logger ?? silentLogger;
    this.#startedAt = log.clock.now();
    this.#metrics = new Metrics(log, () => this.#server.clients.length);
    const authenticate =
      tokens === undefined ? () => allRights : (token: string | undefined) => tokens.authenticate(token);
    this.#server = new LogServer(
      log,
      authenticate,
      watch(this.#metrics, this.#logger, () => log.clock.now()),
    );
    this.#health = new Health(this.#server.grpc, () => this.#trouble === undefined);
    addReflection(this.#server.grpc, ["log.proto", "grpc/health.proto"]);
  }

  async start(): Promise<void> {
    const { listen, http, tls } = this.#settings;
    try {
      if (http !== undefined) await this.#startHttp(http);
      this.port = await this.#server
        .listen(addressText(listen), credentialsOf(tls))
        .catch((error: unknown) => Promise.reject(portError(listen, error)));
    } catch (error) {
      await this.#release();
      throw error;
    }
    this.url = `grpc://${addressText({ host: listen.host, port: this.port })}`;
    if (this.#file !== undefined) this.#looking = setInterval(() => void this.#look(), lookMs).unref();
    this.#health.changed();
    const fields = {
      url: this.url,
      http: this.httpUrl,
      log: this.#log.url,
      id: this.#log.id,
      tls: tls === undefined ? "none" : tls.clientCa === undefined ? "server" : "server and clients",
      tokens: this.#tokens?.count ?? "none",
    };
    this.#logger.info(fields, "listening");
    this.#warnOfNobody();
    if (!isLoopback(listen.host) && this.#settings.insecure === true)
      this.#logger.warn(
        { url: this.url },
        "whoever reaches this port may be heard, or come in: insecure was asked for",
      );
  }

  async #startHttp(address: Address): Promise<void> {
    const made = await servePages(address, {
      "/": async () => ({ status: 200, type: "text/html; charset=utf-8", text: page(await this.#status()) }),
      "/metrics": async () => ({ status: 200, type: this.#metrics.contentType, text: await this.#metrics.text() }),
      "/healthz": async (): Promise<Shown> =>
        this.#trouble === undefined ? plain(200, "serving") : plain(503, this.#trouble),
    }).catch((error: unknown) => Promise.reject(portError(address, error)));
    this.#http = made.server;
    this.httpUrl = `http://${addressText({ ...address, port: made.port })}/`;
  }

  /** Why it does not serve as it should. */
  get #trouble(): string | undefined {
    if (this.#closing !== undefined) return "shutting down";
    const { fault } = this.#log.engine;
    if (fault !== undefined) return `the log takes no appends: ${fault.message}`;
    return this.#log.closed ? "the log is closed" : undefined;
  }

  async #status(): Promise<Parameters<typeof page>[0]> {
    const { id, url, durability, engine, clock } = this.#log;
    return {
      id,
      url,
      durability,
      tail: await engine.loglet.tail(),
      stats: engine.stats(),
      clients: this.#server.clients,
      metrics: this.#metrics,
      faults: await this.#metrics.faults(),
      trouble: this.#trouble,
      startedAt: this.#startedAt,
      now: clock.now(),
    };
  }

  readonly #look = async (): Promise<void> => {
    try {
      if ((await this.#file!.hasChanged()) && this.#closing === undefined) await this.reload();
    } catch (error) {
      this.#logger.error(
        { reason: (error as Error).message },
        "the token file cannot be used; the tokens of before go on",
      );
    }
  };

  async reload(): Promise<void> {
    if (this.#file === undefined) return;
    this.#tokens!.replace(await this.#file.read());
    this.#logger.info({ tokens: this.#tokens!.count }, "token file read");
    this.#warnOfNobody();
  }

  #warnOfNobody(): void {
    if (this.#tokens?.count === 0) this.#logger.warn({ url: this.url }, "there is no token: nobody is let in");
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#logger.info({ sessions: this.#server.clients.length }, "shutting down");
    // That it closes is known behind this call.
    await Promise.resolve();
    await this.#release();
    this.#logger.info({}, "shut down");
  }

  async #release(): Promise<void> {
    clearInterval(this.#looking);
    this.#health.close();
    await this.#server.close(this.#settings.graceMs);
    this.#tokens?.close();
    const http = this.#http;
    if (http === undefined) return;
    const closed = new Promise<void>((resolve) => http.close(() => resolve()));
    http.closeAllConnections();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function credentialsOf(tls: ServeTls | undefined): grpc.ServerCredentials {
  if (tls === undefined) return grpc.ServerCredentials.createInsecure();
  const { cert, key, clientCa } = tls;
  const pair = { cert_chain: pem(cert), private_key: pem(key) };
  return grpc.ServerCredentials.createSsl(
    clientCa === undefined ? null : pem(clientCa),
    [pair],
    clientCa !== undefined,
  );
}

function portError(address: Address, error: unknown): LogError {
  const { message, code } = error as NodeJS.ErrnoException;
  const inUse = code === "EADDRINUSE" || message.includes("EADDRINUSE");
  return new LogError(
    "LOG_IO",
    `cannot listen at ${addressText(address)}: ${inUse ? "another program does already; choose another port" : message}`,
    {
      cause: error,
    },
  );
}
