//! Images and what can be wrong with how they are sent. Names of catalogs and unknown names get an honest image.
//!
//! | name | what is sent |
//! | --- | --- |
//! | `hanghead`, `hangmid` | nothing; half of the image, and then nothing more |
//! | `short` | the image under a length that is 1000 bytes too large, then the end |
//! | `less` | the image without its last 1000 bytes, under that length |
//! | `endless`, `chunkedendless` | zeros without an end; the same in chunks after the first bytes of the image |
//! | `chunked`, `http10`, `closeka`, `gzip` | the image in chunks; without a length; with a promise to keep the connection that is broken; deflated |
//! | `disc1m`, `onebyte`, `cut/BYTES` | 1 MiB (an eighth of a small image), one byte, so many bytes per answer, then a reset |
//! | `discwrong`, `wrong` | one wrong byte: with a reset at half; in the whole |
//! | `norangealt` | no ranges: always from the first byte, and a reset at an eighth or two, in turns |
//! | `wrong206`, `lie206` | a range that begins elsewhere; the first bytes under the right range |
//! | `short206` | a quarter of the image per range; the first answer breaks at 45 % |
//! | `star206` | ranges without a total and without a length |
//! | `whole200` | a reset at half, and then the whole for every range |
//! | `etagflip` | another ETag each time, 412 for a range |
//! | `mirrors` | two nodes with other ETags for the same bytes, 412 for the other's, every answer breaks after 45 % |
//! | `redirloop`, `redirfile`, `redirother` | redirects: to itself, to a file, to the second port |
//! | `signed`, `signedmid` | a redirect to a signed address, the first of which has expired; which expires at half |
//! | `busy429`, `busy503`, `busydate` | four times "later": in seconds, in seconds, as a date |
//! | `html`, `webp` | a page with a title, a picture of another kind |
//! | `eNNN` | this status |
//! | `drip`, `rate/BYTES` | 100 bytes, so many bytes per second |
//! | `hugehdr`, `manyhdr`, `100cont` | heads without an end |

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Offer;
use super::catalog::gzip;
use super::mix::{self, Kinds};
use super::reply::{After, Reply};
use super::request::Request;

pub(super) const ETAG: &str = "\"v1\"";
const PNG: &str = "image/png";

pub(super) fn reply(offer: &Offer, request: &Request) -> Reply {
    let (name, numbers) = request.fault_words();
    let (size, number) = (offer.len(), request.number);
    let parameter = numbers.first().copied().and_then(|number| usize::try_from(number).ok());
    let from = request.range(size).map_or(0, |range| range.start.min(size));
    let eighth = (1 << 20).min(size / 8).max(1);
    let rest = || part(offer, request, from..size);
    let broken = |length| rest().cut(length).then(After::Reset);
    let plain = |reply: Reply| reply.without("ETag").without("Accept-Ranges");
    match name.as_str() {
        "hanghead" => Reply::new(200).after(Duration::MAX),
        "hangmid" => whole(offer).cut(size / 2).then(After::Hang),
        "short" => whole(offer).with("Content-Length", size + 1000).then(After::Close),
        "less" => whole(offer).with_part_of(&offer.bytes, 0..size.saturating_sub(1000)),
        "endless" => Reply::new(200).with("Content-Type", PNG).endless([], [0; 65536]),
        "chunkedendless" => {
            let first = &offer.bytes[..size.min(65536)];
            Reply::new(200).with("Content-Type", PNG).endless(first, [0; 65536]).chunked()
        }
        "chunked" => plain(whole(offer)).chunked(),
        "http10" => plain(whole(offer)).http10(),
        "closeka" => rest().with("Connection", "keep-alive").then(After::Close),
        "gzip" => {
            let body: Arc<[u8]> = gzip(&offer.bytes).into();
            let length = body.len();
            whole(offer).with_part_of(&body, 0..length).with("Content-Encoding", "gzip")
        }
        "disc1m" if from + eighth < size => broken(eighth),
        "onebyte" if from + 1 < size => broken(1),
        "cut" if from + parameter.unwrap_or(1) < size => broken(parameter.unwrap_or(1)),
        "discwrong" if from < size / 2 => {
            rest().with_part_of(offer.wrong(), from..size).cut(size / 2 - from).then(After::Reset)
        }
        "discwrong" | "wrong" => rest().with_part_of(offer.wrong(), from..size),
        "norangealt" => plain(whole(offer)).cut(eighth * (1 + number % 2)).then(After::Reset),
        "wrong206" | "lie206" | "etagflip" | "whole200" if from == 0 => {
            let length = if name == "etagflip" { eighth * number.min(7) } else { eighth };
            let tag = if name == "etagflip" { format!("\"e{number}\"") } else { ETAG.to_owned() };
            broken(length).with("ETag", tag)
        }
        "wrong206" => {
            let other = (from + 7).min(size);
            rest().with("Content-Range", content_range(other..size, size)).with_part_of(&offer.bytes, other..size)
        }
        "lie206" => rest().with_part_of(&offer.bytes, 0..size - from),
        "etagflip" => Reply::new(412).with("ETag", format!("\"e{number}\"")),
        "whole200" => whole(offer),
        "short206" if request.header("range").is_none() => broken(size * 45 / 100),
        "short206" => part(offer, request, from..(from + (size / 4).max(1)).min(size)),
        "star206" if from == 0 => broken(eighth),
        "star206" => {
            let range = format!("bytes {from}-{}/*", size.saturating_sub(1));
            rest().with("Content-Range", range).without("Content-Length").then(After::Close)
        }
        "mirrors" => {
            let tag = format!("\"mirror{}\"", number % 2);
            match request.header("if-match") {
                Some(other) if other != tag => Reply::new(412).with("ETag", tag),
                _ if from + size * 45 / 100 >= size => rest().with("ETag", tag),
                _ => broken((size * 45 / 100).max(1)).with("ETag", tag),
            }
        }
        "redirloop" => redirect(&request.path),
        "redirfile" => redirect("file:///etc/passwd"),
        "redirother" if !request.elsewhere => redirect(&format!("{}/ok/x.rts.png", offer.elsewhere)),
        "signed" | "signedmid" => signed(offer, request, &name),
        "busy429" if number < 5 => Reply::new(429).with("Retry-After", 4),
        "busy503" if number < 5 => Reply::new(503).with("Retry-After", 4),
        "busydate" if number < 5 => Reply::new(503).with("Retry-After", http_date(SystemTime::now() + SECOND * 4)),
        "html" => page(),
        "webp" => Reply::with_body(200, "image/webp", *b"RIFF\x24\0\0\0WEBPVP8 "),
        "drip" => rest().paced(100, SECOND),
        "rate" => rest().paced(parameter.unwrap_or(1000).div_ceil(20), SECOND / 20),
        "hugehdr" => {
            let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(50_000_000));
            Reply::with_body(200, PNG, head).without_head().then(After::Close)
        }
        "manyhdr" => {
            let headers = "X-A: bbbbbbbbbbbbbbb\r\n".repeat(1000);
            Reply::new(200).endless("HTTP/1.1 200 OK\r\n", headers).without_head()
        }
        "100cont" => Reply::new(200).endless([], "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)).without_head(),
        "mix" | "mix-quick" | "mix-sound" | "mix-quick-sound" => {
            mix::reply(offer, request, Kinds::named(&name), &numbers)
        }
        _ => match name.strip_prefix('e').and_then(|status| status.parse().ok()) {
            Some(status) => Reply::new(status),
            None => honest(offer, request),
        },
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// What a good server answers.
pub(super) fn honest(offer: &Offer, request: &Request) -> Reply {
    let size = offer.len();
    if request.header("if-match").is_some_and(|tag| tag != ETAG) {
        return Reply::new(412).with("ETag", ETAG);
    }
    if request.header("if-none-match") == Some(ETAG) {
        return Reply::new(304).with("ETag", ETAG);
    }
    match request.range(size) {
        Some(range) if range.start >= size => not_satisfiable(offer),
        Some(range) if request.header("if-range").is_none_or(|tag| tag == ETAG) => part(offer, request, range),
        _ => whole(offer),
    }
}

pub(super) fn whole(offer: &Offer) -> Reply {
    let base = Reply::new(200).with("Content-Type", PNG).with("ETag", ETAG).with("Accept-Ranges", "bytes");
    base.with_part_of(&offer.bytes, 0..offer.len())
}

/// 206 with these bytes; 200 with the whole to those who did not ask for a range.
pub(super) fn part(offer: &Offer, request: &Request, range: Range<usize>) -> Reply {
    if request.header("range").is_none() {
        return whole(offer);
    }
    if range.is_empty() {
        return not_satisfiable(offer);
    }
    let described = content_range(range.clone(), offer.len());
    whole(offer).with_part_of(&offer.bytes, range).status(206).with("Content-Range", described)
}

pub(super) fn not_satisfiable(offer: &Offer) -> Reply {
    Reply::new(416).with("Content-Range", format!("bytes */{}", offer.len()))
}

pub(super) fn redirect(to: &str) -> Reply {
    Reply::new(302).with("Location", to)
}

pub(super) fn page() -> Reply {
    Reply::with_body(200, "text/html", "<!doctype html><html><head><title>Log in to HotelNet</title></head></html>")
}

fn content_range(range: Range<usize>, size: usize) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

/// Every signature is another one, and some do not last.
fn signed(offer: &Offer, request: &Request, name: &str) -> Reply {
    let number = request.number;
    match request.query() {
        None => redirect(&format!("{}?sig={number}", request.path)),
        Some("sig=1") if name == "signed" => Reply::new(403),
        Some("sig=1") if request.header("range").is_some() => Reply::new(403),
        Some("sig=1") => whole(offer).cut(offer.len() / 2).then(After::Reset),
        Some(_) => honest(offer, request),
    }
}

/// As in `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let day = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).unwrap_or_default()];
    let (mut year, mut left) = (1970, days);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{day}, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", left + 1, months[month])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        let date = |seconds| http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(1_796_083_199), "Mon, 30 Nov 2026 23:59:59 GMT");
    }
}
