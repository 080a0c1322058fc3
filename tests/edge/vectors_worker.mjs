// A worker that carries out the conformance vectors that it is sent.
import module from "koru_delta_core.wasm";
import { runDocuments } from "tests/edge/vectors.mjs";

export default {
  async fetch(request) {
    return Response.json(runDocuments(module, await request.json()));
  },
};
