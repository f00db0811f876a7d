/**
 * What the wire and two processes cost: raw TCP, all that one turn of the event loop has to say in one piece, as many bytes each way as
 * ours take, and nothing done with them.
 *
 *     client -> server   u32 requests, u32 bytes behind this header, u32 bytes of each answer, the bytes
 *     server -> client   u32 requests, u32 bytes behind this header, the bytes
 */
import net from "node:net";
import type { Connected, Server } from "../harness/remote.js";

const requestHead = 12;
const answerHead = 8;
/** Of an entry beside its data and tags, and of a question. */
const entryOverhead = 40;
const questionBytes = 24;

export async function echoServer(): Promise<Server> {
  let records = 0;
  const server = net.createServer({ noDelay: true }, (socket) => {
    const pieces = new Pieces(requestHead, (head) => head.readUInt32LE(4));
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      const answers: Buffer[] = [];
      pieces.add(chunk, (head) => {
        const [requests, each] = [head.readUInt32LE(0), head.readUInt32LE(8)];
        if (each === 0) records += requests;
        const answer = Buffer.allocUnsafe(answerHead + requests * each);
        answer.writeUInt32LE(requests, 0);
        answer.writeUInt32LE(requests * each, 4);
        answers.push(answer);
      });
      if (answers.length > 0) socket.write(answers.length === 1 ? answers[0]! : Buffer.concat(answers));
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    address: String((server.address() as net.AddressInfo).port),
    count: () => Promise.resolve(records),
    close: () => new Promise((closed) => server.close(() => closed())),
  };
}

export async function connectEcho(address: string, recordBytes: number): Promise<Connected> {
  const socket = net.connect({ port: Number(address), host: "127.0.0.1", noDelay: true });
  await new Promise<void>((done, failed) => socket.once("connect", done).once("error", failed));
  const sides = {
    append: { bytes: recordBytes + 48 + entryOverhead, answer: 0 },
    read: { bytes: questionBytes, answer: recordBytes + 48 + entryOverhead },
  };
  let waiting: (() => void)[] = [];
  let answered = 0;
  let unsaid: { kind: keyof typeof sides; data: Uint8Array }[] = [];
  const pieces = new Pieces(answerHead, (head) => head.readUInt32LE(4));
  socket.on("data", (chunk) => {
    pieces.add(chunk, (head) => {
      for (let requests = head.readUInt32LE(0); requests > 0; requests--) waiting[answered++]!();
      if (answered < 4096) return;
      waiting = waiting.slice(answered);
      answered = 0;
    });
  });
  const speak = (): void => {
    const said = unsaid;
    unsaid = [];
    const { bytes, answer } = sides[said[0]!.kind];
    const frame = Buffer.allocUnsafe(requestHead + said.length * bytes);
    frame.writeUInt32LE(said.length, 0);
    frame.writeUInt32LE(said.length * bytes, 4);
    frame.writeUInt32LE(answer, 8);
    said.forEach(({ data }, i) => frame.set(data, requestHead + i * bytes));
    socket.write(frame);
  };
  const say = (kind: keyof typeof sides, data: Uint8Array): Promise<void> => {
    if (unsaid.length === 0) setImmediate(speak);
    unsaid.push({ kind, data });
    return new Promise((resolve) => waiting.push(resolve));
  };
  const nothing = new Uint8Array(0);
  return {
    append: (data) => say("append", data).then(() => 0),
    read: () => say("read", nothing).then(() => undefined),
    async close() {
      socket.destroy();
    },
  };
}

/** Messages out of a stream of bytes; what is behind a header is only counted. */
class Pieces {
  readonly #headBytes: number;
  readonly #bytesBehind: (head: Buffer) => number;
  #head: Buffer = Buffer.alloc(0);
  #missing = 0;

  constructor(headBytes: number, bytesBehind: (head: Buffer) => number) {
    this.#headBytes = headBytes;
    this.#bytesBehind = bytesBehind;
  }

  /** Calls `fn` with the header of each message that has come to its end. */
  add(chunk: Buffer, fn: (head: Buffer) => void): void {
    let at = 0;
    for (;;) {
      if (this.#head.length < this.#headBytes) {
        const taken = Math.min(this.#headBytes - this.#head.length, chunk.length - at);
        const part = chunk.subarray(at, at + taken);
        this.#head = this.#head.length === 0 ? part : Buffer.concat([this.#head, part]);
        at += taken;
        if (this.#head.length < this.#headBytes) return;
        this.#missing = this.#bytesBehind(this.#head);
      }
      const behind = Math.min(this.#missing, chunk.length - at);
      at += behind;
      this.#missing -= behind;
      if (this.#missing > 0) return;
      fn(this.#head);
      this.#head = Buffer.alloc(0);
    }
  }
}
