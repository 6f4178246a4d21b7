//! The metadata of an image: a text chunk `PixelRTS` that holds `PixelRTS` and a JSON object.
//!
//! One parser reads both profiles and old files. It is lenient with values that only describe, and strict with those
//! that place or verify bytes: sizes, offsets and hashes. The names of segments become file names in mounts, so names
//! that we would not write are percent-encoded here, and no other module sees the raw ones.

mod text;
mod write;

use std::collections::BTreeMap;
use std::fmt::Write;

use pixelrts_shared::Digest;
use pixelrts_shared::boot_decision::wish_format;
use pixelrts_shared::catalog::Role;
use serde_json::value::RawValue;

use super::{ImageError, Segment};
pub(super) use text::{blueprint, candidates, is_blueprint};
pub(super) use write::{ProfileFields, text_chunk};

pub(super) const KEYWORD: &str = "PixelRTS";
/// The keyword of a second text, which is kept when an image is packed again.
const BLUEPRINT: &str = "PixelRTS-Blueprint";
/// The longest file name that Linux accepts, in bytes.
const NAME_MAX: usize = 255;

/// A JSON object whose values are parsed one by one. Parsed at once, 2 MiB of small values would take a hundred times as
/// much memory.
type Object<'a> = BTreeMap<String, &'a RawValue>;

/// What an image says about itself. It is for people and for booting; no hash proves that it is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Metadata {
    pub name: Option<String>,
    pub description: Option<String>,
    pub version: Option<String>,
    pub distro: Option<String>,
    pub architecture: Option<String>,
    pub kernel_version: Option<String>,
    pub cmdline: Option<String>,
    /// The memory that the image asks for, for example `2G`. It is the image's own text and may be nonsense, as the
    /// number of processors and the network may be.
    pub memory: Option<String>,
    #[serde(serialize_with = "wish_format::count::serialize")]
    pub cpus: Option<String>,
    pub net: Option<String>,
}

impl Metadata {
    /// Takes the values of `other` where this has none.
    pub(super) fn add(&mut self, other: Self) {
        let Self { name, description, version, distro, architecture, kernel_version, cmdline, memory, cpus, net } =
            other;
        for (mine, theirs) in [
            (&mut self.name, name),
            (&mut self.description, description),
            (&mut self.version, version),
            (&mut self.distro, distro),
            (&mut self.architecture, architecture),
            (&mut self.kernel_version, kernel_version),
            (&mut self.cmdline, cmdline),
            (&mut self.memory, memory),
            (&mut self.cpus, cpus),
            (&mut self.net, net),
        ] {
            *mine = mine.take().or(theirs);
        }
    }
}

/// The parsed JSON: the description, and what is needed to find and verify the payload.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) metadata: Metadata,
    /// The text as it is stored.
    pub(super) json: String,
    /// At least one segment, sorted by offset. All are inside the payload and do not overlap.
    pub(super) segments: Vec<Segment>,
    /// The size of the payload in bytes.
    pub(super) data_size: u64,
    pub(super) data_hash: Option<Digest>,
    pub(super) grid_size: Option<u64>,
    /// The number of bytes in the pixels of a compressed classic image.
    pub(super) encoded_size: Option<u64>,
    pub(super) compressed: bool,
    /// The pixels are only a picture, and the payload is in `original`.
    pub(super) code_mode: bool,
    /// The payload in Base64.
    pub(super) original: Option<String>,
}

impl Document {
    /// Parses the value of a text chunk; `None` if it does not begin with the keyword or holds no JSON object.
    pub(super) fn parse(value: &str) -> Option<Result<Self, ImageError>> {
        let json = value.strip_prefix(KEYWORD)?;
        let object = serde_json::from_str::<Object<'_>>(json).ok()?;
        Some(Self::read(&object, json.to_owned()))
    }

    /// It is the metadata of a streamable image.
    pub(super) fn had_index(&self) -> bool {
        self.grid_size.is_none() && self.json.starts_with(r#"{"format":"PixelRTS-2.1""#)
    }

    fn read(object: &Object<'_>, json: String) -> Result<Self, ImageError> {
        let compression: Option<Object<'_>> = parsed(object, "compression");
        let original_size = compression.as_ref().map(|about| number(about, "original_size")).transpose()?.flatten();
        let declared = number(object, "data_size")?;
        if let (Some(original), Some(declared)) = (original_size, declared)
            && original != declared
        {
            return Err(ImageError::malformed("compression.original_size", declared, original));
        }
        let data_size = original_size.or(declared);
        let data_size = data_size.ok_or_else(|| ImageError::malformed("the metadata", "data_size", "none"))?;
        let encoding: Object<'_> = parsed(object, "encoding").unwrap_or_default();
        let mode = |value: Option<String>| matches!(value.as_deref(), Some("RGBA-code" | "RGBA-semantic"));
        Ok(Self {
            metadata: describe(object),
            segments: segments(object, data_size)?,
            data_size,
            data_hash: digest(object, "data_hash", "data_hash")?,
            grid_size: number(object, "grid_size")?,
            encoded_size: number(object, "encoded_size")?,
            compressed: compression.is_some(),
            code_mode: mode(parsed(&encoding, "type")) || mode(parsed(object, "encoding_mode")),
            original: parsed(object, "original_data_b64"),
            json,
        })
    }
}

fn describe(object: &Object<'_>) -> Metadata {
    let text = |key: &str| match object.get(key)?.get() {
        number if number.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => Some(number.to_owned()),
        _ => parsed(object, key).filter(|text: &String| !text.is_empty()),
    };
    Metadata {
        name: text("name"),
        description: text("description"),
        version: text("content_version"),
        distro: text("distro"),
        architecture: text("architecture"),
        kernel_version: text("kernel_version"),
        cmdline: text("cmdline"),
        memory: match text("memory") {
            // As in QEMU, a number is MiB.
            Some(number) if parsed::<serde_json::Number>(object, "memory").is_some() => Some(format!("{number}M")),
            said => said,
        },
        cpus: text("cpus"),
        net: text("net"),
    }
}

/// The segments sorted by offset, from any of the three forms that exist.
fn segments(object: &Object<'_>, data_size: u64) -> Result<Vec<Segment>, ImageError> {
    let table = |key| parsed(object, key).filter(|table: &Object<'_>| !table.is_empty());
    let Some(table) = table("segments").or_else(|| table("offsets")) else {
        let sha256 = digest(object, "data_hash", "data_hash")?;
        return Ok(vec![Segment { name: "payload".into(), role: Role::Other, offset: 0, size: data_size, sha256 }]);
    };
    let hashes: Object<'_> = parsed(object, "hashes").unwrap_or_default();
    let mut segments = table
        .iter()
        .map(|(name, value)| segment(name, value, table.len() == 1, data_size, &hashes))
        .collect::<Result<Vec<_>, _>>()?;
    segments.sort_by(|a, b| (a.offset, a.size, &a.name).cmp(&(b.offset, b.size, &b.name)));
    let mut end = 0;
    for segment in &segments {
        let part = || format!("segment {}", segment.name);
        if segment.offset < end {
            return Err(ImageError::malformed(part(), format_args!("an offset of {end} or more"), segment.offset));
        }
        end = segment.offset.checked_add(segment.size).filter(|end| *end <= data_size).ok_or_else(|| {
            let found = format!("offset {} and size {}", segment.offset, segment.size);
            ImageError::malformed(part(), format_args!("an end within {data_size} bytes of payload"), found)
        })?;
    }
    Ok(segments)
}

fn segment(
    raw_name: &str,
    value: &RawValue,
    only: bool,
    data_size: u64,
    hashes: &Object<'_>,
) -> Result<Segment, ImageError> {
    let name = file_name(raw_name);
    if name.len() > NAME_MAX {
        let expected = format!("at most {NAME_MAX} bytes");
        return Err(ImageError::malformed("the name of a segment", expected, name.len()));
    }
    let part = || format!("segment {name}");
    let about: Object<'_> =
        serde_json::from_str(value.get()).map_err(|_| ImageError::malformed(part(), "a JSON object", value))?;
    let (start, end) = (number(&about, "start")?, number(&about, "end")?);
    let offset = match number(&about, "offset")?.or(start) {
        Some(offset) => offset,
        None if only => 0,
        None => return Err(ImageError::malformed(part(), "an offset", "none")),
    };
    let size = match (number(&about, "size")?, end) {
        (Some(size), _) => Some(size),
        (None, Some(end)) => end.checked_sub(offset),
        (None, None) if only => data_size.checked_sub(offset),
        (None, None) => None,
    };
    let size = size.ok_or_else(|| ImageError::malformed(part(), "a size", value))?;
    let sha256 = match digest(&about, "sha256", &name)? {
        Some(sha256) => Some(sha256),
        None => digest(hashes, raw_name, &name)?,
    };
    let role = parsed(&about, "role").unwrap_or_else(|| role_of(raw_name));
    Ok(Segment { role, name, offset, size, sha256 })
}

/// The value, or `None` if it is absent or of another type.
fn parsed<'a, T: serde::Deserialize<'a>>(object: &Object<'a>, key: &str) -> Option<T> {
    serde_json::from_str(object.get(key)?.get()).ok()
}

/// The value, unless it is absent or null.
fn given<'a>(object: &Object<'a>, key: &str) -> Option<&'a RawValue> {
    object.get(key).copied().filter(|value| value.get() != "null")
}

fn number(object: &Object<'_>, key: &str) -> Result<Option<u64>, ImageError> {
    let Some(value) = given(object, key) else { return Ok(None) };
    value.get().parse().map(Some).map_err(|_| ImageError::malformed(key, "a whole number", value))
}

fn digest(object: &Object<'_>, key: &str, of: &str) -> Result<Option<Digest>, ImageError> {
    let Some(value) = given(object, key) else { return Ok(None) };
    let digest = parsed(object, key).and_then(|text: String| text.parse().ok());
    digest.map(Some).ok_or_else(|| ImageError::malformed(format!("the SHA-256 of {of}"), "64 hex digits", value))
}

/// The role of a segment that does not say it, judged by its name.
pub(super) fn role_of(name: &str) -> Role {
    match name {
        "kernel" | "vmlinuz" | "vmlinux" | "bzImage" => return Role::Kernel,
        "initrd" | "initramfs" | "initrd.img" => return Role::Initrd,
        "disk" | "rootfs" => return Role::Disk,
        _ => {}
    }
    let lower = name.to_lowercase();
    let contains = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if [".img", ".raw", ".qcow2"].iter().any(|ending| name.ends_with(ending)) {
        Role::Disk
    } else if contains(&["initrd", "initramfs"]) {
        Role::Initrd
    } else if contains(&["kernel", "vmlinuz", "vmlinux", "bzimage"]) {
        Role::Kernel
    } else {
        Role::Other
    }
}

/// Whether a segment may be written with this name.
pub(super) fn is_segment_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain) && !name.starts_with('.') && name != "metadata.json"
}

/// The name itself if it is valid, otherwise percent-encoded, so that different names stay different.
fn file_name(name: &str) -> String {
    if is_segment_name(name) {
        return name.to_owned();
    }
    let mut encoded = String::new();
    for (at, byte) in name.bytes().enumerate() {
        // The first letter is encoded too, if only that keeps the name from being hidden or `metadata.json`.
        if is_plain(byte) && (at > 0 || (byte != b'.' && name != "metadata.json")) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all text");
        }
    }
    if encoded.is_empty() { "%".to_owned() } else { encoded }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests;
