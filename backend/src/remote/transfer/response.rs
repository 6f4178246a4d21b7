//! What the head of a response means for the bytes that are here. Pure.
//!
//! Identity is the digest, and headers are hints. Where a digest is promised, the bytes that are here are kept, whatever
//! a header says: it can only make us ask in another way. Where nothing is promised, bytes are put together only when
//! the server proves by `If-Range` or a validator that they are of one version.

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, IF_RANGE, RANGE,
    TRANSFER_ENCODING,
};

use super::validator::Validator;
use crate::remote::client::compression;

/// What is here, and what is known about the whole.
#[derive(Clone, Debug)]
pub(super) struct Here {
    /// The number of bytes that are here.
    pub(super) received: u64,
    /// A digest is promised.
    pub(super) promised: bool,
    /// The version of the bytes, where nothing is promised.
    pub(super) validator: Option<Validator>,
    /// The size that the mirror's catalog announces.
    pub(super) size: Option<u64>,
    /// The version of a complete copy in the cache.
    pub(super) copy: Option<Validator>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    /// 0: the whole.
    pub(super) from: u64,
    if_range: Option<Validator>,
    unless_same: Option<Validator>,
}

impl Request {
    /// The bytes that are missing; all of them if `whole` or if the others may be of another version.
    pub(super) fn new(here: &Here, whole: bool) -> Self {
        let if_range = here.validator.clone().filter(|validator| !here.promised && validator.is_strong());
        let continues = !whole && here.received > 0 && (here.promised || if_range.is_some());
        let unless_same = here.copy.clone().filter(|_| here.received == 0);
        match continues {
            true => Self { from: here.received, if_range, unless_same },
            false => Self { from: 0, if_range: None, unless_same },
        }
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        if self.from > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.from));
            headers.insert(RANGE, range.expect("digits are a header value"));
        }
        headers.extend(self.if_range.as_ref().map(|validator| (IF_RANGE, validator.value())));
        headers.extend(self.unless_same.as_ref().map(Validator::unless_same));
        headers
    }
}

/// The part of a head that matters.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The last byte is included.
    pub(super) range: Option<(u64, u64)>,
    /// The size of the whole that a `Content-Range` says.
    pub(super) whole: Option<u64>,
    pub(super) length: Option<u64>,
    pub(super) validator: Option<Validator>,
    /// The end of the body is marked, so that a connection that breaks is no end.
    pub(super) marked: bool,
    /// It came from another address than was asked.
    pub(super) redirected: bool,
    /// It says that its body is compressed. Then neither its length nor its range is that of the image.
    pub(super) compressed: bool,
    /// It has several ranges, with heads of their own in the body.
    several: bool,
}

impl Reply {
    /// `framed`: the protocol marks the end of each body by itself.
    pub(super) fn new(status: u16, headers: &HeaderMap, framed: bool, redirected: bool) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let several = text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("multipart/"));
        let compressed = compression(headers).is_some();
        let (range, whole) = text(CONTENT_RANGE).filter(|_| !compressed).map_or((None, None), content_range);
        // Where a body comes in chunks, they say how long it is, and not this header.
        let chunked = headers.contains_key(TRANSFER_ENCODING);
        let length = text(CONTENT_LENGTH).and_then(|length| length.parse().ok()).filter(|_| !chunked);
        let marked = framed || chunked || length.is_some();
        let length = length.filter(|_| !compressed);
        let range = range.filter(|_| !several);
        let validator = Validator::of(headers);
        Self { status, range, whole, length, validator, marked, redirected, compressed, several }
    }

    /// The body is the part of its range, also where the status says that it is the whole.
    fn is_part(&self, request: &Request) -> bool {
        let has_length = |(first, last): (u64, u64)| first > 0 && self.length == Some(last - first + 1);
        request.from > 0 && self.range.is_some_and(has_length)
    }
}

/// How often a request may still be repeated because of its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeats {
    /// After a redirect to an address that has expired.
    pub(super) redirect: bool,
    /// After an answer with another version: the next one may come from the mirror that has ours.
    pub(super) versions: u32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// The body is of use.
    Take(Part),
    /// All bytes are here.
    Complete,
    /// The copy in the cache is what the server has.
    Unchanged,
    /// Ask for the whole: the range does not fit.
    AskWhole,
    /// Ask the original address once more: the one behind its redirect has expired.
    AskOriginal,
    /// Ask once more, in the hope of another mirror behind the same address.
    AskSameVersion,
    /// The file of this mirror is shorter than what is here: one of the two is wrong.
    Shorter { whole: u64 },
    /// The mirror contradicts its own catalog.
    OtherSize { announced: u64, found: u64 },
    /// Nothing but the status counts.
    Status,
    /// The answer makes no sense now; it may do so the next time.
    Nonsense,
}

/// The bytes in a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Where the first one belongs. Those that are here already are skipped.
    pub(super) from: u64,
    /// Where the part ends, as far as it is known.
    pub(super) until: Option<u64>,
    /// The size of the whole, as far as it is known.
    pub(super) whole: Option<u64>,
    /// What is here is of another version and goes.
    pub(super) anew: bool,
    pub(super) marked: bool,
    /// The body may have to be inflated.
    pub(super) compressed: bool,
}

pub(super) fn decide(request: &Request, reply: &Reply, here: &Here, repeats: Repeats) -> Step {
    match reply.status {
        304 if request.unless_same.is_some() => Step::Unchanged,
        200 | 203 if reply.is_part(request) && here.promised => part(request, reply, here),
        // Whether it is of the same version is not known, because the status says that it is not a part.
        200 | 203 if reply.is_part(request) => Step::AskWhole,
        200 | 203 => whole(request, reply, here, repeats),
        206 | 412 | 416 if request.from > 0 && is_other_version(reply, here) && repeats.versions > 0 => {
            Step::AskSameVersion
        }
        206 => part(request, reply, here),
        412 | 416 if request.from > 0 => refused(reply, here),
        // The condition of the request cannot have failed, because it had none.
        412 | 416 => Step::Nonsense,
        401 | 403 | 404 | 410 if reply.redirected && repeats.redirect => Step::AskOriginal,
        _ => Step::Status,
    }
}

fn part(request: &Request, reply: &Reply, here: &Here) -> Step {
    let range = reply.range.or_else(|| implied(request, reply, here));
    let (Some((first, last)), false) = (range, is_other_version(reply, here)) else { return otherwise(request) };
    if let (Some(announced), Some(found)) = (here.size, reply.whole)
        && announced != found
    {
        return Step::OtherSize { announced, found };
    }
    // A part begins anew only at the first byte, and is of use only when it has the next one.
    let next = if request.from == 0 && !here.promised { 0 } else { here.received };
    if first > next || last < next {
        return otherwise(request);
    }
    let anew = next < here.received;
    Step::Take(Part {
        from: first,
        until: Some(last + 1),
        whole: reply.whole.or(here.size),
        anew,
        marked: reply.marked,
        compressed: reply.compressed,
    })
}

/// The range of a part that does not say it, or that says nonsense: that of the request, if the length fits. Only where
/// the digest would show a mistake.
fn implied(request: &Request, reply: &Reply, here: &Here) -> Option<(u64, u64)> {
    let missing = here.size?.checked_sub(request.from).filter(|missing| *missing > 0)?;
    let fits = here.promised && request.from > 0 && !reply.several && reply.length == Some(missing);
    fits.then(|| (request.from, request.from + missing - 1))
}

fn whole(request: &Request, reply: &Reply, here: &Here, repeats: Repeats) -> Step {
    if let (Some(announced), Some(found)) = (here.size, reply.length)
        && announced != found
    {
        return Step::OtherSize { announced, found };
    }
    let is_the_copy = |copy: &Validator| copy.is_strong() && reply.validator.as_ref() == Some(copy);
    if request.unless_same.as_ref().is_some_and(is_the_copy) {
        return Step::Unchanged;
    }
    let take = |anew| {
        let whole = reply.length.or(here.size);
        let (marked, compressed) = (reply.marked, reply.compressed);
        Step::Take(Part { from: 0, until: reply.length, whole, anew, marked, compressed })
    };
    if here.received == 0 {
        return take(false);
    }
    if !here.promised {
        let same = here.validator.as_ref().is_some_and(Validator::is_strong) && reply.validator == here.validator;
        return match (same, reply.length) {
            (true, Some(length)) if length == here.received => Step::Complete,
            (true, Some(length)) if length < here.received => take(true),
            (true, _) => take(false),
            (false, _) if request.from > 0 && repeats.versions > 0 => Step::AskSameVersion,
            (false, _) => take(true),
        };
    }
    match reply.length {
        Some(length) if length < here.received => Step::Shorter { whole: length },
        // The digest says whether they are right.
        Some(length) if length == here.received => Step::Complete,
        _ => take(false),
    }
}

/// 412 or 416 for a range.
fn refused(reply: &Reply, here: &Here) -> Step {
    match reply.whole.filter(|_| reply.status == 416 && !is_other_version(reply, here)) {
        Some(whole) if whole == here.received => Step::Complete,
        Some(whole) if whole < here.received && here.promised => Step::Shorter { whole },
        _ => Step::AskWhole,
    }
}

/// Where nothing is promised, bytes of another version are not those that are missing.
fn is_other_version(reply: &Reply, here: &Here) -> bool {
    let differs = |found: &Validator| found.is_strong() && here.validator.as_ref() != Some(found);
    !here.promised && here.received > 0 && reply.validator.as_ref().is_some_and(differs)
}

fn otherwise(request: &Request) -> Step {
    if request.from > 0 { Step::AskWhole } else { Step::Nonsense }
}

/// `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10` as the range and the size of the whole. Some servers write it in other
/// letters or with `=`, and some count the byte behind the last one.
fn content_range(text: &str) -> (Option<(u64, u64)>, Option<u64>) {
    let text = text.trim().to_ascii_lowercase();
    let rest = text.strip_prefix("bytes").map(|rest| rest.trim_start_matches(['=', ' ', '\t']));
    let Some((range, whole)) = rest.and_then(|rest| rest.split_once('/')) else {
        return (None, None);
    };
    let whole: Option<u64> = whole.trim().parse().ok();
    let range: Option<(u64, u64)> =
        range.split_once('-').and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
    match (range, whole) {
        (Some((first, last)), Some(whole)) if first < whole && last == whole => (Some((first, last - 1)), Some(whole)),
        (Some((first, last)), _) if first > last || last >= whole.unwrap_or(u64::MAX) => (None, None),
        other => other,
    }
}

#[cfg(test)]
mod tests;
