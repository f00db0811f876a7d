/** A cluster of one worker, which takes the lock of a folder and then leaves the cluster: prints its pid, and lives until it is killed. */
import cluster from "node:cluster";
import { FolderLock } from "../../core/loglet/file/lock.js";

if (cluster.isPrimary) cluster.fork();
else {
  await FolderLock.acquire(process.argv[2]!);
  process.on("disconnect", () => console.log(process.pid));
  setInterval(() => undefined, 1000);
  cluster.worker!.disconnect();
}
