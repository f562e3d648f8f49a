// The mapping that the functions use, and previews with them: picked here.
import { $, make } from "./dom.js";
import { ask, onnews, state } from "./feed.js";

const FILE = "*.toml";
let isPicking = false;

function show() {
  const { around, setting } = state;
  const select = $("mapping-name");
  if (select.childElementCount <= 1) {
    select.replaceChildren(
      ...(setting.mappings ?? []).map(({ name, title }) => make("option", { value: name }, name === "" || name === "auto" ? title : `${name}: ${title}`)),
      make("option", { value: FILE }, "a mapping file\u2026"),
    );
  }
  const mapping = around.mapping ?? "";
  const isListed = (setting.mappings ?? []).some(({ name }) => name === mapping);
  if (!isPicking) {
    select.value = isListed ? mapping : FILE;
    $("mapping-file-row").hidden = isListed;
    if (!isListed && document.activeElement !== $("mapping-file")) $("mapping-file").value = mapping;
  }
  const what = mapping || "none";
  $("mapping-state").className = around.state === "down" ? "reason" : "hint";
  $("mapping-state").textContent = {
    running: `The functions use it${isListed ? "" : ", and start again when the file changes"}.`,
    starting: "The functions start again with it\u2026",
    down: around.why ?? "",
    unknown: "For previews; the importer here was started by somebody else.",
  }[around.state] ?? "";
  $("preview-by").textContent = `Mapping: ${what}.`;
  $("transform").textContent = around.transform ? `The transform is ${around.transform}.`
    : `There is no transform${mapping ? "." : ": events are taken as they are."}`;
}

async function pick(name) {
  isPicking = false;
  try {
    await ask("sandbox/mapping", JSON.stringify({ name: name || null }));
  } catch (error) {
    $("mapping-state").className = "reason";
    $("mapping-state").textContent = error.message;
  }
}

$("mapping-name").addEventListener("change", ({ target }) => {
  $("mapping-file-row").hidden = target.value !== FILE;
  if (target.value !== FILE) return void pick(target.value);
  isPicking = true;
  $("mapping-file").focus();
});
$("mapping-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("mapping-file").value.trim()) pick($("mapping-file").value.trim());
});
$("mapping-file").addEventListener("change", () => $("mapping-form").requestSubmit());

onnews((news) => {
  if (news.around || news.start) show();
});
