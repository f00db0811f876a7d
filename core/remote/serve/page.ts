/** The status page: what a person wants to see first, as plain HTML. It shows no records, tags or names of books. */
import type { LogStats } from "../../types.js";
import type { Client } from "../observer.js";
import type { Metrics } from "./metrics.js";

export interface Status {
  readonly id: string;
  readonly url: string;
  readonly durability: string;
  readonly tail: number;
  readonly stats: LogStats;
  readonly clients: readonly Client[];
  readonly metrics: Metrics;
  readonly faults: readonly { readonly code: string; readonly count: number }[];
  /** Why it does not serve as it should. */
  readonly trouble: string | undefined;
  readonly startedAt: number;
  readonly now: number;
}

/** Sessions shown. */
const clientsMax = 100;

export function page(status: Status): string {
  const { id, url, durability, tail, stats, clients, metrics, faults, trouble, startedAt, now } = status;
  const { accepted, refused, failed } = metrics.appends;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>boki: ${text(trouble === undefined ? "serving" : "in trouble")}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>boki</h1>
<p class="state ${trouble === undefined ? "good" : "bad"}">${text(trouble ?? "serving")}</p>
</header>
<p class="where">${text(url)}<br><small>log ${text(id)} · durability ${text(durability)} · up ${span(now - startedAt)}</small></p>
<section class="tiles">
${tile("Sessions", number(clients.length), `${number(metrics.sessionsBegun)} begun`)}
${tile("Appends", number(accepted), `${number(refused)} refused, ${number(failed)} failed`)}
${tile("Records given", number(metrics.records), `${bytes(metrics.sent)} sent, ${bytes(metrics.received)} received`)}
${tile("Sync", `${stats.syncMs.toFixed(2)} ms`, `${number(stats.appendsWaiting)} appends wait`)}
</section>
<div class="tables">
${table("Log", [
  ["Records", number(stats.records)],
  ["Tail", number(tail)],
  ["Tags", number(stats.tags)],
  ["On disk", bytes(stats.diskBytes)],
  ["Index in memory", bytes(stats.indexBytes + stats.tagBytes)],
  ["Record cache", `${bytes(stats.recordCache.bytes)} (${number(stats.recordCache.entries)} records)`],
  ["Reads that wait", number(stats.readsWaiting)],
  ["Last checkpoint", stats.checkpointFault?.message ?? "in order"],
])}
${table("Faults answered", faults.length === 0 ? [["none", ""]] : faults.map(({ code, count }) => [code, number(count)]))}
</div>
<h2>Sessions</h2>
${sessions(clients, now)}
<footer><a href="/metrics">metrics</a> · <a href="/healthz">health</a> · shown as of ${new Date(now).toISOString()}</footer>
</body>
</html>
`;
}

function tile(title: string, value: string, more: string): string {
  return `<div class="tile"><h3>${text(title)}</h3><p>${text(value)}</p><small>${text(more)}</small></div>`;
}

function table(title: string, rows: readonly (readonly [name: string, value: string])[]): string {
  const lines = rows.map(([name, value]) => `<tr><th scope="row">${text(name)}</th><td>${text(value)}</td></tr>`);
  return `<section><h2>${text(title)}</h2><table>${lines.join("")}</table></section>`;
}

function sessions(clients: readonly Client[], now: number): string {
  if (clients.length === 0) return `<p class="none">Nobody is connected.</p>`;
  const rows = clients
    .slice(0, clientsMax)
    .map(
      ({ name, peer, since }) =>
        `<tr><td>${text(name)}</td><td>${text(peer)}</td><td class="figure">${span(now - since)}</td></tr>`,
    );
  const others = clients.length - rows.length;
  return `<table><thead><tr><th>Client</th><th>From</th><th class="figure">For</th></tr></thead><tbody>${rows.join("")}</tbody></table>${
    others > 0 ? `<p class="none">and ${number(others)} more</p>` : ""
  }`;
}

function text(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}

function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const power = Math.min(4, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** A span of time in its two largest units. */
function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first < 0 ? 3 : first)
    .slice(0, 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --line: #e3e7ee; --ground: #f6f7f9; --card: #fff; --good: #0a7d4b; --bad: #b42318 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2b3340; --ground: #12161c; --card: #1a202a; --good: #3ccb8f; --bad: #ff7a6e }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.25rem; max-width: 62rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground) }
header { display: flex; align-items: center; gap: 1rem }
h1 { margin: 0; font-size: 1.6rem; letter-spacing: -0.02em }
h2 { margin: 1.75rem 0 0.5rem; font-size: 1rem }
h3 { margin: 0; font-size: 0.8rem; font-weight: 500; color: var(--soft) }
.state { margin: 0; padding: 0.1rem 0.7rem; border: 1px solid; border-radius: 1rem; font-size: 0.85rem }
.good { color: var(--good) } .bad { color: var(--bad) }
.where { margin: 0.5rem 0 1.5rem; overflow-wrap: anywhere }
small, .none, footer { color: var(--soft) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 0.75rem }
.tile { padding: 0.9rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem }
.tile p { margin: 0.1rem 0; font-size: 1.5rem; font-variant-numeric: tabular-nums }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 0 1.5rem }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line) }
th, td { padding: 0.4rem 0.8rem; text-align: left; border-bottom: 1px solid var(--line); font-weight: 400; overflow-wrap: anywhere }
th { color: var(--soft) }
section td, .figure { text-align: right; font-variant-numeric: tabular-nums }
footer { margin-top: 2rem; font-size: 0.85rem }
a { color: inherit }
`;
