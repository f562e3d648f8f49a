// The sources, an object or a subscription each: what became of it, or how far it is; and from there to what belongs to it.
import { go, none } from "./address.js";
import { $, badge, cell, facts, make, row } from "./dom.js";
import { now, onnews, state } from "./feed.js";
import { clock, percent, plural, short, size, took, whole } from "./words.js";

const MOST = 200;
let read = {}; // of the objects at work, how much of each
const OUTCOME = { done: "good", skipped: "", "handed back": "warn", gone: "", "sent again": "good", "at work": "work" };

const answers = (work) => Object.entries(work.answers).filter(([answer]) => answer !== "200")
  .map(([answer, times]) => `${whole(times)} \u00d7 ${answer === "none" ? "no answer" : answer}`).join(", ");

// What a run that goes on is at: how far it is, how often it tried, what it waits for.
function atWork(work, share) {
  const waits = work.waits_until - now();
  const silent = now() - work.at;
  return [
    `for ${took(Math.max(now() - work.since, 0))}: ${plural(work.requests, "request")}, ${whole(work.imported)} imported so far`,
    share === undefined ? "" : `${percent(share)} of it is read`,
    answers(work),
    waits > 0 ? `waits ${took(waits)}: ${work.waits_for.replace(/\.$/, "")}` : silent > 15 ? `nothing heard for ${took(silent)}` : "",
  ].filter(Boolean).join("; ");
}

function sourceRow(source) {
  const run = source.runs[0];
  const outcome = source.work ? "at work" : run?.outcome ?? "at work";
  const shown = source.work ? { read: "", imported: source.work.imported, rejected: Math.max(source.pending, source.work.rejected), dropped: "" }
    : run ?? { rejected: source.pending };
  const count = (name, value) => make("span", { class: `n${name === "rejected" && value ? " some" : ""}` }, make("b", {}, value === "" ? "\u2026" : whole(value)), make("small", {}, name));
  const details = row(
    [
      cell(run?.at ? clock(run.at) : "now", "at"),
      cell(short(source.name), "name", source.name),
      make("span", { class: "badge-cell" }, badge(outcome, OUTCOME[outcome] ?? "bad")),
      count("read", shown.read), count("imported", shown.imported), count("rejected", shown.rejected), count("dropped", shown.dropped),
    ],
    () => [
      facts(["source", source.name], ["runs", source.count], ["", run?.reason]),
      ...dropped(run),
      source.runs.length ? make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs" }, runsTable(source.runs)) : null,
    ].filter(Boolean),
  );
  const to = (tab, text) => make("button", { type: "button", class: "link", onclick: () => go({ ...none, tab, source: source.name }) }, text);
  const rejected = shown.rejected ? `${whole(shown.rejected)} rejects` : "Rejects";
  return make("div", { class: "source", "data-source": source.name },
    details,
    source.work ? make("p", { class: "working" }, atWork(source.work, read[source.name])) : run?.reason ? make("p", { class: "working reason" }, run.reason) : null,
    make("p", { class: "links" }, to("events", "Events"), to("rejects", rejected), to("batches", "Batches")));
}

// What was left out on purpose, and what filters changed, by rule.
function dropped(run) {
  const list = (title, counts) => Object.keys(counts ?? {}).length
    ? [make("p", { class: "facts" }, `${title} `, ...Object.entries(counts).map(([rule, n]) => make("span", {}, `${rule} `, make("b", {}, whole(n)))))] : [];
  return run ? [...list("dropped:", run.dropped_by), ...list("changed:", run.changed_by)] : [];
}

function runsTable(runs) {
  const head = ["At", "Outcome", "Read", "Imported", "Rejected", "Dropped", "Requests", "Retried", "Size", "Sent", "Time", "Events/s"];
  const body = runs.map((run) => [
    clock(run.at), run.outcome, ...[run.read, run.imported, run.rejected, run.dropped, run.requests, run.retried].map(whole),
    size(run.bytes), size(run.sent_bytes), took(run.seconds), run.seconds ? whole(Math.round(run.imported / run.seconds)) : "",
  ]);
  const line = (tag, values) => make("tr", {}, ...values.map((value, n) => make(tag, n > 1 ? { class: "n" } : {}, value)));
  return make("table", {}, make("thead", {}, line("th", head)), make("tbody", {}, ...body.map((values) => line("td", values))));
}

const made = new Map(); // the rows as they are shown: only what has news is made anew

function rowOf(source, isOpen) {
  const known = made.get(source.name);
  if (known?.changed === source.changed) return known.element;
  const element = sourceRow(source);
  element.querySelector("details").open = isOpen;
  made.set(source.name, { changed: source.changed, element });
  return element;
}

function show() {
  const rows = $("source-rows");
  const opened = new Set([...rows.querySelectorAll("details[open]")].map((each) => each.parentElement.dataset.source));
  const focused = document.activeElement?.closest?.("#source-rows .source");
  const nth = focused ? [...focused.querySelectorAll("summary, button")].indexOf(document.activeElement) : -1;
  const elements = [...state.sources.values()].reverse().slice(0, MOST).map((source) => rowOf(source, opened.has(source.name)));
  rows.replaceChildren(...elements);
  if (focused) elements.find((each) => each.dataset.source === focused.dataset.source)?.querySelectorAll("summary, button")[nth]?.focus();
  $("known-sources").replaceChildren(...[...state.sources.keys()].reverse().slice(0, 50).map((name) => make("option", { value: name })));
}


setInterval(async () => {
  if (state.counts.at_work && state.setting.bucket && !document.hidden) {
    read = await fetch("sandbox/reading").then((answer) => answer.json()).catch(() => ({}));
  }
  for (const element of $("source-rows").children) {
    const { work } = state.sources.get(element.dataset.source) ?? {};
    if (work) element.querySelector(".working").textContent = atWork(work, read[element.dataset.source]);
  }
}, 1000);

onnews((news) => {
  if (news.start) made.clear();
  if (news.sources?.length || news.start) show();
});
