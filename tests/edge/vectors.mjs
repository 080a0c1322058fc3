// Runs conformance vectors in any JavaScript runtime: node vectors.mjs MODULE DIRECTORY
// It prints how many files and steps there were, and which steps came to something else.
import { Engine } from "../../examples/hosts/koru.mjs";

const decoder = new TextDecoder();
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function answer(engine, { request: { opcode, bytes }, reply: expected, fill: content }) {
  const { status, flags, payload, journal, sequence } = engine.call(opcode, unhex(bytes));
  const found = { status, flags };
  if (content !== undefined) {
    fill(engine, payload, unhex(content));
  } else if (status === 0) {
    found.payload = hex(payload);
  } else {
    const told = JSON.parse(decoder.decode(payload));
    if (!told.message || !told.suggestion) throw new Error("an error without a message or a suggestion");
    const names = Object.keys(expected.error);
    found.error = Object.fromEntries(names.map((name) => [name, told[name]]));
  }
  return { ...found, journal: hex(journal), sequence: Number(sequence) };
}

/** Copy bytes across the stretches that a payload names. */
function fill(engine, payload, content) {
  const stretches = new Uint32Array(payload.slice().buffer);
  let at = 0;
  for (let index = 0; index < stretches.length; index += 2) {
    const [address, length] = stretches.subarray(index, index + 2);
    engine.bytes(address, length).set(content.subarray(at, at + length));
    at += length;
  }
}

/** Carry out documents, each on an instance of its own. */
export function runDocuments(module, documents, newEngine = () => new Engine(module)) {
  const wrong = [];
  let steps = 0;
  for (const { name, steps: each, log: whole } of documents) {
    const engine = newEngine();
    let log = "";
    for (const step of each) {
      steps += 1;
      const found = answer(engine, step);
      log += found.journal;
      if (JSON.stringify(found) !== JSON.stringify(step.reply)) {
        wrong.push(`${name}: ${step.about}: ${JSON.stringify(found)}`);
      }
    }
    if (log !== whole) wrong.push(`${name}: the log differs`);
  }
  return { files: documents.length, steps, wrong };
}

if (globalThis.process?.argv?.length === 4) {
  const { readdir, readFile } = await import("node:fs/promises");
  const [modulePath, directory] = process.argv.slice(2);
  const module = await WebAssembly.compile(await readFile(modulePath));
  const names = (await readdir(directory)).filter((name) => name.endsWith(".json")).sort();
  const documents = names.map(async (name) => JSON.parse(await readFile(`${directory}/${name}`, "utf8")));
  console.log(JSON.stringify(runDocuments(module, await Promise.all(documents))));
}
