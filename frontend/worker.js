// The service worker of the shell: it keeps the shell's own files, so that the page opens when the backend is stopped.
//
// The list of files is made by `cargo xtask build`. All files of a version are stored, or none. Replies of the API, the
// login and everything else that is not in the list go to the backend as if there were no worker. A new version waits
// until the page says that it may take over.

const FILES = {}; // xtask: path and integrity of each file
const VERSION = ""; // xtask: a digest of the list

const PREFIX = "pixelrts-shell-";
const CACHE = PREFIX + VERSION;

self.addEventListener("install", (event) => event.waitUntil(store()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", (event) => event.data === "go over" && self.skipWaiting());
self.addEventListener("fetch", (event) => {
  const path = ownFile(event.request);
  if (path) event.respondWith(answer(path, event.request));
});

// `integrity` refuses a file of another version, for example when the backend is replaced meanwhile.
async function store() {
  const cache = await caches.open(CACHE);
  const requests = Object.entries(FILES).map(([path, integrity]) => new Request(path, { integrity }));
  await cache.addAll(requests).catch(async (error) => {
    await caches.delete(CACHE);
    throw error;
  });
}

async function takeOver() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

// The path of the file that a request is for. No file has a query: `/?login=...` is for the backend.
function ownFile(request) {
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin || url.search) return;
  return Object.hasOwn(FILES, url.pathname) ? url.pathname : undefined;
}

// A browser may have thrown the files away.
async function answer(path, request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(path)) ?? fetch(request);
}
