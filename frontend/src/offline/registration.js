// Registers the service worker, and reports when a new version of it is complete.
let registration;
let asked = false;

export function isTrusted() {
  return isSecureContext;
}

// Reports "ready" when a new version waits, and "replaced" when another tab has gone over to one.
export async function follow(report) {
  const container = navigator.serviceWorker;
  if (!container) return;
  let controlled = Boolean(container.controller);
  container.addEventListener("controllerchange", () => {
    if (asked) location.reload();
    else if (controlled) report("replaced");
    controlled = true;
  });
  try {
    registration = await container.register("/worker.js", { updateViaCache: "none" });
  } catch {
    // A browser that is set to keep nothing, or a backend that went away: the page works without.
    return;
  }
  const tell = () => registration.waiting && registration.active && report("ready");
  registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", tell));
  registration.installing?.addEventListener("statechange", tell);
  tell();
}

// The backend may have been replaced by another version.
export function look() {
  registration?.update().catch(() => {});
}

// Goes over to the new version: all files of it at once.
export function goOver() {
  asked = true;
  if (registration?.waiting) registration.waiting.postMessage("go over");
  else location.reload();
}
