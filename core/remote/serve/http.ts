/** Metrics, health and the status page over HTTP, for Prometheus, probes and people. Reading only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Address } from "./options.js";

/** What is shown: the status of the answer, its type and its text. */
export interface Shown {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export type Pages = Readonly<Record<string, () => Promise<Shown>>>;

const headers = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
  "x-content-type-options": "nosniff",
};

/** Serves pages by their paths; gives the server and its port. */
export async function servePages({ host, port }: Address, pages: Pages): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => void answer(pages, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return { server, port: (server.address() as AddressInfo).port };
}

async function answer(pages: Pages, { method, url = "/" }: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, type, text } = await shown(pages, method, url.replace(/\?.*/s, ""));
  response.writeHead(status, {
    ...headers,
    "content-type": type,
    ...(status === 405 ? { allow: "GET, HEAD" } : undefined),
  });
  response.end(method === "HEAD" ? undefined : text);
}

async function shown(pages: Pages, method: string | undefined, path: string): Promise<Shown> {
  if (method !== "GET" && method !== "HEAD") return plain(405, "only GET");
  const made = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (made === undefined) return plain(404, `there are ${Object.keys(pages).join(", ")}`);
  return made().catch((error: unknown) => plain(500, (error as Error).message));
}

export function plain(status: number, text: string): Shown {
  return { status, type: "text/plain; charset=utf-8", text: `${text}\n` };
}
