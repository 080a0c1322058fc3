// Measures the package beside other stores in one page of Chromium, and prints ratios.
//
//   run.mjs SITE NPM_PACKAGE [ROUNDS]
//
// Everybody works in memory, on the page's own thread, and is called from JavaScript: the engine by its
// npm package. The Python package, called from Python under Pyodide, is measured too: its lines hold what
// its language costs.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch, newProfile, openPage } from "../chromium.mjs";
import { serve } from "../server.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const [site, npm, rounds = "7"] = process.argv.slice(2);
const folders = [site, npm, here, join(root, "web-demo"), join(root, "tests", "fixtures")];
const server = await serve(folders);
const profile = newProfile();
const browser = await launch(profile);
try {
  const page = await openPage(browser, `${server.url}peers.html`);
  const tables = await page.evaluate((count) => window.measure(count), Number(rounds));
  const { dependencies } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  console.log(`${cpus()[0].model}, ${cpus().length} processors; Chromium ${browser.browser()?.version() ?? ""}`);
  console.log(Object.entries(dependencies).map((one) => one.join(" ")).join(", "));
  console.log(`median of ${rounds - 1} rounds by turns; ratios are to the first line`);
  for (const [title, rows] of Object.entries(tables)) {
    console.log(`\n${title}\n${"".padEnd(32)}${["load ms", "us", "ratio", ""].map((head) => head.padStart(10)).join("")}`);
    for (const [name, load, each, note] of rows) {
      const figures = [load.toFixed(0), each.toFixed(0), (each / rows[0][2]).toFixed(2), note?.toFixed(3) ?? ""];
      console.log(name.padEnd(32) + figures.map((figure) => figure.padStart(10)).join(""));
    }
  }
} finally {
  await browser.close();
  server.close();
  profile.remove();
}
