using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "vectors_worker.mjs", esModule = embed "vectors_worker.mjs"),
    (name = "tests/edge/vectors.mjs", esModule = embed "vectors.mjs"),
    (name = "examples/hosts/koru.mjs", esModule = embed "../../examples/hosts/koru.mjs"),
    (name = "koru_delta_core.wasm", wasm = embed "/koru_delta_core.wasm"),
  ],
  compatibilityDate = "2026-01-01",
);
