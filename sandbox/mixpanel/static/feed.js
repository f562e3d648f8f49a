// Hears what is new from the stand-in (see sandbox/mixpanel/feed.py), and asks it for things.
import { filters } from "./address.js";
import { $ } from "./dom.js";

export const state = { counts: {}, setting: {}, around: {}, faults: {}, sources: new Map(), seconds: new Map(), skew: 0 };

const listeners = [];
let feed;

export function onnews(listener) {
  listeners.push(listener);
}

export const now = () => Date.now() / 1000 + state.skew;

export function listen() {
  feed?.close();
  feed = new EventSource(`sandbox/stream?${new URLSearchParams(filters())}`);
  feed.onmessage = ({ data }) => hear(JSON.parse(data));
  feed.onerror = () => say("Not connected: trying again", "bad");
}

export function say(text, kind) {
  if ($("state").textContent !== text) $("state").textContent = text;
  $("state").className = `chip ${kind}`;
}

const STATES = { starting: ["The functions start\u2026", "warn"], down: ["The functions are down", "bad"] };

function hear(news) {
  if (news.start) {
    Object.assign(state, { setting: news.start, counts: {}, sources: new Map(), seconds: new Map() });
  }
  if (news.now) state.skew = news.now - Date.now() / 1000;
  const before = state.counts;
  if (news.counts) state.counts = news.counts;
  if (news.around) state.around = news.around;
  if (news.faults) state.faults = news.faults;
  for (const source of (news.sources ?? []).toReversed()) {
    state.sources.delete(source.name);
    state.sources.set(source.name, source);
  }
  for (const second of news.history ?? []) state.seconds.set(second[0], second);
  say(...(STATES[state.around.state] ?? ["Live", "live"]));
  for (const listener of listeners) listener(news, before);
}

export async function ask(path, body, type) {
  const answer = await fetch(path, { method: "POST", body, headers: type ? { "Content-Type": type } : {} });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ?? `It answered ${answer.status}.`);
  return told;
}
