//! Newline-separated JSON from a peer that may be slow, stuck or hostile.
//!
//! QMP and the control socket speak it. Reading is cancel-safe, because the buffer outlives the call: both are read
//! in a `select!`. A line has a limit, so a peer cannot make us hold more.

use std::io;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The longest line taken, in bytes.
    limit: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: Vec::new(), limit }
    }

    /// The next line as a value; `None` when the peer has closed, also in the middle of a line.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let value = serde_json::from_slice(&self.buffer[..end]);
                self.buffer.drain(..=end);
                return Ok(Some(value?));
            }
            if self.buffer.len() >= self.limit {
                let text = format!("a line is longer than {} bytes", self.limit);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    proptest! {
        /// However the bytes are cut on their way, the same values arrive.
        #[test]
        fn values_survive_any_cut(values in prop::collection::vec(".*", 0..8), cut in 1_usize..40) {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| [serde_json::to_vec(value).unwrap(), b"\n".to_vec()].concat())
                .collect();
            let found: Vec<String> = runtime().block_on(async {
                let (mut near, far) = tokio::io::duplex(cut);
                let read = async {
                    let mut lines = Lines::new(far, 1 << 16);
                    let mut found = Vec::new();
                    while let Some(value) = lines.next().await.unwrap() {
                        found.push(value);
                    }
                    found
                };
                let write = async move { near.write_all(&bytes).await.unwrap() };
                tokio::join!(read, write).0
            });
            prop_assert_eq!(found, values);
        }
    }

    #[test]
    fn a_line_without_end_is_refused_and_half_a_line_is_no_value() {
        runtime().block_on(async {
            let mut lines = Lines::new(&[b'1'; 100][..], 50);
            assert_eq!(lines.next::<u64>().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
            let mut lines = Lines::new(&b"1\n2"[..], 50);
            assert_eq!(lines.next::<u64>().await.unwrap(), Some(1));
            assert_eq!(lines.next::<u64>().await.unwrap(), None);
            let mut lines = Lines::new(&b"{broken}\n"[..], 50);
            assert!(lines.next::<u64>().await.is_err());
        });
    }
}
