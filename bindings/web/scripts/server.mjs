// A small file server for the tests and the demo: some folders under some prefixes, on this machine alone.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".jpg": "image/jpeg",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

// Pages may load what is served here and nothing else. Isolation lets the engines use threads.
const HEADERS = {
  "Cache-Control": "no-cache",
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; " +
    "img-src 'self' blob: data:; media-src 'self' blob:",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Opener-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
};

/** The file that a request names, or null: the longest prefix counts, and nothing outside its folder is served. */
function locate(mounts, url) {
  let path;
  try {
    path = decodeURIComponent(new URL(url, "http://localhost").pathname);
  } catch {
    return null;
  }
  if (path.endsWith("/")) path += "index.html";
  const prefix = Object.keys(mounts)
    .filter((one) => path.startsWith(one))
    .sort((a, b) => b.length - a.length)[0];
  if (prefix === undefined || path.includes("\0")) return null;
  const folder = normalize(mounts[prefix] + sep);
  const file = join(folder, path.slice(prefix.length));
  return file.startsWith(folder) ? file : null;
}

/**
 * Serve folders until the returned server is closed.
 *
 * @param {Record<string, string>} mounts prefix of a path, with a slash at its end -> folder.
 * @param {Record<string, () => string>} made path -> JSON that is made anew for each request.
 * @param {number} port 0 for any that is free.
 */
export function serve(mounts, { made = {}, port = 0, host = "127.0.0.1" } = {}) {
  const server = createServer((request, response) => {
    const make = made[request.url];
    if (make) {
      response.writeHead(200, { ...HEADERS, "Content-Type": TYPES[".json"] }).end(make());
      return;
    }
    const file = locate(mounts, request.url);
    const found = file && statSync(file, { throwIfNoEntry: false });
    if (!found?.isFile() || !["GET", "HEAD"].includes(request.method)) {
      response.writeHead(404, HEADERS).end("no such file\n");
      return;
    }
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { ...HEADERS, "Content-Type": type, "Content-Length": found.size });
    if (request.method === "HEAD") response.end();
    else
      createReadStream(file)
        .on("error", () => response.destroy())
        .pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}
