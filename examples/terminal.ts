/** How the tour prints: headings, indented lines, aligned figures. Colours only on a terminal that wants them. */

const coloured = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;

function colour(code: number): (text: string) => string {
  return coloured ? (text) => `\u001b[${code}m${text}\u001b[0m` : (text) => text;
}

export const bold = colour(1);
export const dim = colour(2);
export const green = colour(32);
export const yellow = colour(33);

const numbers = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 12345.6 as "12,346". */
export function count(value: number): string {
  return numbers.format(value);
}

export function heading(text: string): void {
  console.log(`\n${bold(text)}`);
}

export function line(text = ""): void {
  console.log(text === "" ? "" : `  ${text}`);
}

export function good(text: string): void {
  line(`${green("✓")} ${text}`);
}

/** Rows of a name, a value and a remark, in three columns. */
export function figures(rows: readonly (readonly [name: string, value: string, remark?: string])[]): void {
  const name = Math.max(...rows.map((row) => row[0].length));
  const value = Math.max(...rows.map((row) => row[1].length));
  for (const row of rows)
    line(`${row[0].padEnd(name)}  ${bold(row[1].padStart(value))}  ${dim(row[2] ?? "")}`.trimEnd());
}
