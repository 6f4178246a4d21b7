// A backend that is made up. Replies are set per call ("GET /api/v1/health"); the last one of a call repeats.
const original = { fetch: window.fetch, EventSource: window.EventSource };
let replies = new Map();
let calls = [];
// Replies wait for it.
let released = Promise.resolve();
let release = () => {};

// Connections for events. They are open at once and say nothing by themselves.
let sources = [];

class Source extends EventTarget {
  static CONNECTING = 0;
  readyState = 1;

  constructor() {
    super();
    sources.push(this);
  }

  close() {
    this.readyState = 2;
  }
}

export function send_event(kind, data) {
  for (const source of sources) source.dispatchEvent(new MessageEvent(kind, { data }));
}

export function start() {
  replies = new Map();
  calls = [];
  sources = [];
  window.EventSource = Source;
  window.fetch = async (request) => {
    const { pathname, search } = new URL(request.url);
    // gloo-net puts an `&` behind a query.
    const call = `${request.method} ${pathname}${search.replace(/&$/, "")}`;
    const body = await request.text();
    calls.push(body ? `${call} ${body}` : call);
    await released;
    const queue = replies.get(call);
    if (!queue) throw new TypeError(`nobody answers ${call}`);
    const [status, text, headers] = queue.length > 1 ? queue.shift() : queue[0];
    return new Response([204, 304].includes(status) ? null : text, { status, headers });
  };
}

export function stop() {
  resume();
  Object.assign(window, original);
}

export function hold() {
  released = new Promise((resolve) => (release = resolve));
}

export function resume() {
  release();
  released = Promise.resolve();
}

export function reply(call, status, text, etag) {
  const queue = replies.get(call) ?? [];
  replies.set(call, [...queue, [status, text, etag ? { etag } : {}]]);
}

export function sent() {
  return calls;
}

// A stream of bytes that arrive in pieces of `length`; then it ends, or breaks.
let wasCancelled = false;

export function stream(text, length, breaks) {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  wasCancelled = false;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, (at += length)));
      else if (breaks) controller.error(new Error("the connection is gone"));
      else controller.close();
    },
    cancel() {
      wasCancelled = true;
    },
  });
}

export function cancelled() {
  return wasCancelled;
}

// A browser that has no databases.
const databases = Object.getOwnPropertyDescriptor(window, "indexedDB");

export function hide_databases(hidden) {
  Object.defineProperty(window, "indexedDB", hidden ? { value: undefined, configurable: true } : databases);
}

// A disk without room: what is written is taken back when it is to be stored.
const put = IDBObjectStore.prototype.put;

export function fill_disk(full) {
  IDBObjectStore.prototype.put = !full ? put : function (...given) {
    const request = put.apply(this, given);
    request.addEventListener("success", () => this.transaction.abort());
    return request;
  };
}

export function hold_database(name, version) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, version);
    request.onupgradeneeded = ({ target: { result: database } }) => {
      if (database.objectStoreNames.length) return;
      const known = database.createObjectStore("known");
      database.createObjectStore("old");
      for (const key of ["/api/v1/catalog/remote", "/api/v1/catalog/remote seen", "/api/v1/servers seen", "look"]) {
        known.put("text", key);
      }
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export function close_database(database) {
  database.close();
}
