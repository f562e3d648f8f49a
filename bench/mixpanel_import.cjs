// mixpanel-import, measured: node mixpanel_import.cjs FILE, with MIXPANEL_API_URL and MIXPANEL_PROJECT_TOKEN set.
// It is run as its page says, with its own defaults; only where its connections go to is changed.

const { createRequire } = require("node:module");
const fs = require("node:fs");
const path = require("node:path");

const installed = createRequire(path.join(process.env.BENCH_NODE_MODULES, "mixpanel-import", "index.js"));
const undici = installed("undici");
const Pool = undici.Pool;
undici.Pool = function pointedAtStandin(_, options) {
  return new Pool(process.env.MIXPANEL_API_URL, options);
};
const mixpanelImport = installed("./index.js");

async function main() {
  const file = process.argv[2];
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  const credentials = { token: process.env.MIXPANEL_PROJECT_TOKEN, secret: "bench" };
  const result = await mixpanelImport(credentials, file, { recordType: "event", compress: true });
  const used = process.cpuUsage(before);
  const wall = Number(process.hrtime.bigint() - began) / 1e9;
  const peak = Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  const usage = {
    events: result.success, bytes: fs.statSync(file).size, wall, processor: (used.user + used.system) / 1e6, peak,
  };
  process.stdout.write(JSON.stringify(usage) + "\n");
  process.exit(0);
}

main();
