//! What commands print: the answer on standard output, everything else on standard error.
//!
//! With `--json` the answer is one document, also when it is a problem. Progress is a bar on a terminal, and one line
//! every 5 seconds elsewhere.

mod visible;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use pixelrts_shared::duration::Span;
use pixelrts_shared::{Level, Problem, Size, text};
use serde::Serialize;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::config::{Loaded, Log, LogFormat, Origin};
use crate::files::storage_problem;

/// How a command prints what it has to say.
#[derive(Clone, Debug)]
pub(super) struct Output {
    json: bool,
    quiet: bool,
    /// Changes the level of the log. It is set once the log exists.
    filter: Arc<OnceLock<Handle<EnvFilter, Registry>>>,
    /// The one document of `--json` has been written.
    answered: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
}

/// A terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    pub(super) columns: usize,
    pub(super) colours: bool,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, filter: Arc::default(), answered: Arc::default(), lost: Arc::default() }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Only what is wrong is to be printed.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Colours and bars are used on a terminal, unless `NO_COLOR` is set.
    fn decorated() -> bool {
        std::io::stderr().is_terminal() && Self::colours()
    }

    fn colours() -> bool {
        std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// The terminal that shows the answer, if it is for people.
    pub(super) fn screen(&self) -> Option<Screen> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        // A serial line does not know its size.
        let columns = if size.ws_col == 0 { 80 } else { size.ws_col.into() };
        (!self.json).then_some(Screen { columns, colours: !dumb && Self::colours() })
    }

    /// `serving` programs report everything through the log. Other commands print their own messages, so they log only
    /// warnings, unless an option or a variable asks for more.
    pub(super) fn init_log(&self, config: &Loaded, serving: bool) {
        let quiet = !serving && matches!(config.origin("log.level"), Origin::Default | Origin::File { .. });
        let filter = if quiet { EnvFilter::new("warn") } else { filter(&config.settings.log) };
        // At a terminal somebody waits for the address. What a start makes is for a log, or for -v.
        let filter = match config.origin("log.level") {
            Origin::Default if serving && std::io::stderr().is_terminal() => filter.add_directive(start_unseen()),
            _ => filter,
        };
        let (filter, handle) = reload::Layer::new(filter);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        let lines = match config.settings.log.format {
            LogFormat::Json => lines.json().boxed(),
            LogFormat::Auto | LogFormat::Text => lines.with_ansi(Self::decorated()).boxed(),
        };
        // A second call happens in tests only. It keeps the first subscriber.
        if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
            let _ = self.filter.set(handle);
        }
    }

    /// Changes the level of the log.
    pub(super) fn change_log(&self, log: &Log) {
        if let Some(handle) = self.filter.get() {
            // This fails only when the subscriber is gone.
            let _ = handle.reload(filter(log));
        }
    }

    /// Prints the answer: `text` for people, `document` for programs.
    pub(super) fn answer<T: Serialize>(&self, document: &T, text: impl FnOnce() -> String) {
        let mut line = if self.json {
            let document = serde_json::to_string_pretty(document);
            visible::json(&document.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")))
        } else {
            visible::text(&text())
        };
        self.answered.store(true, Ordering::Relaxed);
        line.push('\n');
        let mut out = std::io::stdout();
        self.written(out.write_all(line.as_bytes()).and_then(|()| out.flush()));
    }

    /// Prints one document on a line of its own, for a command that goes on after it.
    pub(super) fn line<T: Serialize>(&self, document: &T) {
        if let Ok(line) = serde_json::to_string(document) {
            let mut line = visible::json(&line);
            line.push('\n');
            let mut out = std::io::stdout();
            self.written(out.write_all(line.as_bytes()).and_then(|()| out.flush()));
        }
    }

    /// Reports that the answer could not be written, as on a full disk. A closed pipe (`| head`) is the reader's
    /// decision and not a failure.
    fn written(&self, outcome: io::Result<()>) {
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.lost.store(true, Ordering::Relaxed);
                let problem = storage_problem(&error, "The answer cannot be written.");
                let _ = writeln!(io::stderr(), "{problem}");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// An answer could not be written, so the command has failed.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Prints a message for people.
    pub(super) fn say(&self, message: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{}", visible::text(message));
        }
    }

    pub(super) fn problem(&self, problem: &Problem) {
        if self.json && !self.answered.load(Ordering::Relaxed) {
            self.answer(problem, String::new);
        }
        if self.quiet && problem.level != Level::Error {
            return;
        }
        let _ = writeln!(std::io::stderr(), "{problem}");
    }

    /// Shows progress over `total` bytes: a bar on a terminal, one line every 5 seconds elsewhere.
    pub(super) fn progress(&self, what: &'static str, total: u64) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let (template, target) = if Self::decorated() {
            ("{msg} {wide_bar} {done} {rate} {left}", ProgressDrawTarget::stderr())
        } else {
            let lines = ProgressDrawTarget::term_like_with_hz(Box::new(Lines::default()), 1);
            ("{msg} {done} {rate} {left}", lines)
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("done", |state: &ProgressState, text: &mut dyn fmt::Write| {
            let _ = text.write_str(&done_of(state.pos(), state.len()));
        });
        let style = style.with_key("rate", |state: &ProgressState, text: &mut dyn fmt::Write| {
            let _ = text.write_str(&rate(state.per_sec()));
        });
        let style = style.with_key("left", |state: &ProgressState, text: &mut dyn fmt::Write| {
            let _ = text.write_str(&time_left(state.elapsed(), state.eta()));
        });
        ProgressBar::with_draw_target(Some(total), target).with_style(style).with_message(what)
    }

    /// Like [`progress`](Self::progress), for work that may have nothing to show, or learns its total on the way.
    pub(super) fn progress_if_any(&self, what: &'static str) -> Progress<'_> {
        Progress { output: self, what, bar: None, line: None, done: 0, said: None }
    }
}

/// How much is done, in the words of everywhere else.
fn done_of(done: u64, total: Option<u64>) -> String {
    let size = Size::from_bytes;
    total.map_or_else(|| size(done).in_words(), |total| size(done).of_whole(size(total)))
}

fn rate(per_second: f64) -> String {
    // Rounded to bytes; what is no number becomes 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a number of bytes for people")]
    let bytes = per_second as u64;
    Size::from_bytes(bytes).per_second()
}

/// An estimate in words, once there is one.
fn time_left(elapsed: Duration, left: Duration) -> String {
    /// A shorter time says nothing about the rest.
    const STEADY: Duration = Duration::from_secs(3);
    if elapsed < STEADY || left.is_zero() {
        return String::new();
    }
    format!("{} left", Span::from_secs(left.as_secs()).estimated())
}

/// A bar that appears with the first step, and disappears when this is dropped.
pub(super) struct Progress<'a> {
    output: &'a Output,
    what: &'static str,
    bar: Option<ProgressBar>,
    /// What the work waits for, on a terminal while there is nothing to show a bar of.
    line: Option<ProgressBar>,
    done: u64,
    /// What the work waits for, as it was said last, without its numbers.
    said: Option<String>,
}

impl Progress<'_> {
    /// Shows how many bytes of the total are done.
    pub(super) fn show(&mut self, done: u64, total: u64) {
        if let Some(line) = self.line.take() {
            line.finish_and_clear();
        }
        if std::mem::replace(&mut self.done, done) < done {
            self.said = None;
        }
        let bar = self.bar.get_or_insert_with(|| self.output.progress(self.what, total));
        bar.set_length(total);
        bar.set_position(done);
    }

    /// Says what the work waits for: in place of the bar on a terminal, elsewhere on a line of its own, once until
    /// something was done again or it is something else but for its numbers. `None`: it goes on.
    pub(super) fn say(&mut self, waiting: Option<String>) {
        let Some(waiting) = waiting else {
            self.bar.iter().for_each(|bar| bar.set_message(self.what));
            self.line.iter().for_each(|line| line.set_message(self.what));
            return;
        };
        let kind: String = waiting.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        let is_new = self.said.replace(kind.clone()).is_none_or(|said| said != kind);
        match &self.bar {
            Some(bar) if Output::decorated() => bar.set_message(waiting),
            None if Output::decorated() && !self.output.quiet => {
                self.line.get_or_insert_with(line).set_message(waiting)
            }
            _ if is_new => self.output.say(&waiting),
            _ => {}
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.iter().chain(&self.line).for_each(ProgressBar::finish_and_clear);
    }
}

/// A line of a terminal that is written again and again.
fn line() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

/// A list of words in rows, each column as wide as it must be.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// As in "1 strip", "2 strips".
pub(super) fn counted(count: usize, what: &str) -> String {
    text::counted(count, what, &format!("{what}s"))
}

fn start_unseen() -> Directive {
    "pixelrts::bootstrap=warn".parse().expect("it is a directive")
}

fn filter(log: &Log) -> EnvFilter {
    log.filter().expect("a level is checked when it is loaded")
}

/// Draws a bar where there is no terminal: of everything that is drawn, it prints one line every 5 seconds.
#[derive(Debug)]
struct Lines {
    last: Mutex<Instant>,
}

impl Default for Lines {
    fn default() -> Self {
        Self { last: Mutex::new(Instant::now()) }
    }
}

impl TermLike for Lines {
    fn width(&self) -> u16 {
        100
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Blank pieces only fill up or clear lines.
        if text.trim().is_empty() || last.elapsed() < Duration::from_secs(5) {
            return Ok(());
        }
        *last = Instant::now();
        writeln!(io::stderr(), "{}", text.trim())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_start_makes_has_a_name_in_the_log() {
        assert!(start_unseen().to_string().starts_with(concat!(env!("CARGO_PKG_NAME"), "::bootstrap")));
    }

    #[test]
    fn progress_is_told_in_the_words_of_everywhere_else() {
        assert_eq!(done_of(182_000_000, Some(424_000_000)), "182 of 424 MB");
        assert_eq!(done_of(182_000_000, None), "182 MB");
        assert_eq!((rate(38_200_000.4), rate(f64::NAN)), ("38.2 MB/s".to_owned(), "0 B/s".to_owned()));
    }

    #[test]
    fn what_is_waited_for_is_said_once_until_something_is_done() {
        let output = Output::new(false, true);
        let mut progress = output.progress_if_any("fetching");
        let said = |progress: &mut Progress<'_>, what: &str| {
            let before = progress.said.clone();
            progress.say(Some(what.to_owned()));
            progress.said != before
        };
        assert!(said(&mut progress, "It refused. The next try is in 2 s."));
        progress.say(None);
        assert!(!said(&mut progress, "It refused. The next try is in 4 s."), "it tried in vain");
        assert!(said(&mut progress, "It is away. The next try is in 4 s."));
        progress.show(1, 2);
        assert!(said(&mut progress, "It is away. The next try is in 2 s."), "bytes have come meanwhile");
    }

    #[test]
    fn nothing_is_estimated_too_early_or_beyond_a_day() {
        let left = |elapsed, left| time_left(Duration::from_secs(elapsed), Duration::from_secs(left));
        assert_eq!(left(2, 60), "");
        assert_eq!(left(3, 0), "", "nothing is known");
        assert_eq!(left(3, 60), "1 min left");
        assert_eq!(left(3, 965 * 365 * 86_400), "more than a day left");
    }
}
