// The events that came in, the newest first; held while one is read.
import { filters, isFiltered } from "./address.js";
import { $, cell, copying, curl, facts, json, make, prepend, row } from "./dom.js";
import { onnews, state } from "./feed.js";
import { clock, date, plural, size, whole } from "./words.js";

const MOST = 200;
const held = { events: [], arrived: 0 };

function eventRow(event) {
  const element = row(
    [cell(clock(event.at), "at"), cell(event.event, "name"), cell(event.user || "no user", event.user ? "" : "dim"), cell(event.insert_id, "dim mono")],
    () => [
      facts(["happened", date(event.time)], ["came in request", event.request], ["from", event.source], ["size", size(event.bytes)]),
      json(event.text),
      make("div", { class: "bar" },
        copying("Copy as JSON", event.text),
        copying("Copy as curl", () => curl(compact(event.text)))),
      event.bytes > event.text.length * 4 ? make("p", { class: "hint" }, "Only its beginning is shown.") : null,
    ].filter(Boolean),
    releaseIfUnread,
  );
  element.classList.add("new");
  return element;
}

// Without the indenting, each number as it was written.
const compact = (text) => text.split("\n").map((line) => line.trim()).join("");

const paused = () => $("pause").getAttribute("aria-pressed") === "true";
const reading = () => paused() || $("event-rows").querySelector("details[open]") !== null;

function add(events, arrived, replace) {
  if (replace) {
    $("event-rows").replaceChildren();
    Object.assign(held, { events: [], arrived: 0 });
  }
  if (reading()) {
    held.events = [...events, ...held.events].slice(0, MOST);
    held.arrived += arrived;
  } else {
    prepend($("event-rows"), events.map(eventRow), MOST);
  }
  showHeld();
}

function showHeld() {
  $("held").hidden = held.arrived === 0;
  $("held").textContent = `Held while you ${paused() ? "pause" : "read"}: ${plural(held.arrived, "more event")} came in. Show them.`;
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
  add(events, 0, false);
}

function showSampling(shown, arrived, whole_) {
  const filtered = isFiltered("event", "user", "source", "request");
  $("sampled").textContent = filtered ? "Only what matches; when events come in faster than one can read, a sample."
    : !whole_ && arrived > shown ? `A sample: ${whole(shown)} of the last ${whole(arrived)}. The counts are exact.` : "";
}

onnews((news, before) => {
  const { counts } = state;
  const arrived = (counts.received ?? 0) - (counts.refused ?? 0) - ((before.received ?? 0) - (before.refused ?? 0));
  const events = news.events ?? [];
  const matching = Object.keys(filters()).length ? events.length : Math.max(arrived, events.length);
  if (news.start || events.length) add(events, news.start ? 0 : matching, Boolean(news.start));
  if (news.events) showSampling(events.length, arrived, Boolean(news.start));
});

$("pause").addEventListener("click", () => {
  $("pause").setAttribute("aria-pressed", String(!paused()));
  releaseIfUnread();
  showHeld();
});
$("held").addEventListener("click", release);
