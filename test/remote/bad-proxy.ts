/**
 * A way between clients and a server that is bad, at random under a seed: connections are cut in both manners, also in the middle of
 * what is said, held up, delayed, stretched to single bytes, and stutter, so that what comes is no HTTP/2 any more.
 */
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import { pick } from "../../core/testing/random.js";

const faults = ["none", "refuse", "reset", "end", "truncate", "stall", "delay", "bytes", "stutter"] as const;
export type FaultKind = (typeof faults)[number];

/** Longest time that something is held up, ms. */
const stallMs = 400;
/** Bytes that are sent one by one. */
const singleBytes = 3000;

export class BadProxy {
  readonly happened = new Map<FaultKind, number>();
  isCalm = false;
  readonly #target: number;
  readonly #random: () => number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number, random: () => number) {
    this.#target = target;
    this.#random = random;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async start(target: number, random: () => number): Promise<BadProxy> {
    const proxy = new BadProxy(target, random);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `grpc://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on it is a good way. What is under way is cut. */
  calm(): void {
    this.isCalm = true;
    this.cut();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    const fault = this.isCalm ? "none" : pick(this.#random, faults);
    this.happened.set(fault, (this.happened.get(fault) ?? 0) + 1);
    if (fault === "refuse") {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target, "127.0.0.1");
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    // A client that hears no HTTP/2 any more notices only when its ping is not answered, after 15 s: too long here.
    const isUp = fault === "stutter" || this.#random() < 0.5;
    const after = Math.floor(this.#random() ** 3 * 60_000);
    pass(client, server, isUp ? fault : "none", after, this.#random);
    pass(server, client, isUp ? "none" : fault, after, this.#random);
    // Whatever it was, it does not last.
    if (!this.isCalm) setTimeout(() => client.resetAndDestroy(), 100 + this.#random() * 1500).unref();
  }
}

/** Passes on what comes from one side; after so many bytes the fault begins. */
function pass(from: Socket, to: Socket, fault: FaultKind, after: number, random: () => number): void {
  let passed = 0;
  let last = Promise.resolve();
  from.on("data", (chunk: Buffer) => {
    passed += chunk.length;
    if (passed <= after || fault === "none") {
      if (!to.write(chunk)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
      return;
    }
    from.pause();
    last = last.then(() => broken(chunk)).then(() => void from.resume());
  });
  from.on("end", () => void last.then(() => to.end()));

  async function broken(chunk: Buffer): Promise<void> {
    if (fault === "reset") to.resetAndDestroy();
    if (fault === "end") to.end();
    if (fault === "truncate") to.end(chunk.subarray(0, Math.floor(random() * chunk.length)));
    if (fault === "reset" || fault === "end" || fault === "truncate") {
      from.destroy();
      return;
    }
    if (fault === "stall" || fault === "delay") {
      await new Promise((done) => setTimeout(done, random() * (fault === "stall" ? stallMs : 5)));
      to.write(chunk);
      // What stalled may also never go on.
      if (fault === "stall" && random() < 0.5) from.resetAndDestroy();
    }
    if (fault === "bytes") {
      for (const byte of chunk.subarray(0, singleBytes)) {
        to.write(Buffer.of(byte));
        await new Promise((done) => setImmediate(done));
      }
      to.write(chunk.subarray(singleBytes));
    }
    if (fault === "stutter") {
      to.write(chunk);
      to.write(chunk.subarray(-1 - Math.floor(random() * 8)));
    }
  }
}
