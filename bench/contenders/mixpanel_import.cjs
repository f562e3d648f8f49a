// Loaded before mixpanel-import (`node --require`): points its connections at MIXPANEL_API_URL, and tells at the end, on
// standard error, what the process took. All else is as it was installed.

const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");

const undici = createRequire(process.env.BENCH_MIXPANEL_IMPORT)("undici");
const Pool = undici.Pool;
let began = null;

// Its pools are made when its program has been loaded: what Node takes to start does not count.
undici.Pool = function pointed(_, options) {
  began ??= { wall: process.hrtime.bigint(), processor: process.cpuUsage() };
  return new Pool(process.env.MIXPANEL_API_URL, options);
};

process.on("exit", () => {
  const used = process.cpuUsage(began.processor);
  const usage = {
    events: 0,
    bytes: 0,
    wall: Number(process.hrtime.bigint() - began.wall) / 1e9,
    processor: (used.user + used.system) / 1e6,
    peak: Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024,
  };
  process.stderr.write(`\n${JSON.stringify(usage)}\n`);
});
