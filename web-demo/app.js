// The page: its state, and what happens when somebody does something.

import { call, listen } from "./client.js";
import { bytes, clock, element, milliseconds, trouble } from "./format.js";
import { showEntry } from "./entry.js";
import { MemoryMap } from "./map.js";
import { showResults } from "./results.js";

const $ = (id) => document.getElementById(id);
const LIMIT = 15;
const state = {
  name: localStorage.getItem("koru-database") ?? "playground.koru",
  moments: [], // The time of every commit, microseconds.
  at: null, // The moment that is looked at; null for now.
};

const ask = (method, args = {}) => call("ask", { method, args });
const map = new MemoryMap($("map"), $("under"), openEntry);

// Opening.

async function open(file = null) {
  busy(true);
  $("boot-retry").hidden = true;
  $("boot-progress").hidden = false;
  try {
    await call("open", { name: state.name, file }, file ? [file] : []);
  } catch (error) {
    const locked = error.message.includes("DatabaseLockedError");
    const told = trouble(error).replace(/^koru_delta\.errors\.\w+: /, "");
    $("boot-text").textContent = locked ? "Another tab has this memory open. Close it there, then try again." : told;
    $("boot-text").classList.toggle("error", !locked);
    $("boot-progress").hidden = true;
    $("boot-retry").hidden = false;
    return false;
  }
  localStorage.setItem("koru-database", state.name);
  state.moments = (await ask("moments")).value;
  $("boot-text").classList.remove("error");
  busy(false);
  look(null);
  return true;
}

function busy(is) {
  $("boot").hidden = !is;
  $("time").hidden = $("columns").inert = is;
}

listen((told) => {
  if (told.boot) {
    $("boot-text").textContent = told.text;
    $("boot-progress").value = told.boot;
  } else if (told.progress) {
    $("load-progress").value = told.progress / told.of;
    $("written").textContent = `Learning: ${told.progress} of ${told.of}.`;
    soon();
  } else if (told.moment) {
    if (told.moment > (state.moments.at(-1) ?? 0)) state.moments.push(told.moment);
    soon();
  }
});

// What the page shows is made anew at most once in a while, however much happens.

let planned = 0;
function soon() {
  planned ||= setTimeout(() => {
    planned = 0;
    refresh();
  }, 120);
}

async function refresh() {
  slide();
  await Promise.all([recall(), draw(), count()]);
}

// One question at a time: while it is answered, only the latest of those that come is kept.

let asking = false;
let again = false;
async function recall() {
  again = asking;
  if (asking) return;
  asking = true;
  do {
    again = false;
    await recallOnce();
  } while (again);
  asking = false;
}

async function recallOnce() {
  const query = $("query").value.trim();
  const at = state.at;
  try {
    const { value, ms } = query
      ? await ask("recall", { query, limit: LIMIT, at })
      : await ask("newest", { limit: LIMIT, at });
    $("start").hidden = query !== "" || value.length > 0 || at !== null;
    $("ideas").hidden = query !== "" || value.length === 0;
    showResults($("results"), value, openEntry);
    map.mark(query ? value.map((hit) => hit.id) : []);
    $("summary").textContent = summary(query, value.length, ms);
    if (query) $("stat-recall").textContent = milliseconds(ms);
  } catch (error) {
    $("summary").textContent = trouble(error);
  }
}

function summary(query, found, ms) {
  const then = state.at === null ? "" : " then";
  if (!query && state.at === null) return found ? "What it learned last." : "";
  if (!query) return found ? "What it had learned last." : "It knew nothing yet.";
  if (!found) return state.at === null ? "Nothing that it knows fits." : "Nothing that it knew fits.";
  if (found === LIMIT) return `The ${LIMIT} that fit best${then}, found in ${milliseconds(ms)}.`;
  return `${found} ${found === 1 ? "memory fits" : "memories fit"}${then}, found in ${milliseconds(ms)}.`;
}

async function draw() {
  map.show((await ask("map", { at: state.at })).value);
}

async function count() {
  const { value } = await ask("stats");
  $("stat-memories").textContent = value.episodes + value.facts;
  $("stat-versions").textContent = value.versions;
  $("stat-memory").textContent = bytes(value.memory);
  $("stat-disk").textContent = bytes(value.disk);
  $("stat-storage").textContent = `in ${value.storage}`;
}

// Time.

function slide() {
  const slider = $("slider");
  slider.max = state.moments.length;
  if (state.at === null) slider.value = slider.max;
  slider.disabled = state.moments.length === 0;
  $("play").disabled = slider.disabled;
}

function look(at) {
  state.at = at;
  const place = at === null ? state.moments.length : state.moments.indexOf(at) + 1;
  $("moment").textContent = at === null ? "now" : `${clock(at)} · ${place} of ${state.moments.length}`;
  $("slider").setAttribute("aria-valuetext", $("moment").textContent);
  $("now").disabled = at === null;
  document.body.classList.toggle("past", at !== null);
  soon();
}

function moved() {
  const place = Number($("slider").value);
  look(place >= state.moments.length ? null : state.moments[Math.max(place - 1, 0)]);
}

$("slider").addEventListener("input", moved);
$("now").addEventListener("click", () => look(null));

let playing = 0;
$("play").addEventListener("click", () => {
  const stop = () => {
    clearInterval(playing);
    playing = 0;
    $("play").textContent = "▶";
    $("play").setAttribute("aria-label", "Play the past from its beginning");
  };
  if (playing) return stop();
  $("play").textContent = "⏸";
  $("play").setAttribute("aria-label", "Pause");
  const step = Math.max(1, Math.round(state.moments.length / 60));
  $("slider").value = 1;
  playing = setInterval(() => {
    $("slider").value = Number($("slider").value) + step;
    moved();
    if (state.at === null) stop();
  }, 200);
});

// Asking and telling.

$("query").addEventListener("input", recall);
$("ideas").addEventListener("click", ({ target }) => {
  if (target.type !== "button") return;
  $("query").value = target.textContent;
  $("query").focus();
  recall();
});

$("write").addEventListener("change", ({ target }) => {
  if (target.name !== "kind") return;
  const fact = target.value === "fact";
  $("key-label").hidden = $("cause-label").hidden = !fact;
  $("write").elements.key.required = fact;
  if (fact) offerCauses();
});

async function offerCauses() {
  const { value } = await ask("newest", { limit: 40, at: null });
  const notes = value.filter((one) => one.type === "episode");
  $("write").elements.cause.replaceChildren(
    new Option("nothing in particular", ""),
    ...notes.map((one) => new Option(one.content.slice(0, 60), one.id)),
  );
}

$("write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { kind, key, content, importance, tags, cause } = $("write").elements;
  const shared = {
    content: content.value,
    importance: Number(importance.value),
    tags: tags.value.split(",").map((tag) => tag.trim()).filter(Boolean),
  };
  try {
    const { ms } = kind.value === "note"
      ? await ask("remember", shared)
      : await ask("learn", { ...shared, key: key.value, caused_by: cause.value ? [cause.value] : [] });
    $("stat-write").textContent = milliseconds(ms);
    $("written").textContent = `Remembered in ${milliseconds(ms)}.`;
    content.value = "";
    content.focus();
    look(null);
  } catch (error) {
    $("written").textContent = trouble(error);
  }
});

const loaders = document.querySelectorAll(".load");
for (const button of loaders) button.addEventListener("click", load);

async function load() {
  for (const button of loaders) button.disabled = true;
  $("load-progress").value = 0;
  $("load-progress").hidden = false;
  try {
    const corpus = await (await fetch("data/corpus.json")).json();
    const { value, ms } = await ask("load", { corpus });
    $("written").textContent = `Learned ${value} facts in ${milliseconds(ms)}, each durable.`;
  } catch (error) {
    $("written").textContent = trouble(error);
  }
  for (const button of loaders) button.disabled = false;
  $("load-progress").hidden = true;
  look(null);
}

$("consolidate").addEventListener("click", async () => {
  try {
    const { value, ms } = await ask("consolidate", { similarity: 0.93 });
    $("written").textContent = `Merged ${value.merged} notes into others in ${milliseconds(ms)}; their past stays.`;
  } catch (error) {
    $("written").textContent = trouble(error);
  }
});

async function openEntry(id) {
  try {
    const { value } = await ask("entry", { memory_id: id });
    showEntry($("entry"), id, value, {
      restore: async (version) => {
        await ask("restore", { memory_id: id, version });
        await openEntry(id);
      },
      forget: async () => {
        await ask("forget", { memory_id: id, erase: false });
        await openEntry(id);
      },
      open: openEntry,
      look: (time) => {
        $("entry").close();
        look(time);
      },
    });
  } catch (error) {
    $("summary").textContent = trouble(error);
  }
}

// The file.

$("export").addEventListener("click", async () => {
  try {
    const { value } = await call("export");
    const link = element("a", { href: URL.createObjectURL(new Blob([value])), download: "playground.koru" });
    link.click();
    URL.revokeObjectURL(link.href);
    $("filed").textContent = `Downloaded ${bytes(value.byteLength)}, every version in it.`;
  } catch (error) {
    $("filed").textContent = trouble(error);
  }
});

/** A name that was never used, so that nothing that is kept is overwritten. */
const freshName = () => `playground-${Date.now()}.koru`;

$("import").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  target.value = "";
  if (!file) return;
  const before = state.name;
  state.name = freshName();
  const opened = await open(await file.arrayBuffer());
  if (opened) {
    await call("remove", { name: before });
    $("filed").textContent = `Opened ${file.name}.`;
    return;
  }
  $("filed").textContent = `${file.name}: ${$("boot-text").textContent}`;
  state.name = before;
  await open();
});

$("erase").addEventListener("click", async () => {
  if (!confirm("Begin with an empty memory? Download the database first if you want to keep it.")) return;
  const before = state.name;
  state.name = freshName();
  if (await open()) await call("remove", { name: before });
});

// Python.

async function run() {
  $("run").disabled = true;
  const { value } = await call("run", { code: $("code").value });
  const failed = typeof value === "object";
  const line = element("span", { className: failed ? "error" : "" }, `${failed ? value.failed : value}\n`);
  $("output").append(element("span", { className: "hint" }, `>>> ${$("code").value}\n`), line);
  $("output").scrollTop = $("output").scrollHeight;
  $("run").disabled = false;
}

$("run").addEventListener("click", run);
$("code").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
});
$("boot-retry").addEventListener("click", () => open());

if ("serviceWorker" in navigator) navigator.serviceWorker.register("sw.js");
open();
