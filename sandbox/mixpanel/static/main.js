// The live view: each file beside this one is an idea, and keeps its part of the page in step with the feed.
import "./counts.js";
import * as chart from "./chart.js";
import "./events.js";
import "./batches.js";
import "./sources.js";
import "./rejects.js";
import "./trouble.js";
import "./preview.js";
import "./sending.js";
import "./mapping.js";
import { showFilters } from "./filters.js";
import { $, command } from "./dom.js";
import { listen, onnews, state } from "./feed.js";

// What to do where nothing is yet: commands to copy.
onnews((news) => {
  if (!news.start) return;
  const { bucket, bucket_url } = state.setting;
  const event = `[{"event": "Signup", "properties": {"time": ${Math.floor(Date.now() / 1000)}, "distinct_id": "user-1", "$insert_id": "a-1"}}]`;
  const request = command(`curl '${location.origin}/import?strict=1' -u ANY_TOKEN: -H 'Content-Type: application/json' -d '${event}'`);
  const file = bucket ? command(`curl -T my-events.jsonl ${bucket_url}/${bucket}/`) : null;
  $("do-events").replaceChildren(...[file?.cloneNode(true), request].filter(Boolean));
  $("do-sources").replaceChildren(...[file].filter(Boolean));
  $("do-batches").replaceChildren(request.cloneNode(true));
  for (const copied of document.querySelectorAll("#do-events .command:first-child, #do-batches .command")) {
    copied.replaceWith(command(copied.querySelector("code").textContent));
  }
});

chart.start();
showFilters();
listen();
