/** The figures of a server, for Prometheus and for the status page. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Session } from "../../log.js";
import type { LogStats } from "../../types.js";
import type { Outcome } from "../observer.js";

/** Seconds; from a loopback append without a sync to a disk in trouble. */
const buckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5];

/** Of the process, once for all servers in it: what they need to be measured cannot be given back. */
let ofProcess: Registry | undefined;

export class Metrics {
  readonly #registry = new Registry();
  readonly #latency = new Histogram({
    name: "boki_append_seconds",
    help: "From an append's coming in to its answer",
    buckets,
    registers: [this.#registry],
  });
  readonly #faults = new Counter({
    name: "boki_faults_total",
    help: "Calls and appends answered with a fault, by its code",
    labelNames: ["code"],
    registers: [this.#registry],
  });
  /** Counted as plain numbers, since they are counted often. */
  readonly appends: Record<Outcome, number> = { accepted: 0, refused: 0, failed: 0 };
  records = 0;
  received = 0;
  sent = 0;
  sessionsBegun = 0;

  constructor(log: Session, sessions: () => number) {
    const registers = [this.#registry];
    if (ofProcess === undefined) collectDefaultMetrics({ register: (ofProcess = new Registry()) });
    const appends = this.appends;
    new Counter({
      name: "boki_appends_total",
      help: "Appends answered: accepted, refused by their condition, or failed",
      labelNames: ["outcome"],
      registers,
      collect() {
        this.reset();
        for (const [outcome, count] of Object.entries(appends)) this.inc({ outcome }, count);
      },
    });
    const count = (name: string, help: string, value: () => number): void => {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(value());
        },
      });
    };
    count("boki_records_read_total", "Records given to clients", () => this.records);
    count("boki_received_bytes_total", "Bytes of messages from clients", () => this.received);
    count("boki_sent_bytes_total", "Bytes of messages to clients", () => this.sent);
    count("boki_sessions_total", "Sessions begun", () => this.sessionsBegun);
    const gauge = (name: string, help: string, value: () => number): void => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    };
    gauge("boki_sessions", "Sessions now", sessions);
    gauge("boki_log_writable", "1 while the log takes appends", () => (log.engine.fault === undefined ? 1 : 0));
    gauge("boki_log_applied", "The last position that can be read", () => log.engine.applied);
    for (const [name, help, value] of logGauges) gauge(name, help, () => value(log.engine.stats()));
  }

  appended(outcome: Outcome, ms: number): void {
    this.appends[outcome]++;
    this.#latency.observe(ms / 1000);
  }

  fault(code: string): void {
    this.#faults.inc({ code });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In the text form of Prometheus. */
  async text(): Promise<string> {
    return (await this.#registry.metrics()) + (await ofProcess!.metrics());
  }

  /** How often each code was answered. */
  async faults(): Promise<{ readonly code: string; readonly count: number }[]> {
    const { values } = await this.#faults.get();
    return values.map(({ labels, value }) => ({ code: String(labels.code), count: value }));
  }
}

const logGauges: readonly (readonly [name: string, help: string, value: (stats: LogStats) => number])[] = [
  ["boki_log_records", "Records that can be read", ({ records }) => records],
  ["boki_log_tags", "Tags known", ({ tags }) => tags],
  ["boki_log_bytes", "Bytes of entries in the log", ({ logBytes }) => logBytes],
  ["boki_log_disk_bytes", "Bytes reserved on disk", ({ diskBytes }) => diskBytes],
  ["boki_log_index_bytes", "Bytes of the index in memory", ({ indexBytes, tagBytes }) => indexBytes + tagBytes],
  ["boki_log_cache_bytes", "Bytes of records kept in memory", ({ recordCache }) => recordCache.bytes],
  ["boki_log_appends_waiting", "Appends that wait for the disk", ({ appendsWaiting }) => appendsWaiting],
  ["boki_log_reads_waiting", "Reads that wait for a record", ({ readsWaiting }) => readsWaiting],
  ["boki_log_sync_ms", "Moving median of one sync, ms", ({ syncMs }) => syncMs],
  [
    "boki_log_checkpoint_fault",
    "1 while the last checkpoint could not be written",
    ({ checkpointFault }) => (checkpointFault === undefined ? 0 : 1),
  ],
];
