// The list of what was recalled, with the parts of each score.

import { clock, element } from "./format.js";

const PARTS = ["relevance", "recency", "importance"];
const WORDS = { episode: "note", fact: "fact", procedure: "procedure" };

/** Shows memories in a list; `open` is called with the id of one that is chosen. */
export function showResults(list, memories, open) {
  list.replaceChildren(...memories.map((memory) => element("li", {}, row(memory, open))));
}

function row(memory, open) {
  const kind = element("span", { className: `kind ${memory.type}` }, WORDS[memory.type] ?? memory.type);
  const tags = memory.tags.map((tag) => `#${tag}`).join(" ");
  const told = element("span", {}, kind, ` · ${[tags, clock(memory.updated)].filter(Boolean).join(" · ")}`);
  const under = element("span", { className: "under" }, told);
  const button = element("button", { type: "button", className: "result" }, element("span", {}, memory.content));
  if (memory.score !== undefined) {
    button.append(element("span", { className: "score", title: "score" }, memory.score.toFixed(2)));
    under.append(parts(memory));
  }
  button.append(under);
  button.addEventListener("click", () => open(memory.id));
  return button;
}

function parts(memory) {
  const shown = PARTS.map((part) => {
    const filled = element("span");
    filled.style.width = `${Math.round(Math.max(0, Math.min(1, memory[part])) * 100)}%`;
    return element("span", {}, `${part} ${memory[part].toFixed(2)}`, element("span", { className: "bar", ariaHidden: "true" }, filled));
  });
  return element("span", { className: "parts" }, ...shown);
}
