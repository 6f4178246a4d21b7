//! What an image contains, in words and a table.

use std::fmt::Write;

use pixelrts_shared::Size;

use super::super::output::counted;
use super::{Document, Row};
use crate::image::{Metadata, Profile, Segment, Stored, StripCounts, printable};

impl Document<'_> {
    /// `columns` is the width of the terminal, where there is one: a table that is wider becomes lines.
    pub(super) fn text(&self, columns: Option<usize>) -> String {
        let mut text = self.about().join("\n");
        text.push_str("\n\n");
        let table = table(&self.segments);
        if columns.is_some_and(|columns| table.lines().any(|line| line.chars().count() > columns)) {
            text.push_str(&self.segments.iter().map(lines).collect::<Vec<_>>().join("\n"));
        } else {
            text.push_str(&table);
        }
        text
    }

    /// Lines about the image as a whole.
    fn about(&self) -> Vec<String> {
        let Metadata { name, description, version, distro, architecture, kernel_version, cmdline, memory, cpus, net } =
            self.metadata;
        let line = |key: &str, value: &str| format!("{key:<12} {}", printable(value));
        let mut lines = vec![line("file", &self.file.display().to_string())];
        for (key, value) in [
            ("name", name),
            ("description", description),
            ("version", version),
            ("distro", distro),
            ("architecture", architecture),
            ("kernel", kernel_version),
            ("cmdline", cmdline),
            ("memory", &memory.as_ref().map(|said| memory_words(said))),
            ("cpus", cpus),
            ("net", net),
        ] {
            lines.extend(value.as_ref().map(|value| line(key, value)));
        }
        let profile = match self.profile {
            Profile::Classic => "classic (PixelRTS-2.0)",
            Profile::Streamable => "streamable (PixelRTS-2.1)",
        };
        lines.push(line("profile", profile));
        let size = format!("{} for {} of payload", words(self.size), words(self.data_size));
        lines.push(line("size", &size));
        lines.push(line("picture", &format!("{} x {} pixels", self.width, self.height)));
        lines.extend(self.strips.map(|strips| line("strips", &format!("{} ({})", strips.total, kinds(&strips)))));
        lines.push(line("sha256", &self.sha256.to_string()));
        lines.extend(self.index_sha256.map(|index| line("index", &index.to_string())));
        lines
    }
}

fn memory_words(said: &str) -> String {
    match said.parse::<Size>() {
        Ok(_) => said.to_owned(),
        Err(_) => format!("{said} (this is not a size, so the image boots with the default)"),
    }
}

/// One line per segment, 80 columns wide where names are short. Classic images have no strips.
fn table(rows: &[Row<'_>]) -> String {
    let width = rows.iter().map(|row| row.segment.name.len()).max().unwrap_or(0).max(7);
    let streamable = rows.iter().any(|row| row.stored.is_some());
    let mut text = format!("{:width$} role   {:>11}", "segment", "size");
    if streamable {
        let _ = write!(text, " {:>5} {:>6} {:>8} {:>11} {:>6}", "zero", "stored", "deflated", "in the file", "ratio");
    }
    text.push_str(" sha256");
    for Row { segment, stored } in rows {
        let Segment { name, size, .. } = segment;
        let _ = write!(text, "\n{name:width$} {:<6} {:>11}", role(segment), words(*size));
        if let Some(Stored { strips: StripCounts { zero, stored, deflated, .. }, stored_size }) = stored {
            let bytes = words(*stored_size);
            let _ = write!(text, " {zero:>5} {stored:>6} {deflated:>8} {bytes:>11} {:>6}", ratio(*stored_size, *size));
        }
        let _ = write!(text, " {}", sha256(segment));
    }
    text
}

/// A segment for a terminal that is too narrow for the table.
fn lines(Row { segment, stored }: &Row<'_>) -> String {
    let Segment { name, size, .. } = segment;
    let mut text = format!("{name} ({}, {})", role(segment), words(*size));
    if let Some(Stored { strips, stored_size }) = stored {
        let _ = write!(text, "\n  {} ({})", counted(strips.total, "strip"), kinds(strips));
        let _ = write!(text, "\n  {} in the file ({})", words(*stored_size), ratio(*stored_size, *size));
    }
    let _ = write!(text, "\n  sha256 {}", sha256(segment));
    text
}

fn words(bytes: u64) -> String {
    Size::from_bytes(bytes).in_words()
}

fn role(segment: &Segment) -> String {
    format!("{:?}", segment.role).to_lowercase()
}

fn sha256(segment: &Segment) -> String {
    segment.sha256.map_or_else(|| "-".to_owned(), |sha256| sha256.short())
}

/// As in "1 zero, 2 deflated".
fn kinds(StripCounts { zero, stored, deflated, .. }: &StripCounts) -> String {
    let kinds = [(zero, "zero"), (stored, "stored"), (deflated, "deflated")].into_iter();
    let kinds: Vec<_> = kinds.filter(|(count, _)| **count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
}

fn ratio(stored: u64, size: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
    let percent = 100.0 * stored as f64 / size.max(1) as f64;
    if size == 0 { "-".to_owned() } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::catalog::Role;

    #[test]
    fn a_segment_fits_a_table_and_a_narrow_terminal() {
        let segment = Segment { name: "disk".into(), role: Role::Disk, offset: 0, size: 3 << 18, sha256: None };
        let strips = StripCounts { total: 3, zero: 2, stored: 0, deflated: 1 };
        let row = Row { segment: &segment, stored: Some(Stored { strips, stored_size: 3 << 14 }) };
        assert_eq!(
            lines(&row),
            "disk (disk, 786 KB)\n  3 strips (2 zero, 1 deflated)\n  49.2 KB in the file (6.2 %)\n  sha256 -"
        );
        let table = table(&[row]);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        let words: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["disk", "disk", "786", "KB", "2", "0", "1", "49.2", "KB", "6.2", "%", "-"]);
    }
}
