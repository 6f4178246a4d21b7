//! Long steps, said aloud: what runs, since when, and how long each took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

#[derive(Debug)]
pub(crate) struct Steps {
    begun: Instant,
    done: Vec<(String, Duration)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), done: Vec::new() }
    }

    /// Runs one step. When it fails, its name is part of the error.
    pub(crate) fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name} (after {})", seconds(self.begun.elapsed()));
        let since = Instant::now();
        let outcome = work().with_context(|| format!("{name}: failed"));
        println!(
            "    {name}: {} {}",
            if outcome.is_ok() { "done in" } else { "failed after" },
            seconds(since.elapsed())
        );
        self.done.push((name.to_owned(), since.elapsed()));
        outcome
    }

    pub(crate) fn print_timings(&self) {
        println!("Timings:");
        for (name, time) in &self.done {
            println!("{:>12}  {name}", seconds(*time));
        }
        println!("{:>12}  in all", seconds(self.begun.elapsed()));
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        minutes @ 60.. => format!("{} min {:02} s", minutes / 60, minutes % 60),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
