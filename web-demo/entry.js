// One memory: its versions with what changed, and where it comes from as a small graph.

import { clock, drawing, element } from "./format.js";

const WIDTH = 200;
const HEIGHT = 40;
const GAP_X = 36;
const GAP_Y = 12;
const LINE = 32;

/** Fills and opens the dialog. `act` has what can be done: restore, forget, open, look. */
export function showEntry(dialog, id, entry, act) {
  const newest = entry.versions.at(-1);
  dialog.querySelector("h2").textContent = id.replace(/^[a-z]+\//, "");
  const forget = element("button", { type: "button", disabled: newest.deleted }, newest.deleted ? "Forgotten" : "Forget it");
  forget.addEventListener("click", act.forget);
  dialog.querySelector("#entry-body").replaceChildren(
    element("h3", {}, "Where it comes from"),
    graph(entry, newest.id, act.open),
    element("h3", {}, entry.versions.length === 1 ? "One version" : `${entry.versions.length} versions, newest first`),
    ...entry.versions.map((version, at) => told(version, entry.versions[at - 1], version === newest && !newest.deleted, act)).reverse(),
    element("div", { className: "row" }, forget),
  );
  if (!dialog.open) dialog.showModal();
}

function told(version, before, current, act) {
  const when = element("time", {}, clock(version.time));
  const made = element("div", { className: current ? "version current" : "version" }, when);
  made.append(element("p", {}, version.deleted ? "forgotten" : version.content));
  if (version.patch.length) made.append(patch(version.patch, before));
  const then = element("button", { type: "button" }, "See everything as of then");
  then.addEventListener("click", () => act.look(version.time));
  const row = element("div", { className: "row" }, then);
  if (!current && !version.deleted) {
    const back = element("button", { type: "button" }, "Bring this back");
    back.addEventListener("click", () => act.restore(version.id));
    row.append(back);
  }
  made.append(row);
  return made;
}

/** What a JSON Patch did to the version before, as far as that is known here. */
function patch(operations, before) {
  const lines = operations.map(({ op, path, value }) => {
    const old = before?.[path.slice(1)];
    const marks = [];
    if (op === "remove" || old !== undefined) marks.push(element("del", {}, old === undefined ? path : JSON.stringify(old)), " ");
    if (op !== "remove") marks.push(element("ins", {}, JSON.stringify(value)));
    return element("li", {}, `${path.slice(1)}: `, ...marks);
  });
  return element("ul", { className: "patch" }, ...lines);
}

/** As much of a text as fits a box, broken between words. */
function twoLines(text) {
  const words = text.split(/\s+/);
  const lines = ["", ""];
  for (const line of [0, 1]) {
    while (words.length && (lines[line] + words[0]).length < LINE) lines[line] += `${words.shift()} `;
    if (!lines[line] && words.length) lines[line] = words.shift().slice(0, LINE);
  }
  return [lines[0], words.length ? `${lines[1].trimEnd()}…` : lines[1]].filter(Boolean);
}

/** Causes to the left of their effects, by their distance from the memory in the middle. */
function graph({ nodes, edges, effects }, self, open) {
  if (nodes.length === 1) return element("p", { className: "hint" }, "It was told, not derived from anything.");
  const depth = new Map([[self, 0]]);
  for (let changed = true; changed; ) {
    changed = false;
    for (const [cause, effect] of edges) {
      const known = depth.has(cause) ? [effect, depth.get(cause) + 1] : depth.has(effect) ? [cause, depth.get(effect) - 1] : null;
      if (known && !depth.has(known[0])) {
        depth.set(...known);
        changed = true;
      }
    }
  }
  const first = Math.min(...depth.values());
  const rows = new Map();
  const places = new Map();
  for (const node of nodes) {
    const column = (depth.get(node.id) ?? 0) - first;
    const row = rows.get(column) ?? 0;
    rows.set(column, row + 1);
    places.set(node.id, [column * (WIDTH + GAP_X), row * (HEIGHT + GAP_Y)]);
  }
  const width = (Math.max(...rows.keys()) + 1) * (WIDTH + GAP_X) - GAP_X;
  const height = Math.max(...rows.values()) * (HEIGHT + GAP_Y);
  const svg = drawing("svg", { class: "graph", viewBox: `-2 -2 ${width + 4} ${height}`, role: "group", "aria-label": "Causes and effects" });
  svg.style.maxWidth = `${width + 4}px`;
  const head = drawing("marker", { id: "arrow", viewBox: "0 0 6 6", refX: 6, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto" });
  head.append(drawing("path", { d: "M0 0L6 3L0 6z" }));
  svg.append(head);
  for (const [cause, effect] of edges) {
    const [x1, y1] = places.get(cause);
    const [x2, y2] = places.get(effect);
    const [from, to] = [x1 + WIDTH, x2];
    const middle = (from + to) / 2;
    svg.append(drawing("path", { d: `M${from} ${y1 + HEIGHT / 2}C${middle} ${y1 + HEIGHT / 2} ${middle} ${y2 + HEIGHT / 2} ${to} ${y2 + HEIGHT / 2}`, "marker-end": "url(#arrow)" }));
  }
  for (const node of nodes) svg.append(box(node, places.get(node.id), node.id === self, open));
  const shown = element("div", {}, svg);
  const hidden = effects - nodes.filter((node) => (depth.get(node.id) ?? 0) > 0).length;
  if (hidden > 0) shown.append(element("p", { className: "hint" }, `and ${hidden} more that came of it`));
  return shown;
}

function box(node, [x, y], self, open) {
  const text = node.content ?? "forgotten";
  const lines = twoLines(text);
  const group = drawing("g", { transform: `translate(${x} ${y})`, class: self ? "self" : "", role: "button", tabindex: self ? -1 : 0, "aria-label": text });
  group.append(drawing("rect", { width: WIDTH, height: HEIGHT, rx: 6 }));
  lines.forEach((line, index) => group.append(drawing("text", { x: 8, y: 16 + 15 * index }, line)));
  if (!self) {
    group.style.cursor = "pointer";
    group.addEventListener("click", () => open(node.key));
    group.addEventListener("keydown", (event) => event.key === "Enter" && open(node.key));
  }
  return group;
}
