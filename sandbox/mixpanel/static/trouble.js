// The switches that make trouble.
import { throttledLately } from "./chart.js";
import { $ } from "./dom.js";
import { ask, onnews, say, state } from "./feed.js";
import { percent } from "./words.js";

const REAL_RATE = { rate_events_per_second: 30000, rate_bytes_per_minute: 2e9 };
const SHARES = Object.fromEntries(["429", "500", "502", "503", "504"].map((status) => [status, status]));
Object.assign(SHARES, { cut_before: "reset before", cut_after: "answers lost", hang: "hanging", truncated: "truncated", html: "HTML", garbage: "garbage", short_count: "short counts" });
let movedAt = new WeakMap();
let isCalm = true;

function show(faults) {
  const form = $("faults");
  for (const input of form.querySelectorAll("input[type=range]")) {
    // What is heard while a slider moves is older than where it stands.
    if (Date.now() - (movedAt.get(input) ?? 0) > 1000 && !input.matches(":active")) input.value = faults[input.name];
    label(input);
  }
  form.elements.rate.checked = faults.rate_events_per_second !== null || faults.rate_bytes_per_minute !== null;
  form.elements.unauthorized.checked = faults.unauthorized;
  const said = [
    ...Object.entries(faults).filter(([name, value]) => SHARES[name] && value > 0).map(([name, share]) => `${SHARES[name]} for ${percent(share)}`),
    faults.latency || faults.jitter ? `${faults.latency} s late` : "",
    form.elements.rate.checked ? "rate limited" : "",
    faults.unauthorized ? "credentials refused" : "",
  ].filter(Boolean);
  isCalm = said.length === 0;
  $("trouble").hidden = isCalm;
  $("trouble").textContent = `Trouble: ${said.join(", ")}`;
  showAftermath();
}

// Why it stays slow for a while when there is no more trouble.
function showAftermath() {
  const slow = isCalm && state.counts.at_work > 0 && throttledLately();
  $("aftermath").hidden = !slow;
}

function label(input) {
  const output = input.parentElement.querySelector("output");
  const value = Number(input.value);
  output.textContent = input.name === "latency" ? `${value.toFixed(1)} s` : percent(value);
  input.parentElement.classList.toggle("on", value > 0);
}

async function turn(switches) {
  try {
    $("fault-error").textContent = "";
    show(await ask("sandbox/faults", JSON.stringify(switches)));
  } catch (error) {
    $("fault-error").textContent = error.message;
    movedAt = new WeakMap();
    show(state.faults);
  }
}

$("faults").addEventListener("input", ({ target }) => {
  if (target.type !== "range") return;
  movedAt.set(target, Date.now());
  label(target);
});
$("faults").addEventListener("change", ({ target }) => {
  if (target.type === "range") turn({ [target.name]: Number(target.value) });
  else if (target.name === "rate") turn(target.checked ? REAL_RATE : { rate_events_per_second: null, rate_bytes_per_minute: null });
  else turn({ [target.name]: target.checked });
});
$("faults").addEventListener("submit", (event) => event.preventDefault());
$("calm").addEventListener("click", () => {
  movedAt = new WeakMap();
  const none = Object.fromEntries([...Object.keys(SHARES), "latency", "jitter"].map((name) => [name, 0]));
  turn({ ...none, fail_first: null, unnamed_400: null, rate_events_per_second: null, rate_bytes_per_minute: null, unauthorized: false });
});
$("reset").addEventListener("click", () => ask("sandbox/reset").catch((error) => say(error.message, "bad")));

onnews((news) => {
  if (news.faults) show(news.faults);
  showAftermath();
});
