// How numbers, times and errors are written; making elements.

/** 1536 -> "1.5 KiB". */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB"];
  const step = Math.min(Math.floor(Math.log2(Math.max(count, 1)) / 10), units.length - 1);
  return `${(count / 1024 ** step).toFixed(step && count / 1024 ** step < 10 ? 1 : 0)} ${units[step]}`;
}

/** 1.234 -> "1.2 ms". */
export function milliseconds(ms) {
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Microseconds since 1970 as a local time; with the day if that is not today. */
export function clock(microseconds) {
  const time = new Date(microseconds / 1000);
  const today = time.toDateString() === new Date().toDateString();
  return time.toLocaleString(undefined, today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "medium" });
}

/** An error, and what to do next. */
export function trouble(error) {
  return error.hint && !error.message.includes(error.hint) ? `${error.message} (${error.hint})` : error.message;
}

/** An element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** An SVG element with attributes and children. */
export function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
