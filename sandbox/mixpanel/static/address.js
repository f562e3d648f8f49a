// What is looked at stands in the address: the tab, the filters, the chart's range. It can be sent, kept, gone back to.

const DEFAULTS = { tab: "events", range: "2", event: "", user: "", source: "", reason: "", answer: "", request: "" };
export const FILTERS = ["event", "user", "source", "reason", "answer", "request"];

const listeners = [];
let now = read();

function read() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, query.get(name) ?? value]));
}

export const wanted = () => now;
export const filters = () => Object.fromEntries(FILTERS.map((name) => [name, now[name].trim()]).filter(([, text]) => text));
export const isFiltered = (...names) => (names.length ? names : FILTERS).some((name) => now[name].trim() !== "");
export const none = Object.fromEntries(FILTERS.map((name) => [name, ""]));

// Changes what is looked at. While one types, the address changes in place; a click can be gone back from.
export function go(changes, { typing = false } = {}) {
  const next = { ...now, ...changes };
  if (Object.keys(DEFAULTS).every((name) => next[name] === now[name])) return;
  const before = now;
  now = next;
  const query = new URLSearchParams(Object.entries(now).filter(([name, value]) => value !== DEFAULTS[name]));
  const address = `${location.pathname}${query.size ? `?${query}` : ""}`;
  history[typing ? "replaceState" : "pushState"](null, "", address);
  for (const listener of listeners) listener(now, before);
}

export function onmove(listener) {
  listeners.push(listener);
}

addEventListener("popstate", () => {
  const before = now;
  now = read();
  for (const listener of listeners) listener(now, before);
});
