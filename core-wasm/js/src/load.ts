/** The package's own module, compiled once. How it is found is the entry's business. */

let load: () => Promise<WebAssembly.Module>;
let compiled: Promise<WebAssembly.Module> | undefined;

/** Say how this place finds the module. */
export function loadWith(find: () => Promise<WebAssembly.Module>): void {
  load = find;
}

/** The module; compiling it takes some tens to hundreds of milliseconds, once. */
export function ownModule(): Promise<WebAssembly.Module> {
  compiled ??= load();
  compiled.catch(() => {
    compiled = undefined; // It is tried again.
  });
  return compiled;
}
