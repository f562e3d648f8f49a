// What was rejected: grouped by reason, each with its place, event and user; to be downloaded, and sent again.
import { go, isFiltered, onmove, wanted } from "./address.js";
import { $, cell, copying, curl, facts, json, make, prepend, row } from "./dom.js";
import { ask, onnews, state } from "./feed.js";
import { clock, plural, short, whole } from "./words.js";

const MOST = 200;
let groups = { groups: [], kept: 0, taken: 0 };

function rejectRow(reject) {
  const place = reject.line ? `line ${whole(reject.line)}` : "";
  return row(
    [
      cell(reject.at ? clock(reject.at) : "earlier", "at"), cell(reject.reason, "reason"), cell(reject.name || "no event", reject.name ? "name" : "dim"),
      cell(reject.user || "no user", reject.user ? "" : "dim"), cell(short(reject.source), "dim", reject.source), cell(place, "n"),
    ],
    () => [
      facts(["object", reject.source], ["line", reject.line && whole(reject.line)], ["field", reject.field], ["insert id", reject.insert_id]),
      make("p", { class: "facts reason" }, reject.reason),
      ...(reject.event ? [json(reject.event), make("div", { class: "bar" }, copying("Copy as JSON", reject.event), copying("Copy as curl", () => curl(reject.event)))]
        : [make("p", { class: "hint" }, "Its text was not logged.")]),
    ],
  );
}

function showGroups() {
  const chosen = wanted().reason.toLowerCase();
  $("groups").replaceChildren(...groups.groups.map((group) => {
    const pressed = chosen !== "" && chosen === group.kind.toLowerCase();
    const where = group.sources > 1 ? ` in ${plural(group.sources, "source")}` : "";
    return make("li", {}, make("button", { type: "button", class: "group", "aria-pressed": String(pressed), onclick: () => go({ reason: pressed ? "" : group.kind }) },
      make("b", {}, whole(group.count)), make("span", {}, group.field ? make("code", {}, group.field) : null, group.field ? " " : "", group.reason, make("small", {}, where))));
  }));
  $("groups").hidden = groups.groups.length === 0;
  const more = (state.counts.rejected ?? 0) - groups.taken;
  $("unlogged").textContent = more > 0 && !isFiltered() ? `${whole(more)} more were counted and not logged one by one${state.around.rejects ? ": the download has all of them" : ""}.` : "";
}

function showTools() {
  const stored = Boolean(state.around.rejects && state.setting.bucket);
  $("reject-tools").hidden = !state.counts.rejected || !stored;
  $("send-again").disabled = state.around.state !== "running" || sending;
  $("send-again-hint").textContent = state.around.state === "down" ? "The functions do not run: mend that first."
    : `With the mapping as it is now${state.around.mapping ? ` (${state.around.mapping.replace(/^.*\//, "")})` : ""}.`;
}

let sending = false;
$("send-again").addEventListener("click", async () => {
  sending = true;
  showTools();
  $("sent-again").className = "";
  $("sent-again").textContent = "Sending all rejects again\u2026";
  try {
    const { imported, dropped, rejected, unreadable } = await ask("sandbox/send_again", "{}");
    $("sent-again").textContent = `Sent again: ${whole(imported)} imported, ${whole(dropped)} dropped, ${whole(rejected)} rejected again${unreadable ? `, ${whole(unreadable)} unreadable` : ""}.`;
    $("sent-again").className = rejected ? "warn" : "good";
  } catch (error) {
    $("sent-again").className = "reason";
    $("sent-again").textContent = error.message;
  }
  sending = false;
  showTools();
});

onmove(showGroups);
onnews((news) => {
  if (news.start) $("reject-rows").replaceChildren();
  if (news.start && !state.counts.rejected && !sending && $("sent-again").className !== "good") $("sent-again").textContent = "";
  if (news.groups) groups = news.groups;
  prepend($("reject-rows"), (news.rejects ?? []).map(rejectRow), MOST);
  if (news.groups || news.counts || news.start) showGroups();
  if (news.counts || news.around || news.start) showTools();
});
