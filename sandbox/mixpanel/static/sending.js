// Files into the bucket, and messages onto the topic.
import { go, none } from "./address.js";
import { $, make } from "./dom.js";
import { ask, onnews, state } from "./feed.js";
import { previewFile } from "./preview.js";
import { size, whole } from "./words.js";

const MOST = 6;
const uploads = new Map();

async function upload(file) {
  const said = make("span", { class: "hint" }, `sending ${size(file.size)}\u2026`);
  const item = make("li", {}, make("b", {}, file.name), " ", said);
  $("uploads").prepend(item);
  while ($("uploads").childElementCount > MOST) $("uploads").lastElementChild.remove();
  for (const [name, known] of uploads) if (!known.item.isConnected) uploads.delete(name);
  try {
    const { name, generation } = await ask(`sandbox/upload?${new URLSearchParams({ name: file.name })}`, file);
    said.textContent = `written to ${name}; ${waits()}`;
    uploads.set(`${name}#${generation}`, { said, item });
    const source = state.sources.get(`${name}#${generation}`) ?? state.sources.get(name);
    if (source) finish(source);
  } catch (error) {
    said.className = "reason";
    said.textContent = error.message;
  }
}

const waits = () => (state.around.state === "down" ? "it waits: the functions do not run" : "waiting for the importer\u2026");

function finish(source) {
  for (const [name, { said, item }] of uploads) {
    if (name !== source.name && name.replace(/#\d+$/, "") !== source.name) continue;
    const [run] = source.runs;
    if (source.work || !run) {
      const { work } = source;
      if (work) said.textContent = `at work: ${whole(work.imported)} imported so far${work.waits_for ? `; it waits: ${work.waits_for}` : ""}`;
      continue;
    }
    const counted = run.read ? `: ${whole(run.imported)} imported, ${whole(run.rejected)} rejected` : "";
    said.className = ["done", "sent again"].includes(run.outcome) ? "hint" : "reason";
    said.textContent = `${run.outcome}${counted}${run.reason ? `; ${run.reason}` : ""}`;
    if (run.outcome === "handed back" || item.querySelector(".links")) continue;
    const to = (tab, text) => make("button", { type: "button", class: "link", onclick: () => go({ ...none, tab, source: source.name }) }, text);
    item.append(make("span", { class: "links" }, to("events", "Events"), run.rejected ? to("rejects", "Rejects") : null, to("batches", "Batches")));
  }
}

onnews((news) => {
  for (const source of news.sources ?? []) finish(source);
  if (news.around) for (const { said } of uploads.values()) if (said.textContent.includes("written to")) said.textContent = said.textContent.replace(/; .*/, `; ${waits()}`);
  if (news.start) {
    const { bucket } = state.setting;
    $("bucket").textContent = bucket ? `to the bucket gs://${bucket}` : "There is no bucket here: start with --bucket-url.";
    $("drop").classList.toggle("off", !bucket);
    $("file").disabled = !bucket;
  }
  if (news.around) $("publish").hidden = !state.around.topic;
});

$("file").addEventListener("change", ({ target }) => {
  [...target.files].forEach(upload);
  target.value = "";
});

// Dropping: on the preview it is previewed, anywhere else it is written to the bucket.

let over = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
const forPreview = (event) => Boolean(event.target.closest?.("#preview"));
addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  over += 1;
  $("overlay").hidden = !state.setting.bucket || forPreview(event);
  $("preview").classList.toggle("over", forPreview(event));
});
addEventListener("dragleave", () => {
  over = Math.max(0, over - 1);
  if (!over) $("overlay").hidden = true;
});
addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  over = 0;
  $("overlay").hidden = true;
  $("preview").classList.remove("over");
  const files = [...event.dataTransfer.files];
  if (forPreview(event)) previewFile(files[0]);
  else if (state.setting.bucket) files.forEach(upload);
});

// Messages

$("publish").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("published").className = "hint";
  try {
    const { id } = await ask("sandbox/publish", $("message").value, "application/octet-stream");
    $("published").textContent = `Published as message ${id}.`;
  } catch (error) {
    $("published").className = "reason";
    $("published").textContent = error.message;
  }
});
