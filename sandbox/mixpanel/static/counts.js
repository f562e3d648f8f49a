// The numbers at the top, and the banner that says when nothing can come in.
import { $, make } from "./dom.js";
import { onnews, state } from "./feed.js";
import { plural, size, whole } from "./words.js";

function show() {
  const { counts } = state;
  const by_rules = Math.min(counts.refused, counts.rejected), by_importer = counts.rejected - by_rules;
  $("imported").textContent = whole(counts.imported);
  $("rejected").textContent = whole(counts.rejected);
  $("rejected").parentElement.classList.toggle("some", counts.rejected > 0);
  $("refused").textContent = [
    by_importer ? `${whole(by_importer)} by the importer` : "",
    by_rules ? `${whole(by_rules)} by Mixpanel\u2019s rules` : "",
  ].filter(Boolean).join(", ") || "none so far";
  $("duplicates").textContent = counts.duplicates ? `and ${plural(counts.duplicates, "duplicate")}` : "no duplicates";
  $("requests").textContent = whole(counts.requests);
  const answers = Object.entries(counts.answers).map(([answer, times]) => `${whole(times)} \u00d7 ${answer === "none" ? "no answer" : answer}`);
  $("answers").textContent = answers.join(", ") || "none answered yet";
  $("bytes").textContent = size(counts.bytes);
  $("wire").textContent = counts.wire_bytes === counts.bytes ? "sent as it is" : `${size(counts.wire_bytes)} on the wire`;
  $("count-rejects").textContent = counts.rejected ? whole(counts.rejected) : "";
  $("count-sources").textContent = counts.sources ? whole(counts.sources) : "";
  $("count-sources").classList.toggle("work", counts.at_work > 0);
  $("at-work").textContent = counts.at_work ? `, ${whole(counts.at_work)} at work` : "";
  document.title = counts.imported ? `Sandbox: ${whole(counts.imported)} imported` : "Sandbox";
}

function banner() {
  const { around } = state;
  $("banner").hidden = around.state !== "down";
  if (around.state !== "down") return;
  $("banner").replaceChildren(
    make("b", {}, "The functions do not run, so nothing is imported. "),
    make("span", { class: "why" }, around.why ?? ""),
    " Files and messages wait until that is mended.",
  );
}

onnews((news) => {
  if (news.counts) show();
  if (news.around) banner();
  if (!news.start) return;
  const { events, event_bytes, requests, rejects, sources, remembered } = state.setting.limits;
  $("limits").textContent =
    `Kept in memory: the last ${whole(events)} events (${size(event_bytes)} at most), ${whole(requests)} requests, ${whole(rejects)} rejects ` +
    `and ${whole(sources)} sources; a mark of each of the last ${whole(remembered)} events, to know a duplicate. The counts are exact. ` +
    "This page shows the newest 200 of each.";
});
$("address").textContent = location.origin;
