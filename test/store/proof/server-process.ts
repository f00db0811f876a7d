/** A process that serves a log at a port until it is killed. Says the port. */
import { writeSync } from "node:fs";
import { serve } from "../../remote/serve.js";

const [url, port] = process.argv.slice(2) as [string, string];
const served = await serve(url, Number(port));
writeSync(1, `${served.port}\n`);
