/** The door of what needs gRPC: loaded when a url or an option asks for it. */
import grpc from "@grpc/grpc-js";
import type { Settings } from "../open-options.js";
import { parseSession } from "../session-id.js";
import type { Log, OpenOptions, TlsOptions } from "../types.js";
import { RemoteLog } from "./client.js";
import { openLink } from "./grpc.js";

export { LogServer } from "./server.js";
export { openShared, shareLog } from "./share.js";

/** Opens a log that a server has. */
export async function openClient(url: string, address: string, settings: Settings, options: OpenOptions): Promise<Log> {
  const { token, tls, session, signal } = options;
  const serverName = typeof tls === "object" ? tls.serverName : undefined;
  const target = { address, credentials: credentialsOf(tls), token, serverName };
  const seen = session === undefined ? { id: "", position: 0 } : parseSession(session);
  const connect = async (events: Parameters<typeof openLink>[1]): Promise<ReturnType<typeof openLink>> =>
    openLink(target, events);
  return RemoteLog.open(url, { ...settings, connect }, seen, signal);
}

function credentialsOf(tls: boolean | TlsOptions | undefined): grpc.ChannelCredentials {
  if (tls === undefined || tls === false) return grpc.credentials.createInsecure();
  const { ca, cert, key } = tls === true ? ({} as TlsOptions) : tls;
  return grpc.credentials.createSsl(pem(ca), pem(key), pem(cert));
}

function pem(text: string | Uint8Array | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text as string);
}
