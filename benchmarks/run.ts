/** npm run bench -- SUITE [--quick] [--json FILE] */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { alternate, Measurements } from "./harness/measure.js";
import { commit, machine, picture, type Report, text } from "./harness/report.js";
import type { Suite } from "./harness/suite.js";
import { logSuite } from "./suites/log.js";
import { remoteSuite } from "./suites/remote.js";
import { storeSuite } from "./suites/store.js";

const suites: readonly Suite[] = [logSuite, storeSuite, remoteSuite];
const usage = `usage: npm run bench -- SUITE [--quick] [--json FILE]\n\nsuites: ${suites.map(({ name }) => name).join(", ")}`;

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const suite = suites.find(({ name }) => name === positionals[0]);
  if (values.help || suite === undefined || positionals.length !== 1) {
    if (!values.help)
      console.error(
        positionals[0] === undefined
          ? "no suite is named"
          : `there is no suite ${JSON.stringify(positionals.join(" "))}`,
      );
    console.error(usage);
    return values.help ? 0 : 2;
  }
  const json = resolve(values.json ?? `benchmarks/results/${suite.name}.json`);
  const folder = resolve(".tmp", `bench-${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const skipped: { system: string; why: string }[] = [];
  const say = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[2K${line}`));
  let state = 42;
  const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const skip = (system: string, why: string): void => void skipped.push({ system, why });
  try {
    const plan = await suite.run({ quick: values.quick, folder, random, say, skip });
    const measurements = new Measurements();
    // One round that does not count: everything is compiled and warm.
    await alternate(plan.tasks, 1, new Measurements(), (line) => say(`warm-up, ${line}`));
    await alternate(plan.tasks, plan.rounds, measurements, say);
    measurements.add(0, await plan.end());
    say("");
    const report: Report = {
      suite: suite.name,
      quick: values.quick,
      machine: machine(),
      node: process.version,
      commit: commit(),
      results: measurements.results(),
      ratios: measurements.ratios(plan.ratios),
      skipped,
    };
    mkdirSync(dirname(json), { recursive: true });
    writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
    const svg = `${json.replace(/\.json$/, "")}.svg`;
    writeFileSync(svg, picture(report, suite.unit));
    console.log(`${text(report, suite.about)}\n\n${json}\n${svg}`);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// After a fault there are servers and connections that would keep it going.
process.exit(
  await main().catch((error: unknown) => {
    console.error(error instanceof TypeError && "code" in error ? `${error.message}\n${usage}` : error);
    return 2;
  }),
);
