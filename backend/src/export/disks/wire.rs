//! The part of the protocol NBD that a read-only server needs. Pure: bytes to values and back.
//!
//! Numbers are big-endian. Source: <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>, "fixed
//! newstyle negotiation", "simple reply message", "structured reply chunk message", "metadata querying".

use std::ops::Range;

use super::reply::ALLOCATION;

/// The server sends this first: its magic numbers, and that it uses fixed newstyle negotiation without padding.
pub(super) const GREETING: [u8; 18] = *b"NBDMAGICIHAVEOPT\x00\x03";
/// The client does not need padding either.
pub(super) const NO_ZEROES: u32 = 2;
const OPTION_MAGIC: u64 = u64::from_be_bytes(*b"IHAVEOPT");
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;

/// The flags of every export: it is read-only, it accepts flush and read-ahead, and all connections see the same bytes.
const FLAGS: u16 = 1 | 1 << 1 | 1 << 2 | 1 << 8 | 1 << 10;
/// The largest read, in bytes. It is what the protocol allows to clients that negotiate no sizes.
pub(super) const MOST: u32 = 32 << 20;
/// A strip: a smaller read costs as much.
const PREFERRED: u32 = 256 << 10;

/// How many bytes of memory the reply to a read holds: whole strips, however little of them is read, at most [`MOST`].
pub(super) fn held(range: Range<u64>) -> u32 {
    let strip = u64::from(PREFERRED);
    let strips = if range.is_empty() { 0 } else { range.end.div_ceil(strip) - range.start / strip };
    u32::try_from(strips.saturating_mul(strip)).map_or(MOST, |held| held.min(MOST))
}

const ALLOCATION_NAME: &str = "base:allocation";

pub(super) const OPTION_HEAD: usize = 16;
pub(super) const REQUEST: usize = 28;

/// The head of an option: which one, and how many bytes of it follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OptionHead {
    pub(super) option: u32,
    pub(super) length: u32,
}

impl OptionHead {
    /// `None` when this is not an option. Then nothing after it can be understood.
    pub(super) fn parse(bytes: &[u8; OPTION_HEAD]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (option, length) = rest.split_first_chunk::<4>()?;
        (u64::from_be_bytes(*magic) == OPTION_MAGIC).then_some(Self {
            option: u32::from_be_bytes(*option),
            length: u32::from_be_bytes(length.try_into().ok()?),
        })
    }
}

/// What a client sends before it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientOption<'a> {
    /// The old way to begin. The reply is the export itself.
    Begin {
        name: &'a str,
    },
    Abort,
    List,
    /// Asks for a description of an export, and may `begin` to read it.
    About {
        name: &'a str,
        begin: bool,
    },
    /// Asks for replies that carry their own length.
    StructuredReplies,
    /// Asks what can be reported about an export's bytes, or chooses it (`begin`). There is only `base:allocation`.
    Contexts {
        name: &'a str,
        allocation: bool,
        begin: bool,
    },
    Malformed,
    Unknown,
}

impl<'a> ClientOption<'a> {
    pub(super) fn parse(option: u32, data: &'a [u8]) -> Self {
        match option {
            1 => std::str::from_utf8(data).map_or(Self::Malformed, |name| Self::Begin { name }),
            2 => Self::Abort,
            3 => Self::List,
            // After the name comes a list of requested information. The reply has all of it anyway.
            6 | 7 => text(data).map_or(Self::Malformed, |(name, _)| Self::About { name, begin: option == 7 }),
            8 if data.is_empty() => Self::StructuredReplies,
            8 => Self::Malformed,
            9 | 10 => Self::contexts(data, option == 10).unwrap_or(Self::Malformed),
            _ => Self::Unknown,
        }
    }

    /// A name, the number of queries, and the queries; `None` when one of them is cut off.
    fn contexts(data: &'a [u8], begin: bool) -> Option<Self> {
        let (name, rest) = text(data)?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let count = u32::from_be_bytes(*count);
        // A client that only lists, and names nothing, lists everything.
        let mut allocation = !begin && count == 0;
        for _ in 0..count {
            let (query, more) = text(rest)?;
            allocation |= query == ALLOCATION_NAME || !begin && query == "base:";
            rest = more;
        }
        rest.is_empty().then_some(Self::Contexts { name, allocation, begin })
    }
}

/// A text with its length before it, and what comes after it.
fn text(data: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// A reply to an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OptionReply<'a> {
    Done,
    Export {
        name: &'a str,
    },
    Size {
        bytes: u64,
    },
    BlockSizes,
    /// The server can report which bytes are a hole.
    Allocation,
    Unsupported,
    Invalid,
    NoSuchExport,
    TooLong,
}

impl OptionReply<'_> {
    pub(super) fn bytes(&self, option: u32) -> Vec<u8> {
        let error = |number: u32| (1 << 31 | number, Vec::new());
        let (kind, data): (u32, Vec<u8>) = match self {
            Self::Done => (1, Vec::new()),
            Self::Export { name } => (2, [&length(name.as_bytes()).to_be_bytes(), name.as_bytes()].concat()),
            Self::Size { bytes } => (3, [&[0, 0][..], &size_and_flags(*bytes)].concat()),
            Self::BlockSizes => {
                let sizes = [1, PREFERRED, MOST].map(u32::to_be_bytes);
                (3, [&[0, 3][..], sizes.as_flattened()].concat())
            }
            Self::Allocation => (4, [&ALLOCATION.to_be_bytes()[..], ALLOCATION_NAME.as_bytes()].concat()),
            Self::Unsupported => error(1),
            Self::Invalid => error(3),
            Self::NoSuchExport => error(6),
            Self::TooLong => error(9),
        };
        [
            &OPTION_REPLY_MAGIC.to_be_bytes()[..],
            &option.to_be_bytes(),
            &kind.to_be_bytes(),
            &length(&data).to_be_bytes(),
            &data,
        ]
        .concat()
    }
}

/// The description of an export: its size in bytes, and its flags.
pub(super) fn size_and_flags(bytes: u64) -> [u8; 10] {
    let mut out = [0; 10];
    out[..8].copy_from_slice(&bytes.to_be_bytes());
    out[8..].copy_from_slice(&FLAGS.to_be_bytes());
    out
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("replies to options are short")
}

/// A request for an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) command: Command,
    /// A request for extents wants the first one only.
    pub(super) one: bool,
    /// Chosen by the client; the reply carries it back.
    pub(super) cookie: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Read,
    /// Bytes to write follow, and must be skipped.
    Write,
    Disconnect,
    Flush,
    /// Read ahead without a reply that carries bytes.
    Cache,
    /// Trim, or write zeros. Both would change the export.
    Change,
    /// Report which bytes are a hole.
    Extents,
    Unknown,
}

impl Request {
    /// `None` when this is not a request. Then nothing after it can be understood.
    pub(super) fn parse(bytes: &[u8; REQUEST]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (flags, rest) = rest.split_first_chunk::<2>()?;
        let (command, rest) = rest.split_first_chunk::<2>()?;
        let (cookie, rest) = rest.split_first_chunk::<8>()?;
        let (offset, length) = rest.split_first_chunk::<8>()?;
        let command = match u16::from_be_bytes(*command) {
            0 => Command::Read,
            1 => Command::Write,
            2 => Command::Disconnect,
            3 => Command::Flush,
            4 | 6 => Command::Change,
            5 => Command::Cache,
            7 => Command::Extents,
            _ => Command::Unknown,
        };
        (u32::from_be_bytes(*magic) == REQUEST_MAGIC).then_some(Self {
            command,
            one: u16::from_be_bytes(*flags) & 1 << 3 != 0,
            cookie: u64::from_be_bytes(*cookie),
            offset: u64::from_be_bytes(*offset),
            length: u32::from_be_bytes(length.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reply_holds_whole_strips() {
        const STRIP: u64 = PREFERRED as u64;
        assert_eq!((held(7..7), held(7..8), held(STRIP - 1..STRIP + 1)), (0, PREFERRED, 2 * PREFERRED));
        assert_eq!((held(0..u64::from(MOST)), held(1..u64::from(MOST) + 1)), (MOST, MOST));
    }

    #[test]
    fn options_are_understood() {
        assert_eq!(
            ClientOption::parse(7, b"\0\0\0\x04disk\0\x01\0\x03"),
            ClientOption::About { name: "disk", begin: true }
        );
        assert_eq!(ClientOption::parse(6, b"\0\0\0\0\0\0"), ClientOption::About { name: "", begin: false });
        assert_eq!(
            ClientOption::parse(7, b"\0\0\0\x05disk"),
            ClientOption::Malformed,
            "the name is longer than the data"
        );
        assert_eq!(ClientOption::parse(7, b"\0\0"), ClientOption::Malformed);
        assert_eq!(ClientOption::parse(1, b"\xff"), ClientOption::Malformed);
        assert_eq!(
            (ClientOption::parse(8, b""), ClientOption::parse(8, b"x")),
            (ClientOption::StructuredReplies, ClientOption::Malformed)
        );
        let contexts = |option, data| match ClientOption::parse(option, data) {
            ClientOption::Contexts { name: "d", allocation, begin } => Some((allocation, begin)),
            _ => None,
        };
        assert_eq!(contexts(9, b"\0\0\0\x01d\0\0\0\0"), Some((true, false)));
        assert_eq!(contexts(10, b"\0\0\0\x01d\0\0\0\0"), Some((false, true)));
        assert_eq!(contexts(9, b"\0\0\0\x01d\0\0\0\x01\0\0\0\x05base:"), Some((true, false)));
        assert_eq!(contexts(10, b"\0\0\0\x01d\0\0\0\x01\0\0\0\x0fbase:allocation"), Some((true, true)));
        assert_eq!(contexts(10, b"\0\0\0\x01d\0\0\0\x01\0\0\0\x0fbase:allocatio"), None, "it is cut off");
        assert_eq!(contexts(10, b"\0\0\0\x01d\xff\xff\xff\xff"), None, "there are fewer queries than announced");
        assert_eq!(ClientOption::parse(5, b""), ClientOption::Unknown, "there is no TLS on a Unix socket");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(head: [u8; OPTION_HEAD], request: [u8; REQUEST], option: u32, data: Vec<u8>) {
            let _ = (OptionHead::parse(&head), Request::parse(&request), ClientOption::parse(option, &data));
        }
    }
}
