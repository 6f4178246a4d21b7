//! The metadata of an image: a text chunk `PixelRTS` that holds `PixelRTS` and a JSON object.
//!
//! Both profiles and old files are read by one lenient parser for what only describes, and strictly for what places
//! or proves bytes: sizes, offsets, hashes. The names of segments become file names in mounts, so that a name which
//! is not one of ours is percent-encoded here, once, and nobody behind this module sees the raw one.

mod text;
mod write;

use std::fmt::Write;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::Role;
use serde_json::{Map, Value};

use super::{ImageError, Segment};
pub(super) use text::{blueprint, candidates, is_blueprint};
pub(super) use write::{Layout, text_chunk};

pub(super) const KEYWORD: &str = "PixelRTS";
/// Of a second text, which is kept when an image is packed again.
const BLUEPRINT: &str = "PixelRTS-Blueprint";

/// What an image says about itself. None of it is proven; it is for people and for the command line of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Metadata {
    pub name: Option<String>,
    pub description: Option<String>,
    pub version: Option<String>,
    pub distro: Option<String>,
    pub architecture: Option<String>,
    pub kernel_version: Option<String>,
    pub cmdline: Option<String>,
    /// What the image asks for, as in `2G`.
    pub memory: Option<String>,
    pub net: Option<String>,
}

impl Metadata {
    /// Takes over what is not said here.
    pub(super) fn add(&mut self, other: Self) {
        let Self { name, description, version, distro, architecture, kernel_version, cmdline, memory, net } = other;
        for (mine, theirs) in [
            (&mut self.name, name),
            (&mut self.description, description),
            (&mut self.version, version),
            (&mut self.distro, distro),
            (&mut self.architecture, architecture),
            (&mut self.kernel_version, kernel_version),
            (&mut self.cmdline, cmdline),
            (&mut self.memory, memory),
            (&mut self.net, net),
        ] {
            *mine = mine.take().or(theirs);
        }
    }
}

/// The parsed JSON: the description, and what is needed to find and prove the payload.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) metadata: Metadata,
    /// As stored.
    pub(super) json: String,
    /// By offset. Inside the payload, without overlap; at least one.
    pub(super) segments: Vec<Segment>,
    /// Of the payload, in bytes.
    pub(super) data_size: u64,
    pub(super) data_hash: Option<Digest>,
    pub(super) grid_size: Option<u64>,
    /// Bytes in the pixels of a compressed classic image.
    pub(super) encoded_size: Option<u64>,
    pub(super) compressed: bool,
    /// The pixels are a picture only; the payload is `original`.
    pub(super) code_mode: bool,
    /// Base64 of the payload.
    pub(super) original: Option<String>,
}

impl Document {
    /// Parses the value of a text chunk; `None` if it does not begin with the keyword or holds no JSON object.
    pub(super) fn parse(value: &str) -> Option<Result<Self, ImageError>> {
        let json = value.strip_prefix(KEYWORD)?;
        let object = serde_json::from_str::<Map<String, Value>>(json).ok()?;
        Some(Self::read(&object, json.to_owned()))
    }

    fn read(object: &Map<String, Value>, json: String) -> Result<Self, ImageError> {
        let compression = object.get("compression").and_then(Value::as_object);
        let original_size = compression.map(|about| number(about, "original_size")).transpose()?.flatten();
        let declared = number(object, "data_size")?;
        if let (Some(original), Some(declared)) = (original_size, declared)
            && original != declared
        {
            return Err(ImageError::malformed("compression.original_size", declared, original));
        }
        let data_size = original_size.or(declared);
        let data_size = data_size.ok_or_else(|| ImageError::malformed("the metadata", "data_size", "none"))?;
        let mode = |value: Option<&Value>| matches!(value.and_then(Value::as_str), Some("RGBA-code" | "RGBA-semantic"));
        Ok(Self {
            metadata: describe(object),
            segments: segments(object, data_size)?,
            data_size,
            data_hash: digest(object.get("data_hash"), "data_hash")?,
            grid_size: number(object, "grid_size")?,
            encoded_size: number(object, "encoded_size")?,
            compressed: compression.is_some(),
            code_mode: mode(object.get("encoding").and_then(|encoding| encoding.get("type")))
                || mode(object.get("encoding_mode")),
            original: object.get("original_data_b64").and_then(Value::as_str).map(str::to_owned),
            json,
        })
    }
}

fn describe(object: &Map<String, Value>) -> Metadata {
    let text = |key: &str| match object.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Metadata {
        name: text("name"),
        description: text("description"),
        version: text("content_version"),
        distro: text("distro"),
        architecture: text("architecture"),
        kernel_version: text("kernel_version"),
        cmdline: text("cmdline"),
        memory: text("memory"),
        net: text("net"),
    }
}

/// The segments by offset, from any of the three shapes that exist.
fn segments(object: &Map<String, Value>, data_size: u64) -> Result<Vec<Segment>, ImageError> {
    let table = |key| object.get(key).and_then(Value::as_object).filter(|table| !table.is_empty());
    let Some(table) = table("segments").or_else(|| table("offsets")) else {
        let sha256 = digest(object.get("data_hash"), "data_hash")?;
        return Ok(vec![Segment { name: "payload".into(), role: Role::Other, offset: 0, size: data_size, sha256 }]);
    };
    let mut segments = table
        .iter()
        .map(|(name, value)| segment(name, value, table.len() == 1, data_size, object.get("hashes")))
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
    value: &Value,
    only: bool,
    data_size: u64,
    hashes: Option<&Value>,
) -> Result<Segment, ImageError> {
    let name = file_name(raw_name);
    let part = || format!("segment {name}");
    let about = value.as_object().ok_or_else(|| ImageError::malformed(part(), "a JSON object", value))?;
    let (start, end) = (number(about, "start")?, number(about, "end")?);
    let offset = match number(about, "offset")?.or(start) {
        Some(offset) => offset,
        None if only => 0,
        None => return Err(ImageError::malformed(part(), "an offset", "none")),
    };
    let size = match (number(about, "size")?, end) {
        (Some(size), _) => Some(size),
        (None, Some(end)) => end.checked_sub(offset),
        (None, None) if only => data_size.checked_sub(offset),
        (None, None) => None,
    };
    let size = size.ok_or_else(|| ImageError::malformed(part(), "a size", value))?;
    let sha256 = match digest(about.get("sha256"), &name)? {
        Some(sha256) => Some(sha256),
        None => digest(hashes.and_then(|hashes| hashes.get(raw_name)), &name)?,
    };
    let role = about.get("role").and_then(|role| serde_json::from_value(role.clone()).ok());
    Ok(Segment { role: role.unwrap_or_else(|| role_of(raw_name)), name, offset, size, sha256 })
}

fn number(object: &Map<String, Value>, key: &str) -> Result<Option<u64>, ImageError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| ImageError::malformed(key, "a whole number", value)),
    }
}

fn digest(value: Option<&Value>, of: &str) -> Result<Option<Digest>, ImageError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|text| text.parse().ok())
            .map(Some)
            .ok_or_else(|| ImageError::malformed(format!("the SHA-256 of {of}"), "64 hex digits", value)),
    }
}

/// What a segment without a role is for, by its name.
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

/// The name itself where it is a legal one, else percent-encoded, so that different names stay different.
fn file_name(name: &str) -> String {
    if is_segment_name(name) {
        return name.to_owned();
    }
    let mut encoded = String::new();
    for (at, byte) in name.bytes().enumerate() {
        // The first letter too, where only it tells the name from a hidden file or from `metadata.json`.
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
