//! `pixelrts pack`: make an image from a kernel, an initrd and disks.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use pixelrts_shared::boot_decision::{LEAST_MEMORY, MOST_CPUS};
use pixelrts_shared::catalog::Role;
use pixelrts_shared::size::{Size, SizeError};
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;

use super::{Context, Outcome, local, verify};
use crate::catalog::is_image_name;
use crate::image::{self, Effort, Layout, Metadata, PackError, Packed, Repack, SegmentFile, StripCounts};
use crate::report::shell_word;

/// Make an image
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts pack --kernel /boot/vmlinuz --initrd /boot/initrd.img \\\n    \
                        --cmdline \"console=ttyS0\" --name \"My system\" -o my.rts.png\n  pixelrts pack --from \
                        classic.rts.png -o streamable.rts.png")]
pub(super) struct Pack {
    /// The kernel; its version and architecture are read from the file
    #[arg(long, value_name = "FILE", required_unless_present = "from")]
    kernel: Option<PathBuf>,
    /// The initial ramdisk
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// A disk; may be given several times, and disks without a name are called disk, disk2, ...
    #[arg(long, value_name = "[NAME=]FILE")]
    disk: Vec<String>,
    /// An image to pack again; the other options replace its kernel, initrd, texts and disks (disks by their name,
    /// otherwise in their order)
    #[arg(long, value_name = "IMAGE")]
    from: Option<PathBuf>,
    /// The kernel's command line
    #[arg(long, value_name = "TEXT")]
    cmdline: Option<String>,
    /// The image's name for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The distribution that it is made from, as in "Debian 12"
    #[arg(long, value_name = "TEXT")]
    distro: Option<String>,
    /// The architecture, as in x86_64
    #[arg(long, value_name = "TEXT")]
    arch: Option<String>,
    /// The kernel's version, if the file does not say it
    #[arg(long, value_name = "TEXT")]
    kernel_version: Option<String>,
    /// A sentence about the image for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Memory that a machine needs for this image, as in 512M; without it, whoever boots the image decides
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<String>,
    /// Processors that a machine needs for this image; without it, whoever boots the image decides
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_CPUS)))]
    cpus: Option<u32>,
    /// Network that a machine needs for this image; an image can ask for less than the default, never for more, and
    /// `internet` is not available yet
    #[arg(long, value_name = "MODE", value_parser = PossibleValuesParser::new(["none", "restricted", "internet"]))]
    net: Option<String>,
    /// How the image is laid out: `streamable` can be checked and read piece by piece, `classic` is for the older tools
    #[arg(long, value_enum, default_value_t)]
    profile: Profile,
    /// How much time is spent on compressing the picture
    #[arg(long, value_enum, default_value_t)]
    compress: Compress,
    /// Store kernel and initrd as they are, or decompressed, which boots faster
    #[arg(long, value_enum, default_value_t)]
    boot_files: BootFiles,
    /// An earlier image; what has not changed is copied from it, which keeps an update small
    #[arg(long, value_name = "OLD")]
    base: Option<PathBuf>,
    /// The image to write, as in my.rts.png; an existing file is replaced
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

/// A size that a machine can have, written in one way whatever was typed.
fn memory(text: &str) -> Result<String, String> {
    let size: Size = text.parse().map_err(|error: SizeError| error.to_string())?;
    if size < LEAST_MEMORY {
        return Err(format!("a machine needs at least {LEAST_MEMORY}"));
    }
    Ok(size.to_string())
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Profile {
    #[default]
    Streamable,
    Classic,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Compress {
    #[default]
    Fast,
    Best,
    None,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum BootFiles {
    #[default]
    AsIs,
    Inflate,
}

#[derive(Serialize)]
struct Document<'a> {
    file: &'a Path,
    /// Whether it is listed when its folder is offered.
    listed: bool,
    #[serde(flatten)]
    packed: &'a Packed,
}

/// An image can be booted by its path, whatever it is called. Only a list of images leaves it out.
fn unlisted(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let better = name.trim_start_matches('.').trim_end_matches(".png").trim_end_matches(".rts");
    let better = file.with_file_name(format!("{better}.rts.png"));
    format!(
        "{} can be booted, but no catalog lists it: only names that end in .rts.png, and do not begin with a dot, are \
         listed. Rename it: mv {} {}",
        file.display(),
        shell_word(file),
        shell_word(better)
    )
}

impl Pack {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.check()?;
        let open = |path: &Path| local::open(path, &context.output).map(|image| Repack::new(image, path.to_owned()));
        let from = self.from.as_deref().map(open).transpose()?;
        let unproven = from.as_ref().and_then(|from| verify::warning(from.image(), from.path()));
        let mut progress = context.output.progress_if_any("packing");
        let packed = self.plan(from).write(&self.output, &mut |done, total| progress.show(done, total));
        drop(progress);
        let packed = packed.map_err(|error| match error {
            PackError::Output(_) => Problem::from(error).context(self.output.display().to_string()),
            error => error.into(),
        })?;
        let listed = self.output.file_name().is_none_or(is_image_name);
        context.output.answer(&Document { file: &self.output, listed, packed: &packed }, || {
            let Packed { size, width, height, .. } = &packed;
            let size = Size::from_bytes(*size).in_words();
            let mut said = format!("{}: {size}, {width} x {height} pixels", self.output.display());
            if let Some(StripCounts { total, zero, stored, deflated }) = packed.strips {
                let _ = write!(said, ", strips: {total} ({zero} zero, {stored} stored, {deflated} deflated)");
            }
            if let Some(base) = &self.base {
                let _ = write!(said, ", {} of them taken from {}", packed.reused, base.display());
            }
            if let Some(digest) = packed.index_sha256 {
                let _ = write!(said, "\nindex {digest}");
            }
            said
        });
        if !listed {
            context.output.say(&unlisted(&self.output));
        }
        if let Some(problem) = unproven {
            context.output.problem(&problem);
        }
        Ok(())
    }

    /// Refuses what cannot be combined: a classic image has no strips that could be taken from another one.
    fn check(&self) -> Outcome {
        if !matches!((self.profile, &self.base), (Profile::Classic, Some(_))) {
            return Ok(());
        }
        let why = "A classic image is one stream, so nothing of an earlier image can be kept.";
        Err(Problem::new(ProblemCode::Usage, "--base needs a streamable image.", why, "Leave --base out."))
    }

    fn plan(&self, from: Option<Repack>) -> image::Pack {
        let source = |name: &str, role, path: &Path| SegmentFile { name: name.to_owned(), role, path: path.to_owned() };
        let kernel = self.kernel.iter().map(|path| source("kernel", Role::Kernel, path));
        let initrd = self.initrd.iter().map(|path| source("initrd", Role::Initrd, path));
        let disks = self.disks(from.as_ref());
        let segments = kernel.chain(initrd).chain(disks).collect();
        let metadata = Metadata {
            name: self.name.clone(),
            description: self.description.clone(),
            distro: self.distro.clone(),
            architecture: self.arch.clone(),
            kernel_version: self.kernel_version.clone(),
            cmdline: self.cmdline.clone(),
            memory: self.memory.clone(),
            cpus: self.cpus.map(|cpus| cpus.to_string()),
            net: self.net.clone(),
            ..Metadata::default()
        };
        let effort = match self.compress {
            Compress::Fast => Effort::Fast,
            Compress::Best => Effort::Best,
            Compress::None => Effort::None,
        };
        let layout = match self.profile {
            Profile::Streamable => Layout::Streamable { base: self.base.clone() },
            Profile::Classic => Layout::Classic,
        };
        let inflate_boot_files = matches!(self.boot_files, BootFiles::Inflate);
        image::Pack { metadata, segments, from, effort, layout, inflate_boot_files, ..image::Pack::default() }
    }

    /// Disks without a name replace those of the old image in their order. The rest get numbers.
    fn disks(&self, from: Option<&Repack>) -> Vec<SegmentFile> {
        let old: Vec<_> = from.iter().flat_map(|from| from.names(Role::Disk)).collect();
        let numbered = std::iter::once("disk".to_owned()).chain((2..).map(|number| format!("disk{number}")));
        let mut names = old.iter().cloned().chain(numbered.filter(|name| !old.contains(name)));
        let named = |disk: &String| {
            // A path may contain `=`, but a name never contains `/`.
            let (name, path) = match disk.split_once('=') {
                Some((name, path)) if !name.contains('/') => (name.to_owned(), path),
                _ => (names.next().expect("numbers never end"), disk.as_str()),
            };
            SegmentFile { name, role: Role::Disk, path: path.into() }
        };
        self.disk.iter().map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        pack: Pack,
    }

    fn parse(args: &[&str]) -> Pack {
        Cli::parse_from([&["pack", "--kernel", "k", "-o", "out"], args].concat()).pack
    }

    #[test]
    fn a_name_that_no_catalog_lists_gets_a_better_one() {
        for (name, better) in [
            ("my.png", "mv my.png my.rts.png"),
            ("out/my", "mv out/my out/my.rts.png"),
            (".my.rts.png", "mv .my.rts.png my.rts.png"),
            ("a b.img", "mv 'a b.img' 'a b.img.rts.png'"),
        ] {
            assert!(!is_image_name(Path::new(name).file_name().unwrap()));
            assert!(unlisted(Path::new(name)).ends_with(better), "{}", unlisted(Path::new(name)));
        }
        assert!(is_image_name("my.rts.png".as_ref()));
    }

    #[test]
    fn there_is_something_to_pack() {
        assert!(Cli::try_parse_from(["pack", "-o", "out"]).is_err());
        assert!(Cli::try_parse_from(["pack", "--from", "old", "-o", "out"]).is_ok());
    }

    #[test]
    fn disks_have_the_names_given_or_numbers() {
        let pack = parse(&["--disk", "a.img", "--disk", "home=b=c", "--disk", "./x=y", "--disk", "d"]);
        let plan = pack.plan(None);
        let disks: Vec<_> = plan.segments[1..].iter().map(|disk| (&*disk.name, disk.path.to_str().unwrap())).collect();
        assert_eq!(disks, [("disk", "a.img"), ("home", "b=c"), ("disk2", "./x=y"), ("disk3", "d")]);
    }

    #[test]
    fn disks_without_a_name_take_the_place_of_old_ones() {
        let folder = tempfile::tempdir().unwrap();
        let (file, out) = (folder.path().join("f"), folder.path().join("out"));
        std::fs::write(&file, "f").unwrap();
        let source = |name: &str| SegmentFile { name: name.into(), role: Role::Disk, path: file.clone() };
        let segments = vec![source("rootfs"), source("disk")];
        image::Pack { segments, ..image::Pack::default() }.write(&out, &mut |_, _| {}).unwrap();
        let from = Repack::new(image::Image::open_file(&out, &image::Limits::default()).unwrap(), out);
        let plan = parse(&["--disk", "a", "--disk", "swap=b", "--disk", "c", "--disk", "d"]).plan(Some(from));
        let names: Vec<_> = plan.segments[1..].iter().map(|disk| &*disk.name).collect();
        assert_eq!(names, ["rootfs", "swap", "disk", "disk2"]);
    }

    #[test]
    fn an_image_says_what_a_machine_needs_for_it() {
        let metadata = parse(&["--memory", "1.5GiB", "--cpus", "3", "--net", "none"]).plan(None).metadata;
        let said = [metadata.memory.as_deref(), metadata.cpus.as_deref(), metadata.net.as_deref()];
        assert_eq!(said, [Some("1536M"), Some("3"), Some("none")]);
        for nonsense in [["--memory", "lots"], ["--memory", "512"], ["--memory", "1M"], ["--cpus", "0"], ["--net", "x"]]
        {
            let arguments = [&["pack", "--kernel", "k", "-o", "out"], &nonsense[..]].concat();
            assert!(Cli::try_parse_from(arguments).is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn an_image_that_is_packed_again_keeps_what_it_says_unless_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, old, new) = (folder.path().join("k"), folder.path().join("old"), folder.path().join("new"));
        std::fs::write(&kernel, "k").unwrap();
        let parse = |args: &[&str]| Cli::parse_from([&["pack", "-o", "out"], args].concat()).pack;
        let open = |path: &Path| image::Image::open_file(path, &image::Limits::default()).unwrap();
        let wishes = |path: &Path| {
            let metadata = open(path).metadata().clone();
            [metadata.memory, metadata.cpus, metadata.net].map(Option::unwrap)
        };
        let first = parse(&["--kernel", kernel.to_str().unwrap(), "--memory", "512M", "--cpus", "2", "--net", "none"]);
        first.plan(None).write(&old, &mut |_, _| {}).unwrap();
        assert_eq!(wishes(&old), ["512M", "2", "none"]);
        let from = Repack::new(open(&old), old.clone());
        let again = parse(&["--from", "old", "--cpus", "4"]);
        again.plan(Some(from)).write(&new, &mut |_, _| {}).unwrap();
        assert_eq!(wishes(&new), ["512M", "4", "none"]);
    }

    #[test]
    fn a_classic_image_has_no_base() {
        assert!(parse(&["--profile", "classic", "--base", "old"]).check().is_err());
        assert!(parse(&["--profile", "classic"]).check().is_ok() && parse(&["--base", "old"]).check().is_ok());
    }
}
