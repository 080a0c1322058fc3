// A static server for the tests' pages: several folders as one, with what browsers want to be told.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

const find = (folders, path) => {
  for (const folder of folders) {
    for (const candidate of [join(folder, path), join(folder, path, "index.html")]) {
      try {
        if (statSync(candidate).isFile()) return candidate;
      } catch (error) {
        if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
      }
    }
  }
  return undefined;
};

/** Serves the folders, the first that has a file, on a free port of this machine; the server. */
export const serve = (folders, port = 0) =>
  new Promise((resolve, reject) => {
    const server = createServer((request, response) => {
      const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
      const file = path.includes("..") ? undefined : find(folders, path);
      if (file === undefined) {
        response.writeHead(404).end("not found");
        return;
      }
      response.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        "access-control-allow-origin": "*",
        "cache-control": "no-store",
      });
      createReadStream(file).pipe(response);
    });
    const close = () => {
      server.close();
      server.closeAllConnections();
    };
    server.on("error", reject);
    server.listen(port, "127.0.0.1", () => {
      resolve({ url: `http://127.0.0.1:${server.address().port}/`, close });
    });
  });
