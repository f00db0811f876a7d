/** A run's outcome: as JSON, as a table, as a picture. */
import { execFileSync } from "node:child_process";
import os from "node:os";
import { init, use } from "echarts/core";
import type { CustomSeriesOption } from "echarts";
import { BarChart, CustomChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";
import type { Ratio, Result } from "./measure.js";

export interface Report {
  readonly suite: string;
  readonly quick: boolean;
  readonly machine: string;
  readonly node: string;
  readonly commit: string;
  readonly results: readonly Result[];
  readonly ratios: Readonly<Record<string, Ratio>>;
  readonly skipped: readonly { readonly system: string; readonly why: string }[];
}

export function machine(): string {
  const cpus = os.cpus();
  return `${cpus.length} x ${cpus[0]?.model.trim() ?? "unknown"}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.release()}`;
}

export function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain") === "" ? "" : " with changes");
  } catch {
    return "unknown";
  }
}

export function number(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Columns of equal width; the first two to the left, the others to the right. */
function table(rows: readonly (readonly string[])[], left: number): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => row.map((cell, i) => (i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "))
    .join("\n");
}

export function text(report: Report, about: string): string {
  const results = [
    ["case", "system", "metric", "median", "min", "max", "unit"],
    ...report.results.map((r) => [r.case, r.system, r.metric, number(r.median), number(r.min), number(r.max), r.unit]),
  ];
  const ratios = [
    ["ratio", "value", "min", "max"],
    ...Object.entries(report.ratios).map(([name, r]) => [name, r.value.toFixed(2), r.min.toFixed(2), r.max.toFixed(2)]),
  ];
  const skipped = report.skipped.map(({ system, why }) => `skipped: ${system}: ${why}`);
  return [
    table(results, 3),
    "",
    table(ratios, 1),
    "",
    about,
    `${report.machine}; node ${report.node}; commit ${report.commit}`,
    ...skipped,
  ].join("\n");
}

/** Rates of one unit by case and system, on a logarithmic scale: medians as bars, the spread over rounds as lines. */
export function picture(report: Report, unit: string): string {
  use([BarChart, CustomChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);
  const rates = report.results.filter(
    (result) => result.metric === "rate" && result.unit === unit && !result.case.includes(" "),
  );
  const cases = [...new Set(rates.map((result) => result.case))].sort(byNumber);
  const systems = [...new Set(rates.map((result) => result.system))];
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 960, height: 480 });
  chart.setOption({
    animation: false,
    backgroundColor: "#fff",
    title: {
      text: `${report.suite}: ${unit.replace("/s", " a second")}, durable (median, minimum and maximum of rounds)`,
      left: "center",
      textStyle: { fontSize: 15 },
    },
    legend: { bottom: 0, itemGap: 22, textStyle: { fontSize: 11 }, data: systems },
    grid: { left: 80, right: 20, top: 40, bottom: 60 },
    xAxis: { type: "category", data: cases, axisLabel: { interval: 0, fontSize: cases.length > 8 ? 10 : 12 } },
    yAxis: {
      type: "log",
      min: 10 ** Math.floor(Math.log10(Math.min(...rates.map(({ median }) => median)))),
      axisLabel: { formatter: (value: number) => value.toLocaleString("en") },
    },
    series: systems.flatMap((system, place) => {
      const results = cases.map((name) => rates.find((result) => result.case === name && result.system === system));
      return [
        {
          name: system,
          type: "bar",
          barGap: "5%",
          label: {
            show: true,
            position: "insideBottom",
            rotate: 90,
            align: "left",
            verticalAlign: "middle",
            color: "#fff",
            fontSize: 10,
            formatter: ({ value }: { value: number | null }) => (value === null ? "" : inThousands(value)),
          },
          data: results.map((result) => result?.median ?? null),
        },
        {
          type: "custom",
          silent: true,
          z: 3,
          data: results.flatMap((result, i) => (result === undefined ? [] : [[i, result.min, result.max]])),
          renderItem: spreadLine(systems.length, place),
        },
      ];
    }),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** A line from minimum to maximum over the bar in one place of several. */
function spreadLine(count: number, place: number): CustomSeriesOption["renderItem"] {
  return (_params, api) => {
    const bar = api.barLayout({ count, barGap: "5%" })![place]!;
    const [x, low] = api.coord([api.value(0), api.value(1)]) as [number, number];
    const [, high] = api.coord([api.value(0), api.value(2)]) as [number, number];
    const at = x + bar.offsetCenter;
    return {
      type: "line",
      shape: { x1: at, y1: low, x2: at, y2: high },
      style: { stroke: "#222", lineWidth: 1.5 },
    };
  };
}

function inThousands(value: number): string {
  return value < 10_000 ? `${(value / 1000).toFixed(1)}k` : `${Math.round(value / 1000)}k`;
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
