// Runs named cases one after the other, says what became of each, and writes junit XML.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Throws unless two values have the same JSON. */
export const equal = (found, wanted) => {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`found ${a}, wanted ${b}`);
};

/** Throws unless a condition holds. */
export const holds = (condition, what) => {
  if (!condition) throw new Error(what);
};

const escape = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/**
 * Carries out an object of functions whose names have `wanted` in them; whether any failed, or none
 * was found. `afterFailure` puts in order what a failed case left behind.
 */
export const carryOut = async (cases, { file, suite, wanted = "", afterFailure = () => {} }) => {
  const told = [];
  let failures = 0;
  for (const [name, carry] of Object.entries(cases)) {
    if (!name.includes(wanted)) continue;
    const begin = performance.now();
    let failure = "";
    try {
      await carry();
    } catch (error) {
      failure = String(error?.message ?? error).slice(-3000);
      failures += 1;
      await afterFailure(name);
    }
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    console.log(`${failure ? "FAILED" : "passed"} ${name} (${seconds} s)${failure && `\n${failure}`}`);
    const inner = failure && `<failure>${escape(failure)}</failure>`;
    told.push(`<testcase classname="${suite}" name="${escape(name)}" time="${seconds}">${inner}</testcase>`);
  }
  mkdirSync(dirname(file), { recursive: true });
  const head = `<testsuite name="${suite}" tests="${told.length}" failures="${failures}">`;
  writeFileSync(file, [head, ...told, "</testsuite>\n"].join("\n"));
  return failures > 0 || told.length === 0;
};
