#!/usr/bin/env node
/** The door of the command line: `boki COMMAND ...`. One file a command; what they share is in command.ts. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { appendCommand } from "./append.js";
import { backupCommand } from "./backup.js";
import { exitCodeHelp, exitCodes } from "./exit.js";
import { exportCommand } from "./export.js";
import { importCommand } from "./import.js";
import { readCommand } from "./read.js";
import { repairCommand } from "./repair.js";
import { restoreCommand } from "./restore.js";
import { serveCommand } from "./serve.js";
import { statCommand } from "./stat.js";
import { tailCommand } from "./tail.js";
import { trimCommand } from "./trim.js";
import { verifyCommand } from "./verify.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const boki = new Command("boki")
  .description(
    "Look into logs, write to them, and serve them. LOG is the folder of a log, such as ./data, or its url (file:DIR, grpc://HOST:PORT).",
  )
  .version(version, "-V, --version", "print the version")
  .helpOption("-h, --help", "print help")
  .helpCommand("help [command]", "print help for a command")
  .addHelpText("after", `\nExample:\n  boki read ./data --book orders\n\n${exitCodeHelp}`);

const commands = [
  appendCommand(),
  readCommand(),
  tailCommand(),
  statCommand(),
  serveCommand(),
  importCommand(),
  exportCommand(),
  trimCommand(),
  verifyCommand(),
  repairCommand(),
  backupCommand(),
  restoreCommand(),
];
for (const made of commands) boki.addCommand(made);

// Its own errors are wrong command lines: they end with our code, and with a line that shows how it goes.
for (const made of [boki, ...commands]) {
  const path = made === boki ? "boki" : `boki ${made.name()}`;
  made
    .helpOption("-h, --help", "print help")
    .exitOverride()
    .showHelpAfterError(`usage: ${path} ${made.usage()}\nMore: ${path} --help`);
}

try {
  await boki.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
}
