/** A way to a server that can be held up and cut. */
import { connect, createServer, type Socket } from "node:net";
import { once } from "node:events";

export interface Way {
  readonly url: string;
  /** What the server says does not arrive any more, on the connections that there are. */
  hold(): void;
  /** Breaks the connections; new ones go through. */
  cut(): void;
  /** Breaks them, and there is no way any more. */
  close(): Promise<void>;
}

export async function wayTo(port: number): Promise<Way> {
  const pairs = new Set<readonly [near: Socket, far: Socket]>();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    const pair = [near, far] as const;
    pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const socket of pair) {
      socket.on("error", () => undefined);
      socket.on("close", () => {
        pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    url: `grpc://127.0.0.1:${(server.address() as { port: number }).port}`,
    hold: () => {
      for (const [near, far] of pairs) {
        far.unpipe(near);
        far.pause();
      }
    },
    cut,
    close: async () => {
      server.close();
      cut();
      if (server.listening) await once(server, "close");
    },
  };
}
