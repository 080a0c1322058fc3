import * as steps from "./steps.js";

onmessage = async ({ data: [name, ...values] }) => {
  try {
    postMessage({ result: await steps[name](...values) });
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) });
  }
};
