/** boki serve: a log for other processes and machines, until it is told to end. */
import { type Command, Option } from "commander";
import { openLog } from "../core/index.js";
import type { ServeOptions } from "../core/remote/serve/serve.js";
import { action, command, folderUrlOf, type Run } from "./command.js";
import { UsageError } from "./exit.js";
import { fileIn } from "./server-url.js";

interface Flags {
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly tokenFile?: string;
  readonly http: string | false;
  readonly insecure?: true;
  readonly logLevel: string;
}

export function serveCommand(): Command {
  return command("serve <folder>", "Serve a log to other processes and machines; begins the log if there is none", [
    "boki serve ./data",
    "boki serve ./data --listen 0.0.0.0:7464 --tls-cert server.pem --tls-key server.key --token-file tokens.json",
  ])
    .option("--listen <host:port>", "where to listen", "127.0.0.1:7464")
    .option("--tls-cert <file>", "speak TLS with this certificate (PEM)")
    .option("--tls-key <file>", "its key (PEM)")
    .option("--tls-client-ca <file>", "let in only who shows a certificate of these authorities (PEM)")
    .option("--token-file <file>", "who may do what (JSON, see docs/serving.md); without it, everybody may do all")
    .option("--http <host:port>", "where metrics, health and the status page are", "127.0.0.1:7465")
    .option("--no-http", "without them")
    .option("--insecure", "listen where others can reach it also without TLS and without asking who they are")
    .addOption(
      new Option("--log-level <level>", "what to write to stderr, as JSON lines")
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info"),
    )
    .addHelpText(
      "after",
      `
Ctrl-C or SIGTERM answers what was accepted, tells clients to come again later, and ends with exit code 0; a second one ends at
once. SIGHUP reads the token file again, as happens by itself when it changes. The guide is docs/serving.md.`,
    )
    .action(action(serveLog));
}

async function serveLog(run: Run, place: string, flags: Flags): Promise<void> {
  const url = folderUrlOf(place, "serve");
  const options = optionsOf(flags);
  // gRPC has lines of its own, which are none for a program; what it says comes as a fault too.
  process.env["GRPC_VERBOSITY"] ??= "NONE";
  // Loaded here: no other command needs them.
  const [{ serve }, { checkServing }, { pino }] = await Promise.all([
    import("../core/remote/serve/serve.js"),
    import("../core/remote/serve/options.js"),
    import("pino"),
  ]);
  const logger = pino(
    {
      level: flags.logLevel,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
  // What is wrong with the command line is said before a folder is made.
  await checkServing(options);
  await using log = await openLog(url, { signal: run.signal });
  if (log.recovered !== undefined)
    logger.warn({ ...log.recovered }, "bytes torn by a crash, never acknowledged, were cut off");
  await using served = await serve(log, { ...options, logger });
  run.onHangUp = () => {
    served.reload().catch((error: unknown) => {
      logger.error({ reason: (error as Error).message }, "the token file cannot be used; the tokens of before go on");
    });
  };
  if (!run.signal.aborted)
    await new Promise((resolve) => run.signal.addEventListener("abort", resolve, { once: true }));
}

function optionsOf(flags: Flags): ServeOptions {
  const { listen, tlsCert, tlsKey, tlsClientCa, tokenFile, http, insecure } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError("--tls-cert and --tls-key belong together; give both or neither");
  if (tlsClientCa !== undefined && tlsCert === undefined)
    throw new UsageError("--tls-client-ca needs --tls-cert and --tls-key: without TLS nobody shows a certificate");
  const tls = tlsCert !== undefined &&
    tlsKey !== undefined && {
      cert: fileIn("--tls-cert", tlsCert),
      key: fileIn("--tls-key", tlsKey),
      ...(tlsClientCa === undefined ? undefined : { clientCa: fileIn("--tls-client-ca", tlsClientCa) }),
    };
  return {
    listen,
    insecure,
    tokens: tokenFile,
    ...(tls === false ? undefined : { tls }),
    ...(http === false ? undefined : { http }),
  };
}
