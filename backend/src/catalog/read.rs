//! The entry that describes an image file. This is the only place of the catalog that opens images.

use std::path::Path;

use pixelrts_shared::catalog::{Entry, SegmentSummary};
use pixelrts_shared::{Digest, EntryId, Problem};

use super::CheckedFile;
use crate::image::{Depth, Image, ImageError, Limits};

/// The entry of a file whose digest and size are known. The id is the file's name.
pub(super) fn entry(path: &Path, sha256: Digest, size: u64) -> Result<Entry, Problem> {
    let image = Image::open_file(path, &Limits::default())?;
    let metadata = image.metadata().clone();
    let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().trim_end_matches(".rts.png");
    Ok(Entry {
        id: EntryId::from_name(stem),
        name: metadata.name.as_deref().unwrap_or(stem).into(),
        description: metadata.description.map(Into::into),
        version: metadata.version.map(Into::into),
        distro: metadata.distro.map(Into::into),
        architecture: metadata.architecture.map(Into::into),
        kernel_version: metadata.kernel_version.map(Into::into),
        cmdline: metadata.cmdline,
        tags: Vec::new(),
        size,
        sha256,
        index_sha256: image.index_digest(),
        segments: image
            .segments()
            .iter()
            .map(|segment| SegmentSummary {
                name: segment.name.as_str().into(),
                role: segment.role,
                size: segment.size,
                sha256: segment.sha256,
            })
            .collect(),
        width: Some(image.width()),
        height: Some(image.height()),
        memory: metadata.memory,
        cpus: metadata.cpus,
        net: metadata.net,
        url: None,
        thumbnail: None,
    })
}

/// Checks a file for which no catalog promises a digest: it must be a complete image that matches its own index.
pub fn check_image(path: &Path) -> Result<(), Problem> {
    Image::open_file(path, &Limits::default())?.verify(Depth::Strips, &mut |_| {})?;
    Ok(())
}

/// An opaque RGB picture of the image, at most `side` pixels wide and high, as a PNG file.
pub(super) fn thumbnail(file: &CheckedFile, side: u32) -> Result<Vec<u8>, Problem> {
    let blob = file.blob().map_err(ImageError::from)?;
    Ok(Image::open(Box::new(blob), &Limits::default())?.thumbnail(side)?.png()?)
}
