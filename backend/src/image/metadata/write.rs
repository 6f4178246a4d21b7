//! Writing the metadata, in the fixed order of the format.

use std::fmt::Write;

use pixelrts_shared::Digest;
use pixelrts_shared::boot_decision::wish_format;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{KEYWORD, Metadata};
use crate::image::Segment;

#[derive(serde::Serialize)]
struct Written<'a> {
    format: &'static str,
    format_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    grid_size: Option<u32>,
    encoding: Encoding,
    offsets: Offsets<'a>,
    hashes: Hashes<'a>,
    encoding_mode: &'static str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_version: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_version: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distro: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmdline: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "wish_format::count::serialize")]
    cpus: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    net: &'a Option<String>,
    segments: Offsets<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_hash: Option<Digest>,
    data_size: u64,
}

#[derive(serde::Serialize)]
struct Encoding {
    r#type: &'static str,
    bytes_per_pixel: u32,
    mapping: &'static str,
}

struct Offsets<'a>(&'a [Segment]);

impl Serialize for Offsets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct About<'a> {
            offset: u64,
            size: u64,
            sha256: &'a Option<Digest>,
            role: pixelrts_shared::catalog::Role,
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for Segment { name, role, offset, size, sha256 } in self.0 {
            map.serialize_entry(name, &About { offset: *offset, size: *size, sha256, role: *role })?;
        }
        map.end()
    }
}

struct Hashes<'a>(&'a [Segment]);

impl Serialize for Hashes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|segment| (&segment.name, &segment.sha256)))
    }
}

/// The fields that differ between the profiles. `data_size` is the size of the payload in bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::image) enum ProfileFields {
    Classic { data_size: u64, data_hash: Digest, grid_size: u32 },
    Streamable { data_size: u64 },
}

/// The data of the `tEXt` chunk.
pub(in crate::image) fn text_chunk(metadata: &Metadata, segments: &[Segment], fields: ProfileFields) -> Vec<u8> {
    let Metadata { name, description, version, distro, architecture, kernel_version, cmdline, memory, cpus, net } =
        metadata;
    let (format, mapping, grid_size, data_hash, data_size) = match fields {
        ProfileFields::Classic { data_size, data_hash, grid_size } => {
            ("PixelRTS-2.0", "Hilbert space-filling curve", Some(grid_size), Some(data_hash), data_size)
        }
        ProfileFields::Streamable { data_size } => ("PixelRTS-2.1", "Hilbert tiles in strips", None, None, data_size),
    };
    let written = Written {
        format,
        format_version: 2,
        grid_size,
        encoding: Encoding { r#type: "RGBA-dense", bytes_per_pixel: 4, mapping },
        offsets: Offsets(segments),
        hashes: Hashes(segments),
        encoding_mode: "RGBA-dense",
        r#type: "os",
        name,
        description,
        content_version: version,
        kernel_version,
        distro,
        architecture,
        cmdline,
        memory,
        cpus,
        net,
        segments: Offsets(segments),
        data_hash,
        data_size,
    };
    let json = serde_json::to_string(&written).expect("strings and numbers are always JSON");
    format!("{KEYWORD}\0{KEYWORD}{}", ascii(&json)).into_bytes()
}

/// Escapes all characters outside ASCII, because a `tEXt` chunk is Latin-1. In JSON they can only be inside strings.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}
