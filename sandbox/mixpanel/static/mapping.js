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
    running: `The functions use it${mapping.endsWith(".toml") ? ", and start again when the file changes" : ""}.`,
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

// The file itself: read when it is opened to be edited, and again when the mapping changes. What reads it says what is wrong.

const STARTER = `# Where an event's parts lie in a record: see docs/mappings.md.
event = "event"
time = { path = "time", unit = "s" }
distinct_id = "user"
`;
let edited = null;

async function open() {
  const { mapping } = state.around;
  const told = await (await fetch("sandbox/mapping_file")).json();
  if (mapping !== state.around.mapping) return;
  edited = mapping;
  $("mapping-text").value = told.text ?? STARTER;
  $("mapping-saved").textContent = told.text === null ? "There is no such file yet: saving makes it." : told.error ?? "";
}

function showEditor() {
  const { mapping } = state.around;
  const isFile = Boolean(mapping?.endsWith(".toml"));
  $("mapping-edit").hidden = !isFile;
  if (isFile && $("mapping-edit").open && edited !== mapping) open();
}

$("mapping-edit").addEventListener("toggle", () => $("mapping-edit").open && open());
$("mapping-text-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("sandbox/mapping_file", $("mapping-text").value, "application/toml");
    $("mapping-saved").textContent = "Saved.";
  } catch (error) {
    $("mapping-saved").textContent = error.message;
  }
});

onnews((news) => {
  if (news.around || news.start) showEditor();

  if (news.around || news.start) show();
});
