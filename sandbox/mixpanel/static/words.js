// Numbers, sizes and times in words.

const number = new Intl.NumberFormat("en");

export const whole = (n) => number.format(n ?? 0);
export const plural = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;
export const percent = (share) => `${Math.round(share * 100)} %`;

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  for (const [unit, of] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (bytes >= of) return `${(bytes / of).toFixed(bytes >= of * 100 ? 0 : 1)} ${unit}`;
  }
  return `${whole(bytes)} B`;
}

export const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 8);

export function took(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// A time as Mixpanel takes it, in seconds or milliseconds since the epoch, as a date; "" where it is none.
export function date(time) {
  const milliseconds = Math.abs(time) > 1e11 ? time : time * 1000;
  const found = new Date(milliseconds);
  return Number.isNaN(found.getTime()) ? "" : `${found.toISOString().replace("T", " ").replace(/(\.000)?Z$/, "")} UTC`;
}

export const short = (source) => source.replace(/^gs:\/\/[^/]+\//, "").replace(/#\d+$/, "").replace(/^projects\/[^/]+\//, "");
