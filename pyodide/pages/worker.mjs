// Carries out what the page asks for, one message at a time.
import { actions } from "./python.mjs";

onmessage = async ({ data: { id, action, args } }) => {
  try {
    postMessage({ id, value: await actions[action](...args) });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error).slice(-4000) });
  }
};
