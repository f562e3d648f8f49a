// The tabs, the filters, and the keyboard.
import { FILTERS, go, isFiltered, none, onmove, wanted } from "./address.js";
import { $ } from "./dom.js";
import { listen, onnews, state } from "./feed.js";

const tabs = [...document.querySelectorAll("[role=tab]")];
const idOf = (tab) => tab.getAttribute("aria-controls");
const chosen = () => tabs.find((tab) => idOf(tab) === wanted().tab) ?? tabs[0];
const USES = { events: ["event", "user", "source", "request"], sources: ["source"], rejects: ["event", "user", "source", "reason"], batches: ["source", "answer", "request"], preview: [] };
const used = () => USES[idOf(chosen())];

function show() {
  const tab = chosen();
  for (const each of tabs) {
    each.setAttribute("aria-selected", String(each === tab));
    each.tabIndex = each === tab ? 0 : -1;
    $(idOf(each)).hidden = each !== tab;
  }
  $("held").classList.toggle("elsewhere", idOf(tab) !== "events");
  for (const field of $("filters").querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.split(" ").includes(idOf(tab));
  for (const input of $("filters").querySelectorAll("input")) {
    if (input.value.trim() !== wanted()[input.name].trim()) input.value = wanted()[input.name];
  }
  $("filters").hidden = used().length === 0;
  $("only-request").hidden = !wanted().request || !used().includes("request");
  $("only-request").textContent = `Request ${wanted().request} \u00d7`;
  $("clear").hidden = !isFiltered();
  showEmpty();
}

// Empty for which reason: because nothing came, or because nothing of it matches?
function showEmpty() {
  for (const panel of document.querySelectorAll("[role=tabpanel]")) {
    const filtered = isFiltered(...(USES[panel.id].length ? USES[panel.id] : ["request"]));
    for (const empty of panel.querySelectorAll(".empty")) empty.hidden = empty.classList.contains("none-match") !== filtered;
  }
}

let typing;
$("filters").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => go({ [target.name]: target.value }, { typing: true }), 250);
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("only-request").addEventListener("click", () => go({ request: "" }));
for (const clear of document.querySelectorAll(".clear")) clear.addEventListener("click", () => go(none));

for (const tab of tabs) tab.addEventListener("click", () => go({ tab: idOf(tab) }));
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = tabs.indexOf(document.activeElement);
  const next = Number.isFinite(step) ? (at + step + tabs.length) % tabs.length : step < 0 ? 0 : tabs.length - 1;
  go({ tab: idOf(tabs[next]) });
  tabs[next].focus();
});
for (const rows of document.querySelectorAll(".rows")) {
  rows.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches("summary")) return;
    const summaries = [...rows.querySelectorAll("summary")];
    const next = summaries[summaries.indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  if (!used().length) go({ tab: "events" });
  event.preventDefault();
  [...$("filters").querySelectorAll("label:not([hidden]) input")][0]?.focus();
});

onmove((now, before) => {
  show();
  if (FILTERS.some((name) => now[name].trim() !== before[name].trim())) listen();
});
onnews((news) => {
  if (news.start) show();
  $("filters").classList.toggle("ready", Boolean(state.setting.limits));
});

export { show as showFilters };
