// The live view: keeps the page in step with the feed (see sandbox/live.py), and passes on what is asked of the stand-in.
"use strict";

const MOST_ROWS = 200;
const CHART_SECONDS = 120;
const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const whole = (n) => number.format(n ?? 0);
const plural = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;

const known = { requests: [], rejects: [], sources: new Map(), seconds: new Map() };
const held = { events: [], arrived: 0 };
const uploads = new Map();
let feed, skew = 0, counts = {}, setting = {}, peak = 0;

// Making elements: text only ever goes in as text, so that no event can be taken for markup.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
const milliseconds = (seconds) => (seconds < 10 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`);

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit++) bytes /= 1000;
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function json(text) {
  const pre = make("pre", { tabindex: "0" });
  let end = 0;
  for (const token of text.matchAll(TOKEN)) {
    pre.append(text.slice(end, token.index));
    const kind = token[1] ? (token[2] ? "k" : "s") : /^[tfn]/.test(token[0]) ? "w" : "d";
    pre.append(make("span", { class: kind }, token[1] ?? token[0]), token[2] ?? "");
    end = token.index + token[0].length;
  }
  pre.append(text.slice(end));
  return pre;
}

// A row that opens; what is in it is made when it does.
function row(cells, body) {
  const details = make("details", {}, make("summary", {}, ...cells));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(make("div", { class: "body" }, ...body()));
    if (!details.open) releaseIfUnread();
  });
  return details;
}

const cell = (text, kind, title) => make("span", { class: kind, title: title ?? text }, text);
const facts = (...pairs) => make("p", { class: "facts" }, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => make("span", {}, `${name} `, make("b", {}, String(value)))));

// Events

function eventRow(event) {
  const seconds = event.time > 1e11 ? event.time / 1000 : event.time;
  const element = row(
    [cell(clock(event.at), "at"), cell(event.event, "name"), cell(event.user || "no user", event.user ? "" : "dim"), cell(event.insert_id, "dim mono")],
    () => [
      facts(["happened", `${new Date(seconds * 1000).toISOString().replace("T", " ").replace(/(\.000)?Z$/, "")} UTC`], ["came in request", event.request], ["from", event.source], ["size", size(event.bytes)]),
      json(event.text),
      ...(event.bytes > event.text.length * 4 ? [make("p", { class: "hint" }, "Only its beginning is shown.")] : []),
    ],
  );
  element.classList.add("new");
  return element;
}

const paused = () => $("pause").getAttribute("aria-pressed") === "true";
const reading = () => paused() || $("event-rows").querySelector("details[open]") !== null;

function addEvents(events, arrived, replace) {
  if (replace) {
    $("event-rows").replaceChildren();
    Object.assign(held, { events: [], arrived: 0 });
  }
  if (reading()) {
    held.events = [...events, ...held.events].slice(0, MOST_ROWS);
    held.arrived += arrived;
  } else {
    prepend($("event-rows"), events.map(eventRow));
  }
  $("held").hidden = held.arrived === 0;
  $("held").textContent = `Held while you ${paused() ? "pause" : "read"}: ${plural(held.arrived, "more event")} came in. Show them.`;
}

function prepend(rows, elements) {
  rows.prepend(...elements);
  while (rows.childElementCount > MOST_ROWS) rows.lastElementChild.remove();
}

function release() {
  for (const open of $("event-rows").querySelectorAll("details[open]")) open.open = false;
  $("pause").setAttribute("aria-pressed", "false");
  releaseIfUnread();
}

function releaseIfUnread() {
  if (reading() || !held.arrived) return;
  const { events } = held;
  Object.assign(held, { events: [], arrived: 0 });
  addEvents(events, 0, false);
}

// Rejects, batches, sources

function rejectRow(reject) {
  const place = reject.line ? `line ${whole(reject.line)}` : "";
  return row(
    [
      cell(clock(reject.at), "at"), cell(reject.reason, "reason"), cell(reject.field ?? "", "dim mono"),
      cell(short(reject.source), "", reject.source), cell(place, "n"),
    ],
    () => [
      facts(["object", reject.source], ["line", reject.line && whole(reject.line)], ["field", reject.field], ["insert id", reject.insert_id]),
      make("p", { class: "facts reason" }, reject.reason),
      reject.event ? json(reject.event) : make("p", { class: "hint" }, "Its text was not logged."),
    ],
  );
}

const short = (source) => source.replace(/^gs:\/\/[^/]+\//, "").replace(/#\d+$/, "");

function requestRow(request) {
  const bad = request.status === null || request.status >= 500 || request.status === 401;
  const kind = request.status === 200 && !request.fault ? "good" : bad ? "bad" : "warn";
  const answer = `${request.status ?? "no answer"}${request.fault && !/^\d+$/.test(request.fault) ? ` ${request.fault.replace("_", " ")}` : ""}`;
  const count = (name, value) => make("td", { class: value ? "n" : "n zero", "data-name": name }, whole(value));
  return make(
    "tr", { title: `request ${request.n}, by ${request.user_agent || "an unnamed client"}` },
    make("td", {}, clock(request.at)),
    make("td", {}, make("span", { class: `badge ${kind}` }, answer)),
    count("events", request.events),
    make("td", { class: "n", "data-name": "size" }, size(request.bytes)),
    make("td", { class: "n", "data-name": "gzipped" }, size(request.wire_bytes)),
    make("td", { class: "n", "data-name": "time" }, milliseconds(request.seconds)),
    count("imported", request.imported),
    count("duplicates", request.duplicates),
    count("rejected", request.rejected),
    make("td", { "data-name": "signed by" }, request.auth),
  );
}

const OUTCOME = { done: "good", skipped: "", "handed back": "warn", gone: "", working: "warn" };

function sourceRow(source) {
  const run = source.runs[0] ?? { outcome: "working", rejected: source.pending };
  const kind = OUTCOME[run.outcome] ?? "bad";
  const count = (name, value) => make("span", { class: `n${name === "rejected" && value ? " some" : ""}` }, make("b", {}, whole(value)), make("small", {}, name));
  return row(
    [
      cell(run.at ? clock(run.at) : "now", "at"),
      cell(short(source.name), "name", source.name),
      make("span", { class: "badge-cell" }, make("span", { class: `badge ${kind}` }, run.outcome)),
      count("read", run.read), count("imported", run.imported), count("rejected", run.rejected), count("dropped", run.dropped),
    ],
    () => [
      facts(["source", source.name], ["runs", source.count], ["", run.reason]),
      make("div", { class: "scroll" }, runsTable(source.runs)),
    ],
  );
}

function runsTable(runs) {
  const head = ["At", "Outcome", "Read", "Imported", "Rejected", "Dropped", "Requests", "Retried", "Size", "Sent", "Time", "Events/s"];
  const body = runs.map((run) => [
    clock(run.at), run.outcome, ...[run.read, run.imported, run.rejected, run.dropped, run.requests, run.retried].map(whole),
    size(run.bytes), size(run.sent_bytes), milliseconds(run.seconds), run.seconds ? whole(Math.round(run.imported / run.seconds)) : "",
  ]);
  const line = (tag, values) => make("tr", {}, ...values.map((value, n) => make(tag, n > 1 ? { class: "n" } : {}, value)));
  return make("table", {}, make("thead", {}, line("th", head)), make("tbody", {}, ...body.map((values) => line("td", values))));
}

function showSources() {
  const rows = $("source-rows");
  const opened = new Set([...rows.querySelectorAll("details[open]")].map((each) => each.dataset.source));
  const focused = document.activeElement?.closest?.("#source-rows details")?.dataset.source;
  const elements = [...known.sources.values()].reverse().filter((source) => includes(source.name, "source")).slice(0, MOST_ROWS).map((source) => {
    const element = sourceRow(source);
    element.dataset.source = source.name;
    element.open = opened.has(source.name);
    return element;
  });
  rows.replaceChildren(...elements);
  if (focused) elements.find((each) => each.dataset.source === focused)?.firstElementChild.focus();
  $("count-sources").textContent = known.sources.size ? whole(known.sources.size) : "";
  $("known-sources").replaceChildren(...[...known.sources.keys()].reverse().slice(0, 50).map((name) => make("option", { value: name })));
}

// Filters: events are filtered by the feed, all else here.

const wanted = () => Object.fromEntries([...new FormData($("filters"))].map(([name, text]) => [name, text.trim()]));
const includes = (text, field) => (text ?? "").toLowerCase().includes(wanted()[field].toLowerCase());
const wantsReject = (reject) => includes(reject.source, "source") && includes(reject.event, "event") && includes(reject.event, "user");

function showRejects(rejects) {
  prepend($("reject-rows"), rejects.filter(wantsReject).map(rejectRow));
}

function showRequests(requests) {
  prepend($("request-rows"), requests.filter((request) => !counts.tells_sources || includes(request.source, "source")).map(requestRow));
}

let typing;
$("filters").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(listen, 250);
});
$("filters").addEventListener("submit", (event) => event.preventDefault());

// The feed

function listen() {
  feed?.close();
  const { source, ...others } = wanted();
  feed = new EventSource(`sandbox/stream?${new URLSearchParams(counts.tells_sources ? { ...others, source } : others)}`);
  feed.onmessage = ({ data }) => tell(JSON.parse(data));
  feed.onerror = () => setState("Not connected: trying again", "bad");
}

function setState(text, kind) {
  if ($("state").textContent !== text) $("state").textContent = text;
  $("state").className = `chip ${kind}`;
}

function tell(news) {
  setState("Live", "live");
  if (news.start) start(news);
  if (news.now) skew = news.now - Date.now() / 1000;
  const before = counts;
  if (news.counts) counts = news.counts;
  const arrived = (counts.received ?? 0) - (counts.refused ?? 0) - ((before.received ?? 0) - (before.refused ?? 0));
  addEvents(news.events ?? [], news.start ? 0 : Math.max(arrived, (news.events ?? []).length), Boolean(news.start));
  if (news.events) showSampling(news.events.length, arrived, Boolean(news.start));
  if (news.rejects?.length) {
    known.rejects = [...news.rejects, ...known.rejects].slice(0, MOST_ROWS);
    showRejects(news.rejects);
  }
  if (news.requests?.length) {
    known.requests = [...news.requests, ...known.requests].slice(0, MOST_ROWS);
    showRequests(news.requests);
  }
  for (const source of (news.sources ?? []).toReversed()) {
    known.sources.delete(source.name);
    known.sources.set(source.name, source);
    finishUpload(source);
  }
  if (news.sources?.length || news.start) showSources();
  for (const second of news.history ?? []) known.seconds.set(second[0], second);
  if (news.counts) showCounts();
  if (counts.tells_sources !== before.tells_sources) {
    showFilters();
    if (counts.tells_sources && wanted().source) listen();
  }
  if (news.faults) showFaults(news.faults);
  draw();
}

function start(news) {
  setting = news.start;
  counts = {};
  peak = 0;
  Object.assign(known, { requests: [], rejects: [], sources: new Map(), seconds: new Map() });
  for (const rows of ["reject-rows", "request-rows"]) $(rows).replaceChildren();
  $("bucket").textContent = setting.bucket ? `to the bucket gs://${setting.bucket}` : "There is no bucket here: start with --bucket-url.";
  $("drop").classList.toggle("off", !setting.bucket);
  $("file").disabled = !setting.bucket;
  $("transform").textContent = setting.transform ? `The transform is ${setting.transform}.` : "There is no transform: events are taken as they are.";
  const { events, event_bytes, requests, rejects, sources, remembered } = setting.limits;
  $("limits").textContent =
    `Kept in memory: the last ${whole(events)} events (${size(event_bytes)} at most), ${whole(requests)} requests, ${whole(rejects)} rejects ` +
    `and ${whole(sources)} sources; a mark of each of the last ${whole(remembered)} events, to know a duplicate. The counts are exact. ` +
    `This page shows the newest ${MOST_ROWS} of each.`;
}

function showSampling(shown, arrived, whole_) {
  const { event, user, source } = wanted();
  const filtered = event || user || (source && counts.tells_sources);
  $("sampled").textContent = filtered ? "Only what matches; when events come in faster than one can read, a sample."
    : !whole_ && arrived > shown ? `A sample: ${whole(shown)} of the last ${whole(arrived)}. The counts are exact.` : "";
}

function showCounts() {
  $("imported").textContent = whole(counts.imported);
  $("rejected").textContent = whole(counts.rejected);
  $("rejected").parentElement.classList.toggle("some", counts.rejected > 0);
  $("refused").textContent = counts.refused ? `${whole(counts.refused)} by Mixpanel\u2019s rules` : "none by Mixpanel\u2019s rules";
  $("duplicates").textContent = counts.duplicates ? `and ${plural(counts.duplicates, "duplicate")}` : "no duplicates";
  $("requests").textContent = whole(counts.requests);
  const answers = Object.entries(counts.answers).map(([answer, times]) => `${whole(times)} \u00d7 ${answer === "none" ? "no answer" : answer}`);
  $("answers").textContent = answers.join(", ") || "none answered yet";
  $("bytes").textContent = size(counts.bytes);
  $("wire").textContent = `${size(counts.wire_bytes)} on the wire`;
  $("count-rejects").textContent = counts.rejected ? whole(counts.rejected) : "";
  document.title = counts.imported ? `Sandbox: ${whole(counts.imported)} imported` : "Sandbox";
}

// The chart: one bar a second, the last two minutes.

function draw() {
  const now = Math.floor(Date.now() / 1000 + skew);
  for (const at of known.seconds.keys()) if (at < now - 600) known.seconds.delete(at);
  const seconds = Array.from({ length: CHART_SECONDS }, (_, n) => known.seconds.get(now - CHART_SECONDS + 1 + n) ?? [0, 0, 0, 0]);
  const highest = Math.max(...seconds.map(([, ...parts]) => parts.reduce((a, b) => a + b)));
  const most = nice(highest);
  const paths = ["", "", ""];
  seconds.forEach(([, ...parts], n) => {
    let y = 100;
    parts.forEach((part, kind) => {
      if (!part) return;
      const height = Math.min(y, Math.max((part / most) * 100, 2.5));
      paths[kind] += `M${n + 0.1} ${y.toFixed(2)}v-${height.toFixed(2)}h.8v${height.toFixed(2)}z`;
      y -= height;
    });
  });
  ["imported", "duplicate", "rejected"].forEach((kind, n) => $("bars").querySelector(`.${kind}`).setAttribute("d", paths[n]));
  $("most").textContent = highest ? whole(most) : "";
  $("half").textContent = highest > 1 ? whole(most / 2) : "";
  const lately = seconds.slice(-4, -1).map(([, ...parts]) => parts.reduce((a, b) => a + b));
  const rate = Math.round(lately.reduce((a, b) => a + b) / lately.length);
  peak = Math.max(peak, highest);
  $("rate").textContent = whole(rate);
  $("peak").textContent = `at most ${whole(peak)}`;
  const [imported, duplicates, rejected] = [1, 2, 3].map((kind) => seconds.reduce((sum, second) => sum + second[kind], 0));
  $("bars").setAttribute("aria-label", `Events a second over the last two minutes: ${whole(imported)} imported, ${whole(duplicates)} duplicates, ${whole(rejected)} rejected, at most ${whole(highest)} in one second`);
}

function nice(n) {
  if (n <= 10) return Math.max(2, Math.ceil(n / 2) * 2);
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 1.6, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= n) * power;
}

$("bars").addEventListener("pointermove", (event) => {
  const box = $("bars").getBoundingClientRect();
  const back = CHART_SECONDS - 1 - Math.floor(((event.clientX - box.left) / box.width) * CHART_SECONDS);
  const at = Math.floor(Date.now() / 1000 + skew) - back;
  const [, imported, duplicates, rejected] = known.seconds.get(at) ?? [0, 0, 0, 0];
  $("reading").textContent = `${clock(at)}: ${whole(imported)} imported, ${whole(duplicates)} duplicate, ${whole(rejected)} rejected`;
});
$("bars").addEventListener("pointerleave", () => ($("reading").textContent = ""));

// Asking the stand-in for things

async function ask(path, body) {
  const answer = await fetch(path, { method: "POST", body });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ?? `It answered ${answer.status}.`);
  return told;
}

// Trouble

const REAL_RATE = { rate_events_per_second: 30000, rate_bytes_per_minute: 2e9 };
const percent = (share) => `${Math.round(share * 100)} %`;
let shownFaults = {};
let movedAt = new WeakMap();

function showFaults(faults) {
  shownFaults = faults;
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
  $("trouble").hidden = said.length === 0;
  $("trouble").textContent = `Trouble: ${said.join(", ")}`;
}

const SHARES = Object.fromEntries(["429", "500", "502", "503", "504"].map((status) => [status, status]));
Object.assign(SHARES, { cut_before: "reset before", cut_after: "answers lost", hang: "hanging", truncated: "truncated", html: "HTML", garbage: "garbage", short_count: "short counts" });

function label(input) {
  const output = input.parentElement.querySelector("output");
  const value = Number(input.value);
  output.textContent = input.name === "latency" ? `${value.toFixed(1)} s` : percent(value);
  input.parentElement.classList.toggle("on", value > 0);
}

async function turn(switches) {
  try {
    $("fault-error").textContent = "";
    showFaults(await ask("sandbox/faults", JSON.stringify(switches)));
  } catch (error) {
    $("fault-error").textContent = error.message;
    movedAt = new WeakMap();
    showFaults(shownFaults);
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
$("reset").addEventListener("click", () => ask("sandbox/reset").catch((error) => setState(error.message, "bad")));

// Files

async function upload(file) {
  const said = make("span", { class: "hint" }, `sending ${size(file.size)}\u2026`);
  const item = make("li", {}, make("b", {}, file.name), " ", said);
  $("uploads").prepend(item);
  while ($("uploads").childElementCount > 6) $("uploads").lastElementChild.remove();
  try {
    const { name, generation } = await ask(`sandbox/upload?${new URLSearchParams({ name: file.name })}`, file);
    said.textContent = `written to ${name}; waiting for the importer\u2026`;
    uploads.set(`${name}#${generation}`, said);
    const source = known.sources.get(`${name}#${generation}`) ?? known.sources.get(name);
    if (source) finishUpload(source);
  } catch (error) {
    said.className = "reason";
    said.textContent = error.message;
  }
}

function finishUpload(source) {
  const [run] = source.runs;
  for (const [name, said] of uploads) {
    if (!run || (name !== source.name && name.replace(/#\d+$/, "") !== source.name)) continue;
    const counted = run.read ? `: ${whole(run.imported)} imported, ${whole(run.rejected)} rejected` : "";
    said.className = run.outcome === "done" ? "hint" : "reason";
    said.textContent = `${run.outcome}${counted}${run.reason ? `; ${run.reason}` : ""}`;
    if (run.outcome !== "handed back") uploads.delete(name);
  }
}

$("file").addEventListener("change", ({ target }) => {
  [...target.files].forEach(upload);
  target.value = "";
});

let over = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
const forPreview = (event) => event.target.closest?.("#preview") !== null && event.target.closest !== undefined;
addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  over += 1;
  $("overlay").hidden = !setting.bucket || forPreview(event);
  $("preview").classList.toggle("over", forPreview(event));
});
addEventListener("dragleave", () => {
  over = Math.max(0, over - 1);
  if (!over) $("overlay").hidden = true;
});
addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  over = 0;
  $("overlay").hidden = true;
  $("preview").classList.remove("over");
  const files = [...event.dataTransfer.files];
  if (forPreview(event)) previewFile(files[0]);
  else if (setting.bucket) files.forEach(upload);
});

// Preview

const PREVIEW_BYTES = 1e6;

async function previewFile(file) {
  const zipped = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const stream = zipped[0] === 0x1f && zipped[1] === 0x8b ? file.stream().pipeThrough(new DecompressionStream("gzip")) : file.stream();
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader.read(); !part.done && text.length < PREVIEW_BYTES; part = await reader.read()) text += part.value;
  reader.cancel();
  const cut = text.length >= PREVIEW_BYTES ? text.lastIndexOf("\n", PREVIEW_BYTES) : -1;
  $("preview-text").value = cut > 0 ? text.slice(0, cut) : text;
  $("preview-form").requestSubmit();
}

$("preview-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("preview-result").textContent = "Looking\u2026";
  $("preview-rows").replaceChildren();
  try {
    showPreview(await ask("sandbox/preview", JSON.stringify({ text: $("preview-text").value })));
  } catch (error) {
    $("preview-result").textContent = error.message;
  }
});
$("preview-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("preview-form").requestSubmit();
});

function showPreview({ records, more, unreadable }) {
  const refused = records.filter((record) => record.reason).length;
  const dropped = records.filter((record) => !record.reason && !record.events.length).length;
  const events = records.reduce((sum, record) => sum + (record.reason ? 0 : record.events.length), 0);
  $("preview-result").textContent = [
    `${plural(records.length, "record")}${more ? " (the first of more)" : ""}: ${plural(events, "event")} would be imported, ${whole(refused)} refused, ${whole(dropped)} dropped.`,
    unreadable ? `Then it ends: ${unreadable}.` : "",
  ].join(" ");
  $("preview-rows").replaceChildren(...records.map(previewRow));
}

function previewRow(record) {
  const [text, kind] = record.reason ? ["refused", "bad"] : record.events.length ? [record.events.length > 1 ? `${record.events.length} events` : "imported", "good"] : ["dropped", ""];
  const said = record.reason ? `${record.field ? `${record.field}: ` : ""}${record.reason}` : record.record;
  return row(
    [cell(`line ${record.line}`, "at"), make("span", {}, make("span", { class: `badge ${kind}` }, text)), cell(said, record.reason ? "reason" : "mono")],
    () => [
      ...(record.reason ? [make("p", { class: "facts reason" }, `By ${record.by === "Mixpanel" ? "Mixpanel\u2019s rules" : "the importer"}: ${said}`)] : []),
      make("p", { class: "hint" }, "The record"),
      json(record.record),
      ...(record.events.length ? [make("p", { class: "hint" }, "becomes"), ...record.events.map(json)] : []),
    ],
  );
}

// Tabs, and the keyboard

const tabs = [...document.querySelectorAll("[role=tab]")];

function choose(tab, focus) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", chosen);
    each.tabIndex = chosen ? 0 : -1;
    $(each.getAttribute("aria-controls")).hidden = !chosen;
  }
  showFilters();
  $("held").classList.toggle("elsewhere", tab.id !== "tab-events");
  if (focus) tab.focus();
  history.replaceState(null, "", tab === tabs[0] ? location.pathname : `#show-${tab.getAttribute("aria-controls")}`);
}

// Only what can be told of the rows: requests need not say where their events are from.
function showFilters() {
  const tab = tabs.find((each) => each.getAttribute("aria-selected") === "true").getAttribute("aria-controls");
  for (const field of $("filters").querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.includes(tab);
  if (counts.tells_sources) $("source-hint").hidden = true;
  else if (!$("source-hint").hidden) $("source-filter").hidden = true;
  $("filters").hidden = [...$("filters").querySelectorAll("[data-for]")].every((field) => field.hidden);
}

for (const tab of tabs) tab.addEventListener("click", () => choose(tab));
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = tabs.indexOf(document.activeElement);
  const next = Number.isFinite(step) ? (at + step + tabs.length) % tabs.length : step < 0 ? 0 : tabs.length - 1;
  choose(tabs[next], true);
});
for (const rows of document.querySelectorAll(".rows")) {
  rows.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const next = step && event.target.matches("summary") && event.target.parentElement[step]?.firstElementChild;
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}
$("pause").addEventListener("click", () => {
  $("pause").setAttribute("aria-pressed", String(!paused()));
  releaseIfUnread();
  if (!held.arrived) $("held").hidden = true;
});
$("held").addEventListener("click", release);

$("address").textContent = location.origin;
const named = tabs.find((tab) => `#show-${tab.getAttribute("aria-controls")}` === location.hash);
choose(named ?? tabs[0]);
setInterval(draw, 1000);
draw();
listen();
