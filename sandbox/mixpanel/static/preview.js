// What would become of records: each before and after, side by side, with what touched what.
import { $, badge, cell, colours, copying, json, make, row } from "./dom.js";
import { onnews, state } from "./feed.js";
import { plural, whole } from "./words.js";

const CUT = 5e6; // bytes of a file that is read from its beginning
const WHOLE = 64e6; // bytes of one that is read from its end
const OPEN = 1;
let file = null; // the one that is previewed, if it is one
let asked = 0;

const startsWith = (bytes, text) => [...text].every((c, n) => bytes[n] === c.charCodeAt(0));

export async function previewFile(given) {
  const head = new Uint8Array(await given.slice(0, 4).arrayBuffer());
  const isWhole = startsWith(head, "PAR1") || given.size <= CUT;
  file = { name: given.name, body: isWhole ? given : given.slice(0, CUT), cut: !isWhole };
  if (isWhole && given.size > WHOLE) {
    $("preview-result").textContent = `${given.name} is too large to be previewed: import it.`;
    return;
  }
  const isText = head.every((byte) => byte === 9 || byte === 10 || byte === 13 || byte >= 32) && given.size <= 2e5;
  $("preview-text").value = isText ? await given.text() : "";
  $("preview-text").placeholder = isText ? "" : `${given.name} is shown below.`;
  look();
}

async function look() {
  const body = file ? file.body : new Blob([$("preview-text").value]);
  if (!body.size) {
    $("preview-rows").replaceChildren();
    forgetFindings(false);
    $("preview-result").textContent = file ? `There is nothing in ${file.name}.` : "There is nothing to preview yet.";
    return;
  }
  const mine = (asked += 1);
  $("preview-result").className = "";
  $("preview-result").textContent = "Looking\u2026";
  const query = new URLSearchParams({ name: file?.name ?? "", ...(file?.cut ? { cut: "1" } : {}) });
  try {
    const answer = await fetch(`sandbox/preview_file?${query}`, { method: "POST", body });
    const told = await answer.json();
    if (mine !== asked) return;
    if (!answer.ok) throw new Error(told.error);
    show(told);
  } catch (error) {
    if (mine !== asked) return;
    $("preview-rows").replaceChildren();
    forgetFindings(false);
    $("preview-result").className = "reason";
    $("preview-result").textContent = error.message;
  }
}

$("preview-form").addEventListener("submit", (event) => {
  event.preventDefault();
  look();
});
$("preview-text").addEventListener("input", () => (file = null));
$("preview-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("preview-form").requestSubmit();
});
$("preview-file").addEventListener("change", ({ target }) => {
  if (target.files[0]) previewFile(target.files[0]);
  target.value = "";
});

// What is previewed is looked at again when the mapping, its file, or the transform changes.
let known = "";
onnews((news) => {
  if (!news.around) return;
  const { mapping, transform, state: functions } = state.around;
  const heard = JSON.stringify([mapping, transform, functions]);
  if (known && heard !== known && functions !== "starting" && asked) look();
  if (functions !== "starting" || !known) known = heard;
  else known = "starting";
});

function show({ records, format, recognised, more, unreadable }) {
  const outcomes = records.flatMap((record) => record.outcomes);
  const count = (fate) => outcomes.filter((one) => one.fate === fate).length;
  $("preview-result").textContent = [
    `${plural(records.length, "record")}${more ? " (the first of more)" : ""}: ${plural(count("imported"), "event")} would be imported, ${whole(count("rejected"))} rejected, ${whole(count("dropped"))} dropped.`,
    unreadable ? `Then it ends: ${unreadable}.` : "",
  ].filter(Boolean).join(" ");
  const vendors = Object.entries(recognised).map(([title, n]) => `${title} (${whole(n)})`);
  $("preview-vendor").textContent = [format ? `Format: ${format}.` : "", vendors.length ? `Recognised: ${vendors.join(", ")}.` : records.length ? "Recognised: no tool\u2019s records." : ""].filter(Boolean).join(" ");
  $("preview-rows").replaceChildren(...records.map(recordRow));
  forgetFindings(records.length > 0);
  [...$("preview-rows").children].slice(0, OPEN).forEach((each) => (each.open = true));
}

// What the profile finds odd about all of it, and the lines that mend it.

function forgetFindings(isShown) {
  $("findings").hidden = !isShown;
  $("found").textContent = "";
  $("finding-rows").replaceChildren();
  $("mending").replaceChildren();
}

$("find").addEventListener("click", async () => {
  const body = file ? file.body : new Blob([$("preview-text").value]);
  forgetFindings(true);
  $("found").textContent = "Looking\u2026";
  try {
    const answer = await fetch(`sandbox/profile?${new URLSearchParams({ name: file?.name ?? "" })}`, { method: "POST", body });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    $("found").textContent = `${plural(told.count, "event")} looked at: ${told.findings.length ? plural(told.findings.length, "finding") : "nothing is odd about them"}.`;
    $("finding-rows").replaceChildren(...told.findings.map((finding) => make("li", {},
      badge(finding.level, { error: "bad", warning: "warn" }[finding.level] ?? ""), " ", finding.sentence,
      finding.examples.length ? make("small", {}, `such as ${finding.examples.slice(0, 3).join(", ")}`) : null)));
    if (told.mending) $("mending").replaceChildren(make("p", { class: "hint" }, "A mapping file that mends what a file can mend:"), make("pre", { tabindex: "0", role: "region", "aria-label": "Mapping file" }, told.mending), make("div", { class: "bar" }, copying("Copy", told.mending)));
  } catch (error) {
    $("found").textContent = error.message;
  }
});

const KIND = { imported: "good", rejected: "bad", dropped: "" };

function recordRow(record) {
  const fates = record.outcomes.map((one) => one.fate);
  const [fate] = fates;
  const text = fates.length > 1 ? (new Set(fates).size > 1 ? fates.join(", ") : `${whole(fates.length)} ${fate === "imported" ? "events" : fate}`) : fate;
  const first = record.outcomes.find((one) => one.reason) ?? record.outcomes[0];
  const said = first?.reason ? `${first.field ? `${first.field}: ` : ""}${first.reason}` : nameOf(first) || record.record;
  return row(
    [cell(`line ${whole(record.line)}`, "at"), make("span", { class: "badge-cell" }, badge(text, fates.includes("rejected") ? "bad" : KIND[fate])),
      cell(record.recognised ?? "", "dim"), cell(said, first?.fate === "rejected" ? "reason" : "mono")],
    () => [
      make("div", { class: "sides" },
        make("section", { class: "side" }, make("h3", {}, "The record", record.recognised ? make("small", {}, `recognised as ${record.recognised}`) : null), json(record.record)),
        make("section", { class: "side" }, ...record.outcomes.flatMap((one, n) => outcome(one, n, record.outcomes.length)))),
    ],
  );
}

const nameOf = (one) => {
  try {
    return one?.event ? JSON.parse(one.event).event : "";
  } catch {
    return "";
  }
};

const BY = { mapping: "the mapping", filter: "a filter", transform: "the transform", completion: "the importer", importer: "the importer", Mixpanel: "Mixpanel\u2019s rules" };

function outcome(one, n, many) {
  const title = { imported: "The event", rejected: "Rejected", dropped: "Dropped" }[one.fate];
  const removed = one.touches.filter((touch) => touch.did === "removed");
  return [
    make("h3", {}, many > 1 ? `${title} (${n + 1} of ${many})` : title),
    one.reason ? make("p", { class: one.fate === "rejected" ? "reason" : "" }, `By ${BY[one.by] ?? one.by}: ${one.field ? `${one.field}: ` : ""}${one.reason}`) : null,
    one.event ? touched(one) : null,
    removed.length ? make("p", { class: "facts" }, "left out: ", ...removed.map((touch) => make("span", {}, make("code", {}, touch.part), " ", tag(touch)))) : null,
    one.event ? make("div", { class: "bar" }, copying("Copy the event", one.event)) : null,
  ].filter(Boolean);
}

const tag = (touch) => make("span", { class: `tag ${touch.stage}`, title: `${touch.did} by the ${touch.stage} ${touch.rule}` }, touch.rule);

// The event, each line with the rules that had a hand in it.
function touched(one) {
  const by = new Map();
  for (const touch of one.touches) {
    if (touch.did !== "removed") by.set(touch.part ?? "\u0000event", [...(by.get(touch.part ?? "\u0000event") ?? []), touch]);
  }
  const lines = one.event.split("\n");
  let inside = false;
  return make("pre", { tabindex: "0", role: "region", "aria-label": "The event" }, ...lines.flatMap((line) => {
    const outer = /^ {2}("(?:[^"\\]|\\.)*"):/.exec(line), inner = /^ {4}("(?:[^"\\]|\\.)*"):/.exec(line);
    if (outer) inside = outer[1] === '"properties"';
    const part = outer?.[1] === '"event"' ? "\u0000event" : inside && inner ? JSON.parse(inner[1]) : null;
    const tags = part === null ? [] : (by.get(part) ?? []).map(tag);
    return [make("span", { class: "line" }, make("span", {}, ...colours(line)), tags.length ? make("span", { class: "tags" }, ...tags) : null), "\n"];
  }));
}
