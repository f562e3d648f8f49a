// Making elements. Text only ever goes in as text, so that no event can be taken for markup.
import { date } from "./words.js";

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const cell = (text, kind, title) => make("span", { class: kind, title: title ?? text }, text);
export const badge = (text, kind = "") => make("span", { class: `badge ${kind}` }, text);

export const facts = (...pairs) =>
  make("p", { class: "facts" }, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => make("span", {}, `${name} `, make("b", {}, String(value)))));

// A row that opens; what is in it is made when it does.
export function row(cells, body, onclose = () => {}) {
  const details = make("details", {}, make("summary", {}, ...cells));
  details.addEventListener("toggle", () => {
    if (details.open && !details.querySelector(":scope > .body")) details.append(make("div", { class: "body" }, ...body()));
    if (!details.open) onclose();
  });
  return details;
}

export function prepend(rows, elements, most) {
  rows.prepend(...elements);
  while (rows.childElementCount > most) rows.lastElementChild.remove();
}

// JSON

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;
const TIMES = /^"(?:\$?time|.*_time|.*timestamp.*|.*_at|at)"$/i;

// One line of indented JSON, its parts told apart by colour; times get the date beside them.
export function colours(line) {
  const parts = [];
  let at = 0, key = "";
  for (const found of line.matchAll(TOKEN)) {
    const [text, string, colon, digits] = found;
    parts.push(line.slice(at, found.index));
    at = found.index + text.length;
    if (colon) {
      key = string;
      parts.push(make("span", { class: "k" }, string), colon);
    } else {
      parts.push(make("span", { class: string ? "s" : digits ? "d" : "w" }, text));
      const when = digits && TIMES.test(key) && Number(digits) > 3e7 ? date(Number(digits)) : "";
      if (when) parts.push(make("span", { class: "when", "data-date": when }));
    }
  }
  return [...parts, line.slice(at)].filter((part) => part !== "");
}

// Indents JSON, each number as it is written; what is none stays as it is.
export function indented(text) {
  const compact = text.trim();
  try {
    JSON.parse(compact);
  } catch {
    return text;
  }
  if (compact.includes("\n")) return compact;
  let out = "", depth = 0, inText = false;
  for (let n = 0; n < compact.length; n += 1) {
    const c = compact[n];
    if (inText) {
      out += c;
      if (c === "\\") out += compact[(n += 1)];
      else if (c === '"') inText = false;
      continue;
    }
    if (c === '"') inText = true;
    if (c === "{" || c === "[") {
      const empty = /^\s*[\]}]/.exec(compact.slice(n + 1, n + 200));
      if (empty) {
        out += c + empty[0].trim();
        n += empty[0].length;
        continue;
      }
      depth += 1;
      out += `${c}\n${"  ".repeat(depth)}`;
    } else if (c === "}" || c === "]") {
      depth -= 1;
      out += `\n${"  ".repeat(depth)}${c}`;
    } else if (c === ",") out += `,\n${"  ".repeat(depth)}`;
    else if (c === ":") out += ": ";
    else if (!/\s/.test(c)) out += c;
  }
  return out;
}

export function json(text) {
  const lines = indented(text).split("\n");
  return make("pre", { tabindex: "0", role: "region", "aria-label": "JSON" }, ...lines.flatMap((line, n) => [...colours(line), n < lines.length - 1 ? "\n" : ""]).filter((part) => part !== ""));
}

// Copying

export function copying(label, text) {
  const button = make("button", { type: "button", class: "small" }, label);
  button.addEventListener("click", async () => {
    const copied = typeof text === "function" ? text() : text;
    try {
      await navigator.clipboard.writeText(copied);
    } catch {
      const area = make("textarea", { class: "offscreen" }, copied);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// The command that sends an event to this stand-in.
export const curl = (event) =>
  `curl ${quoted(`${location.origin}/import?strict=1`)} -u ANY_TOKEN: -H 'Content-Type: application/json' -d ${quoted(`[${event}]`)}`;

export const command = (text) => make("div", { class: "command" }, make("code", {}, text), copying("Copy", text));
