// Drives the playground in Chromium as a person does, with pointer and keys; takes screenshots.
//
//   playground.mjs FOLDER RESULTS SCREENSHOTS     (FOLDER: what web-demo/site.py made)
//
// The cases are one visit: each goes on where the one before it ended.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { carryOut, equal, holds } from "./cases.mjs";
import { launch, newProfile } from "./chromium.mjs";
import { serve } from "./server.mjs";

const [folder, results, screenshots] = process.argv.slice(2);
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const LONG = { timeout: 60_000 };
const server = await serve([folder]);
const profile = newProfile();
const browser = await launch(profile);
const troubles = [];
let page;

const text = (selector) => page.locator(selector).innerText();
const until = (predicate, argument) => page.waitForFunction(predicate, argument, LONG);
const shown = (selector) => page.waitForSelector(selector, { state: "visible", ...LONG });
const gone = (selector) => page.waitForSelector(selector, { state: "hidden", ...LONG });
const contains = (selector, part) =>
  until(([s, p]) => document.querySelector(s)?.textContent.includes(p), [selector, part]);
const ready = () => shown("#time");
const count = async () => Number(await text("#stat-memories"));
const counts = (wanted) => contains("#stat-memories", String(wanted));

const screenshot = async (name, whole = false) => {
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: whole });
};

/** Opens the page in a new tab, where layout shifts are added up from the beginning. */
const visit = async () => {
  const tab = await browser.newPage();
  tab.on("pageerror", (error) => troubles.push(String(error)));
  tab.on("console", (message) => message.type() === "error" && troubles.push(message.text()));
  await tab.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  await tab.goto(server.url);
  return tab;
};

const accessible = async () => {
  await page.addScriptTag({ path: AXE });
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  equal(serious.map(({ id, nodes }) => [id, nodes.map((node) => node.target.join(" "))]), []);
};

const remember = async ({ key, content, cause }) => {
  await page.locator(`#write [value=${key ? "fact" : "note"}]`).check({ force: true });
  if (key) await page.fill("#write [name=key]", key);
  await page.fill("#write [name=content]", content);
  if (cause) {
    await until((c) => [...document.querySelectorAll("[name=cause] option")].some((o) => o.text === c), cause);
    await page.selectOption("#write [name=cause]", { label: cause });
  }
  await page.click("#write [type=submit]");
  await contains("#written", "Remembered");
  await page.evaluate(() => (document.getElementById("written").textContent = ""));
};

const ask = async (question, wanted) => {
  await page.fill("#query", question);
  await contains("#results .result", wanted);
};
const openFirst = async (title) => {
  await page.click("#results .result");
  await contains("#entry-title", title);
};
const close = () => page.keyboard.press("Escape");

const cases = {
  "it opens with an empty memory, and says what to do": async () => {
    page = await visit();
    await screenshot("opening");
    holds(await page.locator("#columns").evaluate((columns) => columns.inert), "it can be used already");
    await ready();
    await shown("#start");
    equal([await count(), await text("#moment")], [0, "now"]);
    await screenshot("empty", true);
  },
  "nothing jumps while it loads": async () => {
    const shifted = await page.evaluate(() => window.shifted);
    holds(shifted < 0.05, `the layout shifted by ${shifted}`);
  },
  "it loads a corpus, shows how far it is, and answers meanwhile": async () => {
    await page.evaluate(() => {
      const bar = document.getElementById("load-progress");
      window.values = [];
      new MutationObserver(() => window.values.push(bar.value)).observe(bar, { attributes: true });
    });
    await page.click("#start .load");
    await contains("#written", "Learning");
    await page.waitForSelector("#results .result", LONG);
    await screenshot("loading");
    await contains("#written", "Learned 1000 facts");
    const values = await page.evaluate(() => window.values.filter((value) => value > 0 && value < 1));
    holds(values.length > 5 && values.every((value, i) => !i || value >= values[i - 1]), `${values}`);
    await gone("#load-progress");
    await counts(1001);
  },
  "it recalls as one types, with the parts of each score": async () => {
    await page.locator("#query").pressSequentially("compress a file", { delay: 20 });
    await contains("#results .result", "Compress data");
    const row = await text("#results .result >> nth=0");
    const numbers = [...row.matchAll(/(relevance|recency|importance) (\d\.\d\d)/g)];
    equal(numbers.map(([, part]) => part), ["relevance", "recency", "importance"]);
    const scores = await page.locator("#results .score").allInnerTexts();
    equal(scores, scores.toSorted().reverse());
    holds((await text("#summary")).includes("found in"), "no time");
    await screenshot("recall", true);
    await page.fill("#query", "");
    await shown("#ideas");
    await page.click("#ideas button >> nth=1");
    equal(await page.inputValue("#query"), "wait for several tasks");
    await contains("#results .result", "ait");
  },
  "a fact has its history, what changed, and where it comes from": async () => {
    await remember({ content: "Alice called from the airport" });
    await remember({ key: "alice.home", content: "Alice lives in Berlin" });
    await remember({ key: "alice.home", content: "Alice lives in Lisbon", cause: "Alice called from the airport" });
    await ask("Alice lives", "Lisbon");
    await openFirst("alice.home");
    equal(await page.locator(".version").count(), 2);
    holds((await text(".patch >> nth=0")).includes("Lisbon"), "no difference is shown");
    equal(await page.locator("svg.graph g").count(), 2);
    await screenshot("entry");
    await accessible();
    await page.click("svg.graph g[role=button]:not(.self)");
    await until(() => document.getElementById("entry-title").textContent !== "alice.home");
    await contains("#entry-body", "Alice called from the airport");
    await close();
  },
  "the past can be looked at, and brought back": async () => {
    await page.focus("#slider");
    await page.keyboard.press("ArrowLeft");
    await contains("#moment", "of 100");
    await contains("#results .result", "Berlin");
    await screenshot("past");
    await page.keyboard.press("Home");
    await contains("#moment", "1 of 1004");
    await contains("#summary", "Nothing that it knew fits");
    await page.click("#now");
    await contains("#results .result", "Lisbon");
    await openFirst("alice.home");
    await page.click("text=Bring this back");
    await until(() => document.querySelectorAll(".version").length === 3);
    await close();
    await contains("#results .result", "Berlin");
    await page.click("#play");
    await contains("#moment", "of 100");
    await page.click("#play");
    await page.click("#now");
  },
  "a dot of the map opens its memory": async () => {
    await page.fill("#query", "");
    await until((memories) => document.getElementById("map").ariaLabel.includes(memories), "Map of 1003");
    const found = await until(() => {
      const map = document.getElementById("map");
      const { width, height } = map;
      const { data } = map.getContext("2d").getImageData(0, 0, width, height);
      const at = Array.from({ length: width * height }, (_, i) => i).find((i) => data[4 * i + 3] > 140);
      const scale = width / map.clientWidth;
      return at && { x: (at % width) / scale, y: Math.floor(at / width) / scale };
    });
    const dot = await found.jsonValue();
    await page.hover("#map", { position: dot });
    await until(() => document.getElementById("under").textContent !== "");
    await page.click("#map", { position: dot });
    await shown("#entry[open]");
    await close();
  },
  "the keyboard alone will do": async () => {
    await page.reload();
    await ready();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.keyboard.type("parse a date");
    await contains("#results .result", "date");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await shown("#entry[open]");
    await close();
    equal(await page.evaluate(() => document.activeElement.className), "result");
    await page.focus("#map");
    await page.keyboard.press("ArrowRight");
    await until(() => document.getElementById("under").textContent !== "");
    await page.keyboard.press("Enter");
    await shown("#entry[open]");
    await close();
    await page.focus("#code");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("len(await db.list_namespaces())");
    await page.keyboard.press("Control+Enter");
    await contains("#output", ">>> len");
    await until(() => /\n\d+\s*$/.test(document.getElementById("output").textContent));
  },
  "an error in the console is shown as Python does": async () => {
    await page.fill("#code", "print('so far')\nawait memory.recall(5)");
    await page.click("#run");
    await contains("#output", "ValidationError");
    holds((await text("#output")).includes("so far"), "what was printed is lost");
  },
  "a memory can be forgotten": async () => {
    const before = await count();
    await ask("airport", "airport");
    await page.click("#results .result");
    await page.click("text=Forget it");
    await contains("#entry-body", "Forgotten");
    await close();
    await counts(before - 1);
  },
  "a reload keeps everything": async () => {
    const before = [await count(), await text("#stat-versions")];
    await page.reload();
    await ready();
    await counts(before[0]);
    equal(await text("#stat-versions"), before[1]);
  },
  "a second tab says that the first has it": async () => {
    const tab = await visit();
    const retry = tab.locator("#boot-retry");
    await retry.waitFor({ state: "visible", ...LONG });
    const told = await tab.locator("#boot-text").innerText();
    await tab.screenshot({ path: join(screenshots, "second-tab.png") });
    await tab.close();
    holds(told.includes("Another tab"), told);
  },
  "the file is downloaded, opened again, and another one refused": async () => {
    const before = await count();
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
    const path = await download.path();
    equal(readFileSync(path).subarray(1, 5).toString("latin1"), "KORU");
    await remember({ content: "This is not in the file" });
    await counts(before + 1);
    await page.setInputFiles("#import", path);
    await contains("#filed", "Opened");
    await counts(before);
    await page.setInputFiles("#import", AXE);
    await contains("#filed", "axe.min.js:");
    await counts(before);
  },
  "without a network it works as before": async () => {
    const before = await count();
    await page.evaluate(async () => (await navigator.serviceWorker.ready).active.state);
    await page.reload();
    await ready();
    server.close();
    await browser.setOffline(true);
    await page.reload();
    await ready();
    await counts(before);
    await ask("compress a file", "Compress data");
    troubles.length = 0; // The browser notes that the network failed.
  },
  "it reads well in the dark, and on a phone": async () => {
    await accessible();
    await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
    await accessible();
    await screenshot("dark", true);
    await page.setViewportSize({ width: 390, height: 844 });
    await accessible();
    await screenshot("phone-dark");
    await page.emulateMedia({ colorScheme: "light" });
    for (const width of [390, 320]) {
      await page.setViewportSize({ width, height: 844 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      holds(wide <= width, `it is ${wide} wide at ${width}`);
    }
    await screenshot("phone", true);
    await page.setViewportSize({ width: 1280, height: 860 });
  },
  "it begins anew when it is told to": async () => {
    page.once("dialog", (dialog) => dialog.accept());
    await page.fill("#query", "");
    await page.click("#erase");
    await counts(0);
    await shown("#start");
  },
  "nothing went wrong unseen": async () => equal(troubles, []),
};

const failed = await carryOut(cases, {
  file: join(results, "playground.xml"),
  suite: "playground",
  afterFailure: (name) => screenshot(`failed ${name}`).catch(() => {}),
});
await browser.close();
server.close();
profile.remove();
if (failed) process.exitCode = 1;
