//! An image without any work left: what its reads cost besides is what the road to the reader costs.

use super::super::streamable::StripCache;
use super::super::{Content, Image, ImageError};

/// Decodes every strip of the image and keeps it in memory, however many there are.
pub fn decoded(mut image: Image) -> Result<Image, ImageError> {
    if let Content::Streamable(image) = &mut image.content {
        let strips = image.index.strips.len();
        image.cache = StripCache::new(strips);
        (0..strips).try_for_each(|strip| image.payload(strip).map(drop))?;
    }
    Ok(image)
}
