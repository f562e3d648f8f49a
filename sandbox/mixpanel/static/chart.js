// The chart: events by what became of them, and below them the requests that were answered 429, 5xx or not at all.
import { go, onmove, wanted } from "./address.js";
import { $ } from "./dom.js";
import { now, onnews, state } from "./feed.js";
import { clock, whole } from "./words.js";

const BARS = 120;
const KINDS = ["imported", "duplicate", "rejected"];
let peak = 0;

const step = () => Math.max(1, (Number(wanted().range) * 60) / BARS);
const spoken = () => ({ 2: "two minutes", 10: "ten minutes", 60: "hour" })[wanted().range] ?? `${wanted().range} minutes`;

// What each bar stands for: [when it begins, imported, duplicates, rejected, throttled, failed].
function bars() {
  const seconds = step();
  const end = Math.floor(now() / seconds) + 1;
  const found = Array.from({ length: BARS }, (_, n) => [(end - BARS + n) * seconds, 0, 0, 0, 0, 0]);
  for (const [at, ...counts] of state.seconds.values()) {
    const bar = found[Math.floor(at / seconds) - end + BARS];
    if (bar) counts.forEach((count, n) => (bar[n + 1] += count));
  }
  return found;
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

function draw() {
  const at = Math.floor(now());
  for (const second of state.seconds.keys()) if (second < at - (state.setting.history ?? 600)) state.seconds.delete(second);
  const seconds = step(), found = bars();
  const rates = found.map(([, ...counts]) => counts.slice(0, 3).map((count) => count / seconds));
  const highest = Math.max(...rates.map(sum));
  const most = nice(highest);
  const paths = ["", "", ""];
  rates.forEach((parts, n) => {
    let y = 100;
    parts.forEach((part, kind) => {
      if (!part) return;
      const height = Math.min(y, Math.max((part / most) * 100, 2.5));
      paths[kind] += `M${n + 0.1} ${y.toFixed(2)}v-${height.toFixed(2)}h.8v${height.toFixed(2)}z`;
      y -= height;
    });
  });
  KINDS.forEach((kind, n) => $("bars").querySelector(`.${kind}`).setAttribute("d", paths[n]));
  const refused = found.map(([, , , , throttled, failed]) => [throttled, failed]);
  const most_refused = Math.max(1, ...refused.map(sum));
  const marks = ["", ""];
  refused.forEach((parts, n) => {
    let y = 20;
    parts.forEach((part, kind) => {
      if (!part) return;
      const height = Math.min(y, Math.max((part / most_refused) * 20, 5));
      marks[kind] += `M${n + 0.1} ${y.toFixed(2)}v-${height.toFixed(2)}h.8v${height.toFixed(2)}z`;
      y -= height;
    });
  });
  ["throttled", "failed"].forEach((kind, n) => $("refusals").querySelector(`.${kind}`).setAttribute("d", marks[n]));
  $("refusals-plot").hidden = sum(refused.flat()) === 0;
  $("most").textContent = highest ? whole(most) : "";
  $("half").textContent = highest > 1 ? whole(most / 2) : "";
  const last = [1, 2, 3].map((back) => sum((state.seconds.get(at - back) ?? [0, 0, 0, 0]).slice(1, 4)));
  peak = Math.max(peak, ...[...state.seconds.values()].map((second) => sum(second.slice(1, 4))));
  $("rate").textContent = whole(Math.round(sum(last) / last.length));
  $("peak").textContent = peak ? `peak ${whole(peak)} in one second` : "none yet";
  const totals = [1, 2, 3, 4, 5].map((kind) => sum(found.map((bar) => bar[kind])));
  $("bars").setAttribute("aria-label",
    `Events a second over the last ${spoken()}: ${whole(totals[0])} imported, ${whole(totals[1])} duplicates, ${whole(totals[2])} rejected`);
  $("refusals").setAttribute("aria-label", `Requests of the same time: ${whole(totals[3])} answered 429, ${whole(totals[4])} answered 5xx or not at all`);
  $("scale-start").textContent = `${wanted().range === "60" ? "1 hour" : `${wanted().range} minutes`} ago`;
  $("scale-middle").textContent = `${Number(wanted().range) / 2} min ago`;
}

function nice(n) {
  if (n <= 10) return Math.max(2, Math.ceil(n / 2) * 2);
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 1.6, 2, 3, 4, 5, 6, 8, 10].find((one) => one * power >= n) * power;
}

export const throttledLately = () => [...state.seconds.values()].some(([at, , , , throttled]) => throttled && at > now() - 120);

$("bars").addEventListener("pointermove", (event) => {
  const box = $("bars").getBoundingClientRect();
  const bar = bars()[Math.floor(((event.clientX - box.left) / box.width) * BARS)];
  if (!bar) return;
  const [at, imported, duplicates, rejected, throttled, failed] = bar;
  const refused = throttled || failed ? `; ${whole(throttled)} \u00d7 429, ${whole(failed)} \u00d7 5xx` : "";
  $("reading").textContent = `${clock(at)}: ${whole(imported)} imported, ${whole(duplicates)} duplicate, ${whole(rejected)} rejected${refused}`;
});
$("bars").addEventListener("pointerleave", () => ($("reading").textContent = ""));
$("range").addEventListener("change", ({ target }) => go({ range: target.value }));

onmove(() => {
  $("range").value = wanted().range;
  draw();
});
onnews((news) => {
  if (news.start) peak = 0;
  draw();
});

export function start() {
  $("range").value = wanted().range;
  setInterval(draw, 1000);
  draw();
}
