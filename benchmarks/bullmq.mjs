// BullMQ, measured as job_works.py measures Pylon: node bullmq.mjs PORT JOBS PICKUPS
import { Queue, Worker } from "bullmq";

const [port, jobs, pickups] = process.argv.slice(2).map(Number);
const connection = { host: "127.0.0.1", port };
const queue = new Queue("bench", { connection });
const perSecond = (count, since) => count / ((performance.now() - since) / 1000);

let started = performance.now();
let sent = 0;
await Promise.all(
  Array.from({ length: 50 }, async () => {
    while (sent < jobs) await queue.add("nothing", { n: sent++ });
  }),
);
const enqueued = perSecond(sent, started);

let ended = 0;
started = performance.now();
let worker;
await new Promise((resolve) => {
  worker = new Worker("bench", async () => {}, { connection, concurrency: 10 });
  worker.on("completed", () => ++ended === sent && resolve());
});
const done = perSecond(sent, started);
await worker.close();

const waits = [];
worker = new Worker("bench", async (job) => waits.push(Date.now() - job.data.sent), {
  connection,
  concurrency: 10,
});
await worker.waitUntilReady();
for (let n = 0; n < pickups; n++) {
  await queue.add("pickup", { sent: Date.now() });
  await new Promise((resolve) => setTimeout(resolve, 20));
}
await new Promise((resolve) => setTimeout(resolve, 500));
waits.sort((a, b) => a - b);
console.log(JSON.stringify({ done, enqueued, pickup: waits[Math.floor(waits.length * 0.99)] }));
await worker.close();
await queue.close();
process.exit(0);
