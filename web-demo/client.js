// The page's side of the worker: calls that return promises, and what the worker tells unasked.

const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
const listeners = new Set();
let last = 0;

worker.onmessage = ({ data }) => {
  if (data.id === undefined) {
    for (const listen of listeners) listen(data);
    return;
  }
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.error === undefined) resolve(data);
  else reject(Object.assign(new Error(data.error), { hint: data.hint ?? "" }));
};
worker.onerror = (event) => {
  for (const { reject } of waiting.values()) reject(new Error(event.message));
  waiting.clear();
};

/** Calls the worker; gives `{ value, ms }`, or throws an error whose `hint` says what to do next. */
export function call(method, args = {}, transfer = []) {
  const id = ++last;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, method, args }, transfer);
  });
}

/** Has a function called with what the worker tells unasked. */
export function listen(listener) {
  listeners.add(listener);
}
