//! How much an image may claim. Passed in by the caller; checked before anything is allocated.

/// Upper bounds. An image that exceeds one is refused with [`ImageError::Limit`](super::ImageError::Limit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The side of a classic image in pixels. The size of a streamable image is bounded by its index.
    pub side: u32,
    /// The payload of a classic image in bytes, both as stored and as inflated. It is kept in a file without a name.
    pub classic_payload: u64,
    /// The metadata in bytes, both as stored and as inflated.
    pub metadata: usize,
    /// The index chunk in bytes: 48 per strip.
    pub index: usize,
    /// The number of chunks before the first picture data.
    pub head_chunks: usize,
}

impl Default for Limits {
    /// `docs/FORMAT.md`: 2 MiB of metadata, 16 MiB of index. The other limits keep a false claim from
    /// costing more than a few seconds and 2 GiB of a disk.
    fn default() -> Self {
        Self { side: 16_384, classic_payload: 1 << 30, metadata: 2 << 20, index: 16 << 20, head_chunks: 1_024 }
    }
}
