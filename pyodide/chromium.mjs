// Chromium with pages of ours, and Python inside them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A folder for a browser's profile, which outlives the browser; `remove` ends it. */
export const newProfile = () => {
  const folder = mkdtempSync(join(tmpdir(), "koru-chromium-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }) };
};

/** A browser over a profile. */
export const launch = (profile) =>
  chromium.launchPersistentContext(profile.folder, {
    executablePath: process.env.KORU_CHROMIUM ?? "/usr/bin/chromium",
    args: ARGUMENTS,
    headless: true,
  });

/** A page that can start Python, on its own thread or in a worker. */
export const openPage = async (browser, url) => {
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (process.env.KORU_VERBOSE) console.log(message.text().slice(0, 1000));
  });
  page.on("pageerror", (error) => console.error(String(error).slice(0, 2000)));
  await page.goto(url);
  await page.waitForFunction(() => window.ready === true);
  return page;
};

/** Python on the page's own thread. */
export const onPage = (page) => ({
  call: (action, ...args) =>
    page.evaluate(([name, values]) => window.page[name](...values), [action, args]),
});

/** Python in a new worker of the page. */
export const inWorker = async (page) => {
  const index = await page.evaluate(() => window.newWorker());
  return {
    call: (action, ...args) =>
      page.evaluate(
        ([at, name, values]) => window.workers[at].call(name, values),
        [index, action, args],
      ),
    terminate: () => page.evaluate((at) => window.workers[at].terminate(), index),
  };
};
