/** A process that serves a folder on a port: `node server-process.js FOLDER PORT DURABILITY`. Says the port once it does. */
import { serve } from "./serve.js";

const [folder, port, durability] = process.argv.slice(2) as [string, string, "disk" | "os"];
const server = await serve(`file:${folder}`, Number(port), { durability });
process.stdout.write(`${server.port}\n`);
