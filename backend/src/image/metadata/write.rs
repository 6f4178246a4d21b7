//! Writing the metadata of a streamable image, in the fixed order of the format.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{KEYWORD, Metadata};
use crate::image::Segment;

#[derive(serde::Serialize)]
struct Written<'a> {
    format: &'static str,
    format_version: u32,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    net: &'a Option<String>,
    segments: Offsets<'a>,
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
            sha256: &'a Option<pixelrts_shared::Digest>,
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

/// The data of the `tEXt` chunk of a streamable image.
pub(in crate::image) fn text_chunk(metadata: &Metadata, segments: &[Segment], data_size: u64) -> Vec<u8> {
    let Metadata { name, description, version, distro, architecture, kernel_version, cmdline, memory, net } = metadata;
    let written = Written {
        format: "PixelRTS-2.1",
        format_version: 2,
        encoding: Encoding { r#type: "RGBA-dense", bytes_per_pixel: 4, mapping: "Hilbert tiles in strips" },
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
        net,
        segments: Offsets(segments),
        data_size,
    };
    let json = serde_json::to_string(&written).expect("strings and numbers are always JSON");
    format!("{KEYWORD}\0{KEYWORD}{json}").into_bytes()
}
