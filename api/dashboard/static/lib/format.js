// Numbers and times as people read them, times in the reader's own zone.

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const counts = new Intl.NumberFormat(undefined);

/** "3 Nov 2026, 14:05" of unix seconds; a dash of nothing. */
export function moment(seconds) {
  return seconds ? moments.format(seconds * 1000) : "–";
}

/** The same with weekday, seconds and zone, for titles. */
export function exactMoment(seconds) {
  return seconds ? exact.format(seconds * 1000) : "";
}

/** "3 minutes ago". */
export function ago(seconds) {
  const past = seconds - Date.now() / 1000;
  const [size, unit] = [[86400, "day"], [3600, "hour"], [60, "minute"]].find(([size]) => Math.abs(past) >= size) ?? [1, "second"];
  return relative.format(Math.round(past / size), unit);
}

/** "2 h 05 min", "3 min 20 s", "12 s". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.max(0, seconds).toPrecision(2)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  return `${counts.format(Math.floor(s / 3600))} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
}

/** A figure with as many digits as say something. */
export function figure(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value !== 0 && (Math.abs(value) < 10 ** -digits || Math.abs(value) >= 1e6)) return value.toExponential(2);
  return value.toLocaleString(undefined, { minimumFractionDigits: Math.abs(value) < 100 ? digits : 1, maximumFractionDigits: Math.abs(value) < 100 ? digits : 1 });
}

export function count(value) {
  return value === null || value === undefined ? "–" : counts.format(value);
}

export function percent(share) {
  return share === null || share === undefined ? "–" : `${(100 * share).toLocaleString(undefined, { maximumFractionDigits: 1 })} %`;
}

/** "1.4 MB". */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  return `${(bytes / 1000 ** power).toLocaleString(undefined, { maximumFractionDigits: power ? 1 : 0 })} ${units[power]}`;
}
