// The requests: what each brought, what it was answered, and why.
import { go, none } from "./address.js";
import { $, badge, cell, facts, make, prepend, row } from "./dom.js";
import { onnews } from "./feed.js";
import { clock, size, took, whole } from "./words.js";

const MOST = 200;

function requestRow(request) {
  const bad = request.status === null || request.status >= 500 || request.status === 401;
  const kind = request.status === 200 && !request.fault ? "good" : bad ? "bad" : "warn";
  const what = request.fault && !/^\d+$/.test(request.fault) ? ` ${request.fault.replaceAll("_", " ")}` : "";
  const count = (name, value) => make("span", { class: value ? "n" : "n zero", "data-name": name }, whole(value));
  const path = request.path === "/import" ? null : make("span", { class: "path" }, request.path);
  return row(
    [
      cell(clock(request.at), "at"),
      make("span", { class: "badge-cell" }, badge(`${request.status ?? "no answer"}${what}`, kind), path),
      count("events", request.events),
      count("new", request.imported - request.duplicates),
      count("duplicates", request.duplicates),
      count("rejected", request.rejected),
      make("span", { class: "n", "data-name": "size" }, size(request.bytes)),
      make("span", { class: "n", "data-name": "time" }, took(request.seconds)),
    ],
    () => [
      facts(
        ["request", request.n], ["from", request.source], ["by", request.user_agent || "an unnamed client"],
        ["signed by", request.auth], ["made to fail", request.fault?.replaceAll("_", " ")],
        ["on the wire", `${size(request.wire_bytes)}${request.encoding ? `, ${request.encoding}` : ", not compressed"}`],
      ),
      request.reason ? make("p", { class: request.status === 200 && !request.fault ? "hint" : "reason" }, request.reason) : null,
      make("div", { class: "bar" },
        request.imported ? make("button", { type: "button", class: "small", onclick: () => go({ ...none, tab: "events", request: String(request.n) }) }, "Its events") : null,
        request.rejected && request.source ? make("button", { type: "button", class: "small", onclick: () => go({ ...none, tab: "rejects", source: request.source }) }, "Rejects of its source") : null),
    ].filter(Boolean),
  );
}

onnews((news) => {
  if (news.start) $("request-rows").replaceChildren();
  prepend($("request-rows"), (news.requests ?? []).map(requestRow), MOST);
});
