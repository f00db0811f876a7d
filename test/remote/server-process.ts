/** A process that serves a folder on a port: `node server-process.js FOLDER PORT`. Says "PORT" once it does. */
import { serve } from "./serve.js";

const [folder, port] = process.argv.slice(2) as [string, string];
const server = await serve(`file:${folder}`, Number(port));
process.stdout.write(`${server.port}\n`);
