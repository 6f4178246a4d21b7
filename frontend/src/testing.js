// A backend that is made up. Replies are set per call ("GET /api/v1/health"); the last one of a call repeats.
const original = window.fetch;
let replies = new Map();
let calls = [];
// Replies wait for it.
let released = Promise.resolve();
let release = () => {};

export function start() {
  replies = new Map();
  calls = [];
  window.fetch = async (request) => {
    const call = `${request.method} ${new URL(request.url).pathname}`;
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
  window.fetch = original;
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
