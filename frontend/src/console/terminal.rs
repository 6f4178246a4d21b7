//! xterm.js on the serial port of a machine.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::future::{FutureExt, select};
use futures_util::{SinkExt, StreamExt};
use gloo_net::websocket::Message;
use gloo_net::websocket::futures::WebSocket;
use js_sys::{Function, Promise, Reflect, Uint8Array};
use leptos::prelude::{LocalStorage, StoredValue};
use pixelrts_shared::{MachineId, paths};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlElement, KeyboardEvent};

use super::chord::{Chord, Press};
use super::line::SerialPort;
use crate::link::{reconnecting, retry};

#[wasm_bindgen(module = "/src/console/load.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = open)]
    async fn load(host: &HtmlElement) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    type Xterm;

    #[wasm_bindgen(method)]
    fn write(this: &Xterm, bytes: &Uint8Array, done: &Function);
    #[wasm_bindgen(method)]
    fn reset(this: &Xterm);
    #[wasm_bindgen(method)]
    fn focus(this: &Xterm);
    #[wasm_bindgen(method)]
    fn blur(this: &Xterm);
    #[wasm_bindgen(method)]
    fn paste(this: &Xterm, text: &str);
    #[wasm_bindgen(method)]
    fn release(this: &Xterm);
    #[wasm_bindgen(method, js_name = getSelection)]
    fn selection(this: &Xterm) -> String;
    #[wasm_bindgen(method, js_name = selectAll)]
    fn select_all(this: &Xterm);
    #[wasm_bindgen(method, js_name = clearSelection)]
    fn clear_selection(this: &Xterm);
    #[wasm_bindgen(method, js_name = onData)]
    fn on_data(this: &Xterm, take: &Closure<dyn FnMut(String)>);
    #[wasm_bindgen(method, js_name = attachCustomKeyEventHandler)]
    fn filter_keys(this: &Xterm, pass: &Closure<dyn FnMut(KeyboardEvent) -> bool>);
    #[wasm_bindgen(method, getter)]
    fn cols(this: &Xterm) -> u32;
    #[wasm_bindgen(method, getter)]
    fn rows(this: &Xterm) -> u32;
    #[wasm_bindgen(method, getter)]
    fn options(this: &Xterm) -> JsValue;
}

/// What was typed, until the socket takes it.
pub(crate) type Typed = UnboundedReceiver<String>;

/// The terminal of a console, once it is loaded.
pub(crate) type Held = StoredValue<Option<Rc<Terminal>>, LocalStorage>;

pub(crate) struct Terminal {
    xterm: Xterm,
    /// While a replay is written, the terminal's replies to old requests of the guest are dropped.
    replaying: Rc<Cell<bool>>,
    _on_data: Closure<dyn FnMut(String)>,
    _on_key: Closure<dyn FnMut(KeyboardEvent) -> bool>,
}

impl Terminal {
    /// Puts a terminal into `host`. The first one loads xterm.js.
    pub(crate) async fn open(host: &HtmlElement) -> Result<(Self, Typed), JsValue> {
        let xterm: Xterm = load(host).await?.unchecked_into();
        let (sender, typed) = unbounded();
        let replaying = Rc::new(Cell::new(true));
        let on_data = typing(sender, Rc::clone(&replaying));
        xterm.on_data(&on_data);
        let mut chord = Chord::default();
        let blurred: Xterm = xterm.clone().unchecked_into();
        let on_key = Closure::new(move |event: KeyboardEvent| {
            let key = event.key();
            let press =
                Press { key: &key, down: event.type_() == "keydown", ctrl: event.ctrl_key(), alt: event.alt_key() };
            if chord.press(press) {
                blurred.blur();
            }
            // Ctrl Shift C and V belong to the browser.
            !(event.ctrl_key() && event.shift_key() && matches!(key.as_str(), "C" | "V"))
        });
        xterm.filter_keys(&on_key);
        Ok((Self { xterm, replaying, _on_data: on_data, _on_key: on_key }, typed))
    }

    /// Keeps the terminal connected until `is_over` says that the machine has ended.
    pub(crate) async fn follow(
        &self,
        mut typed: Typed,
        id: &MachineId,
        is_over: impl Fn() -> bool,
        report: impl Fn(SerialPort),
    ) {
        let mut waits = reconnecting();
        loop {
            if self.session(&mut typed, id, &report).await {
                waits.reset();
            }
            if is_over() {
                return report(SerialPort::Ended);
            }
            report(SerialPort::Lost);
            retry::pause(&mut waits).await;
        }
    }

    /// One connection, to its end. True when anything was received.
    async fn session(&self, typed: &mut Typed, id: &MachineId, report: &impl Fn(SerialPort)) -> bool {
        let Ok(socket) = WebSocket::open(&address(id)) else { return false };
        let (mut sink, mut stream) = socket.split();
        let came = Cell::new(false);
        let reading = pin!(async {
            while let Some(Ok(message)) = stream.next().await {
                let bytes = match message {
                    Message::Bytes(bytes) => bytes,
                    Message::Text(text) => text.into_bytes(),
                };
                if !came.replace(true) {
                    // The backend replays what is on the screen already: it must not be written below itself.
                    self.replaying.set(true);
                    self.xterm.reset();
                    report(SerialPort::Connected);
                }
                let mut next = Some(bytes);
                while let Some(bytes) = next.take() {
                    self.write(&bytes).await;
                    match stream.next().now_or_never() {
                        Some(Some(Ok(Message::Bytes(more)))) => next = Some(more),
                        Some(Some(Ok(Message::Text(more)))) => next = Some(more.into_bytes()),
                        Some(_) => return,
                        None => self.replaying.set(false),
                    }
                }
            }
        });
        let writing = pin!(async {
            while let Some(text) = typed.next().await {
                if sink.send(Message::Bytes(text.into_bytes())).await.is_err() {
                    break;
                }
            }
        });
        select(reading, writing).await;
        came.get()
    }

    /// Returns when the terminal has taken the bytes, so that a flood waits in the guest and not in memory.
    async fn write(&self, bytes: &[u8]) {
        let bytes = Uint8Array::from(bytes);
        let written = Promise::new(&mut |done, _| self.xterm.write(&bytes, &done));
        let _ = JsFuture::from(written).await;
    }

    pub(crate) fn focus(&self) {
        self.xterm.focus();
    }

    /// The selected text, or all text when nothing is selected.
    pub(crate) fn text(&self) -> String {
        let selected = self.xterm.selection();
        if !selected.is_empty() {
            return selected;
        }
        self.xterm.select_all();
        let all = self.xterm.selection();
        self.xterm.clear_selection();
        all.trim_end().to_owned()
    }

    pub(crate) fn paste(&self, text: &str) {
        self.xterm.paste(text);
        self.xterm.focus();
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.xterm.cols(), self.xterm.rows())
    }

    /// Gives assistive technology the text as a tree that it can read.
    pub(crate) fn read_aloud(&self, on: bool) {
        // Options of xterm.js are plain properties with setters.
        let _ = Reflect::set(&self.xterm.options(), &"screenReaderMode".into(), &on.into());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.xterm.release();
    }
}

fn typing(sender: UnboundedSender<String>, replaying: Rc<Cell<bool>>) -> Closure<dyn FnMut(String)> {
    Closure::new(move |text: String| {
        if !replaying.get() {
            let _ = sender.unbounded_send(text);
        }
    })
}

fn address(id: &MachineId) -> String {
    let location = web_sys::window().expect("a page has a window").location();
    let scheme = if location.protocol().is_ok_and(|scheme| scheme == "https:") { "wss" } else { "ws" };
    format!("{scheme}://{}{}", location.host().unwrap_or_default(), paths::machine_serial(id))
}
