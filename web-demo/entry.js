// One memory: its versions with what changed, and where it comes from as a small graph.

import { clock, drawing, element } from "./format.js";

const WIDTH = 200;
const HEIGHT = 40;
const GAP_X = 36;
const GAP_Y = 12;

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
    ...entry.versions.toReversed().map((version) => told(version, version === newest && !newest.deleted, act)),
    element("div", { className: "row" }, forget),
  );
  if (!dialog.open) dialog.showModal();
}

function told(version, current, act) {
  const when = element("time", {}, clock(version.time));
  const made = element("div", { className: "version" }, when);
  made.append(element("p", {}, version.deleted ? "forgotten" : version.content));
  if (version.patch.length) made.append(patch(version.patch));
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

function patch(operations) {
  const lines = operations.map(({ op, path, value }) => {
    const mark = op === "remove" ? element("del", {}, path) : element("ins", {}, `${path} = ${JSON.stringify(value)}`);
    return element("li", {}, `${op} `, mark);
  });
  return element("ul", { className: "patch" }, ...lines);
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
  for (const [cause, effect] of edges) {
    const [x1, y1] = places.get(cause);
    const [x2, y2] = places.get(effect);
    const [from, to] = [x1 + WIDTH, x2];
    const middle = (from + to) / 2;
    svg.append(drawing("path", { d: `M${from} ${y1 + HEIGHT / 2}C${middle} ${y1 + HEIGHT / 2} ${middle} ${y2 + HEIGHT / 2} ${to} ${y2 + HEIGHT / 2}` }));
  }
  for (const node of nodes) svg.append(box(node, places.get(node.id), node.id === self, open));
  const shown = element("div", {}, svg);
  const hidden = effects - nodes.filter((node) => (depth.get(node.id) ?? 0) > 0).length;
  if (hidden > 0) shown.append(element("p", { className: "hint" }, `and ${hidden} more that came of it`));
  return shown;
}

function box(node, [x, y], self, open) {
  const text = node.content ?? "forgotten";
  const lines = [text.slice(0, 30), text.slice(30, 58) + (text.length > 58 ? "…" : "")].filter(Boolean);
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
