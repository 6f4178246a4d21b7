//! `pixelrts inspect`: what an image holds and says about itself.

use std::fmt::Write;
use std::path::Path;

use clap::Args;
use indicatif::BinaryBytes;
use pixelrts_shared::{Digest, Problem};
use serde::Serialize;

use super::{Context, Outcome, local, source};
use crate::image::{Image, Metadata, Profile, Segment, StripCounts};

/// Show what is in an image
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  pixelrts inspect debian.rts.png\n  pixelrts inspect --json http://localhost:8080/debian.rts.png"
)]
pub(super) struct Inspect {
    /// A file, a URL, an entry's SHA-256, an id, or id@server
    source: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a Path,
    profile: Profile,
    size: u64,
    data_size: u64,
    width: u32,
    height: u32,
    sha256: Digest,
    index_sha256: Option<Digest>,
    strips: Option<StripCounts>,
    segments: &'a [Segment],
    metadata: &'a Metadata,
}

impl Inspect {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let path = Path::new(&self.source);
        if path.is_file() {
            let image = local::open(path)?;
            let bar = context.output.progress("hashing", image.file_size());
            let sha256 = local::digest(path, &bar);
            bar.finish_and_clear();
            show(context, path, &image, sha256?);
        } else {
            let found = self.fetch(context)?;
            show(context, &found.path, &local::open(&found.path)?, found.digest);
        }
        Ok(())
    }

    fn fetch(&self, context: &Context) -> Result<source::Resolved, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| crate::image::storage(&error, "The network cannot be used."))?;
        let bar = context.output.progress("fetching", 0);
        let found = runtime.block_on(source::resolve(&self.source, context, |download| {
            bar.set_length(download.total.unwrap_or(download.received));
            bar.set_position(download.received);
        }));
        bar.finish_and_clear();
        found
    }
}

fn show(context: &Context, file: &Path, image: &Image, sha256: Digest) {
    let answer = Answer {
        file,
        profile: image.profile(),
        size: image.file_size(),
        data_size: image.data_size(),
        width: image.width(),
        height: image.height(),
        sha256,
        index_sha256: image.index_digest(),
        strips: image.strips(),
        segments: image.segments(),
        metadata: image.metadata(),
    };
    context.output.answer(&answer, || answer.table().expect("a String takes all text"));
}

impl Answer<'_> {
    fn table(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let Metadata { name, description, version, distro, architecture, kernel_version, cmdline, memory, net } =
            self.metadata;
        let mut line = |key: &str, value: &str| writeln!(text, "{key:<12} {}", printable(value));
        line("file", &self.file.display().to_string())?;
        for (key, value) in [
            ("name", name),
            ("description", description),
            ("version", version),
            ("distro", distro),
            ("architecture", architecture),
            ("kernel", kernel_version),
            ("cmdline", cmdline),
            ("memory", memory),
            ("net", net),
        ] {
            if let Some(value) = value {
                line(key, value)?;
            }
        }
        let profile = match self.profile {
            Profile::Classic => "classic (PixelRTS-2.0)",
            Profile::Streamable => "streamable (PixelRTS-2.1)",
        };
        line("profile", profile)?;
        line("size", &format!("{} for {} of payload", BinaryBytes(self.size), BinaryBytes(self.data_size)))?;
        line("picture", &format!("{} x {} pixels", self.width, self.height))?;
        if let Some(StripCounts { total, zero, stored, deflated }) = self.strips {
            line("strips", &format!("{total} ({zero} zero, {stored} stored, {deflated} deflated)"))?;
        }
        line("sha256", &self.sha256.to_string())?;
        if let Some(index) = self.index_sha256 {
            line("index", &index.to_string())?;
        }
        let width = self.segments.iter().map(|segment| segment.name.len()).max().unwrap_or(0).max(7);
        write!(text, "\n{:width$}  {:<6}  {:>12}  sha256", "segment", "role", "size")?;
        for Segment { name, role, size, sha256, .. } in self.segments {
            let role = format!("{role:?}").to_lowercase();
            let sha256 = sha256.map_or_else(|| "-".to_owned(), |sha256| sha256.short());
            write!(text, "\n{name:width$}  {role:<6}  {:>12}  {sha256}", BinaryBytes(*size).to_string())?;
        }
        Ok(text)
    }
}

/// Text from an image, without what would steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
