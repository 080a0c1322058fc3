# For workerd: workerd serve worker.capnp -i DIRECTORY-OF-THE-MODULE
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    (name = "koru.mjs", esModule = embed "koru.mjs"),
    (name = "koru_delta_core.wasm", wasm = embed "/koru_delta_core.wasm"),
  ],
  compatibilityDate = "2026-01-01",
);
