//! Newline-separated JSON from a peer that may be slow, stuck or hostile.
//!
//! QMP and the control socket use it. A line has a limit, so a peer cannot make this process hold more. Both are read
//! in a `select!`: reading is cancel-safe, because what has arrived of a line stays in the buffer.

use std::io;

use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

#[derive(Debug)]
pub(super) struct Lines<R>(FramedRead<R, LinesCodec>);

impl<R: AsyncRead + Unpin> Lines<R> {
    /// `limit`: the longest line that is accepted, in bytes.
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self(FramedRead::new(reader, LinesCodec::new_with_max_length(limit)))
    }

    /// The next line as a value; `None` when the peer has closed.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        match self.0.next().await {
            Some(Ok(line)) => Ok(Some(serde_json::from_str(&line)?)),
            Some(Err(LinesCodecError::Io(error))) => Err(error),
            Some(Err(error @ LinesCodecError::MaxLineLengthExceeded)) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
            None => Ok(None),
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
    fn a_line_without_end_and_what_is_not_a_value_are_refused() {
        runtime().block_on(async {
            let mut lines = Lines::new(&[b'1'; 100][..], 50);
            assert_eq!(lines.next::<u64>().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
            // The peer died in the middle of a line.
            let mut lines = Lines::new(&b"[1]\n[2"[..], 50);
            assert_eq!(lines.next::<[u64; 1]>().await.unwrap(), Some([1]));
            assert!(lines.next::<[u64; 1]>().await.is_err());
            assert_eq!(lines.next::<[u64; 1]>().await.unwrap(), None);
            let mut lines = Lines::new(&b"{broken}\n"[..], 50);
            assert!(lines.next::<u64>().await.is_err());
        });
    }
}
