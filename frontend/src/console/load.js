// The terminal is loaded when the first console opens, not before.
let loaded;

function load() {
  const at = (file) => new URL(`vendor/xterm/${file}`, document.baseURI).href;
  const style = new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: at("xterm.css"), onload: resolve, onerror: reject });
    document.head.append(link);
  });
  return Promise.all([import(at("xterm.mjs")), import(at("addon-fit.mjs")), style]);
}

export async function open(host) {
  loaded ??= load();
  loaded.catch(() => (loaded = undefined));
  const [{ Terminal }, { FitAddon }] = await loaded;
  const style = getComputedStyle(host);
  const terminal = new Terminal({
    screenReaderMode: true,
    scrollback: 10000,
    fontFamily: style.fontFamily,
    fontSize: 12,
    lineHeight: 1.3,
    theme: { background: style.backgroundColor, foreground: style.color, cursor: style.color },
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(host);
  fit.fit();
  const sizes = new ResizeObserver(() => host.clientWidth && fit.fit());
  sizes.observe(host);
  terminal.release = () => (sizes.disconnect(), terminal.dispose());
  return terminal;
}
