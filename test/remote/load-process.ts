/** A process that opens a served log, subscribes to a book, and says the bytes of each line that its record has: for being stopped. */
import { openLog } from "../../core/index.js";

const [url, name] = process.argv.slice(2) as [string, string];
const log = await openLog(url);
let count = 0;
await log.book(name).subscribe({
  record: ({ tags }) => {
    count++;
    if (tags.includes("end")) process.stdout.write(`${count}\n`);
  },
  end: (error) => {
    throw error;
  },
});
process.stdout.write("ready\n");
