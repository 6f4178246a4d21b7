//! One try to get the missing bytes of an image from one server.
//!
//! A try asks for what is missing, lets `response` decide what the answer means, and takes the bytes (`body`); it asks
//! again as long as each answer brings something or there is another way to ask. Whether the bytes are right is decided
//! later, by their digest.

mod body;
mod course;
mod inflate;
mod rate;
mod response;
mod validator;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use pixelrts_shared::{Digest, ServerId, Size};
use reqwest::Version;
use url::Url;

use super::client::{Answer, Client, Endpoint, status_kind};
use super::error::{Kind, RemoteError};
use crate::cache::Partial;
use crate::task;
pub(super) use body::remade;
use body::{End, Received};
use course::Course;
use response::{Here, Part, Repeats, Reply, Request, Step, decide};
pub(super) use validator::Validator;
pub(super) use versions::Versions;

/// An answer that brings less is no progress: a server could otherwise keep a client busy byte by byte.
pub(super) const LEAST_PROGRESS: u64 = 16 << 10;
/// So many answers in a row may bring nothing before the try is over.
const MOST_USELESS: u32 = 6;
/// How often a version is asked for at an address whose servers do not agree about it.
const SAME_VERSION: u32 = 3;

/// A place where the bytes of an image are: a server, and an address on it.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub server: ServerId,
    pub endpoint: Endpoint,
    pub url: Url,
    /// The size of the image in bytes, as far as this server's catalog announces it.
    pub size: Option<u64>,
}

/// How long a server may take. There is no limit for a whole image, because lines differ.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The longest time between two pieces of a body.
    pub stall: Duration,
    /// A server that sends less than this many bytes per second...
    pub slow_below: u64,
    /// ...over this time is left for another one.
    pub slow_over: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { stall: Duration::from_secs(15), slow_below: 10_000, slow_over: Duration::from_secs(30) }
    }
}

/// Is called after every piece with the number of bytes that have arrived and, where it is known, of all bytes.
pub(super) trait Tell: FnMut(u64, Option<u64>) + Send {}
impl<F: FnMut(u64, Option<u64>) + Send> Tell for F {}

/// What a try is made with.
pub(super) struct Try<'a> {
    pub(super) client: &'a Client,
    pub(super) mirror: &'a Mirror,
    pub(super) partial: &'a Arc<Partial>,
    pub(super) promise: Option<Digest>,
    /// The largest size of an image of which nobody has promised anything.
    pub(super) limit: u64,
    /// The version of the complete copy in the cache.
    pub(super) copy: Option<&'a Validator>,
    /// Another server could be asked instead, so that this one must not be too slow.
    pub(super) hurries: bool,
    pub(super) timing: Timing,
}

/// What a try has seen, however it ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// How many answers there were whose bytes were taken.
    pub(super) answers: u32,
    /// Of all tries until now.
    pub(super) versions: Versions,
}

/// How a try ended that brought what there is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// As far as the server says, all bytes are here.
    Complete,
    /// The copy in the cache is what the server has.
    Unchanged,
}

/// Why a try brought no complete image.
#[derive(Debug)]
pub(super) enum Failure {
    Error(RemoteError),
    /// The mirror's file is shorter than what is here, so that one of the two is wrong.
    Shorter(RemoteError),
    /// What is here cannot become an image.
    NoImage(RemoteError),
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self::Error(error)
    }
}

/// What an answer came to.
enum Taken {
    Complete,
    /// There is more to ask for.
    More,
}

impl Try<'_> {
    /// Gets what is missing.
    pub(super) async fn run(&self, seen: &mut Seen, tell: &mut impl Tell) -> Result<Outcome, Failure> {
        let (mut useless, mut whole) = (0, false);
        let mut course = Course::default();
        let mut repeats = Repeats { redirect: true, versions: SAME_VERSION };
        loop {
            let here = self.here();
            // It costs the hash of all bytes, so it is asked only where they may be all.
            if here.size.is_none_or(|size| size == here.received) && self.is_promised_whole().await {
                return Ok(Outcome::Complete);
            }
            if let Some(size) = here.size.filter(|size| *size < here.received) {
                return Err(self.shorter(size));
            }
            // All announced bytes are here, and they are not the right ones.
            if here.promised && here.size == Some(here.received) && here.received > 0 {
                return Ok(Outcome::Complete);
            }
            let request = Request::new(&here, whole || seen.versions.need_one_piece());
            let mut answer = self.client.ask(&self.mirror.endpoint, &self.mirror.url, request.headers()).await?;
            let reply = reply(&answer);
            match decide(&request, &reply, &here, repeats) {
                Step::Take(part) => {
                    seen.answers += 1;
                    let before = if part.anew { 0 } else { here.received };
                    if part.anew {
                        course = Course::default();
                        seen.versions.replaced(here.validator.as_ref(), reply.validator.as_ref());
                        if seen.versions.are_hopeless() {
                            return Err(self.failed(Kind::BadReply(versions::HOPELESS.into())));
                        }
                    }
                    match self.take(&mut answer, &reply, &part, &mut course, tell).await? {
                        Taken::Complete => return Ok(Outcome::Complete),
                        Taken::More if self.partial.received() >= before + LEAST_PROGRESS => useless = 0,
                        Taken::More => useless += 1,
                    }
                    whole = false;
                }
                Step::Complete => return Ok(Outcome::Complete),
                Step::Unchanged => return Ok(Outcome::Unchanged),
                Step::AskWhole => (whole, useless) = (true, useless + 1),
                Step::AskOriginal => (repeats.redirect, useless) = (false, useless + 1),
                Step::AskSameVersion => (repeats.versions, useless) = (repeats.versions - 1, useless + 1),
                Step::Shorter { whole } => return Err(self.shorter(whole)),
                Step::OtherSize { announced, found } => {
                    // Only the first bytes of an image tell what they are.
                    let known = match reply.range {
                        Some((1.., _)) => None,
                        _ => body::look(&mut answer.response, self.timing.stall).await,
                    };
                    return Err(self.failed(known.unwrap_or(Kind::Length { expected: announced, found })));
                }
                Step::Status => return Err(self.failed(status_kind(&answer.response, &self.mirror.url))),
                Step::Nonsense => return Err(self.failed(nonsense(&reply))),
            }
            if useless >= MOST_USELESS {
                let why = format!("{MOST_USELESS} answers in a row brought nothing new");
                return Err(self.failed(Kind::Interrupted(why.into())));
            }
        }
    }

    fn here(&self) -> Here {
        let promised = self.promise.is_some();
        Here {
            received: self.partial.received(),
            promised,
            validator: self.partial.validator().filter(|_| !promised).and_then(|text| Validator::parse(&text)),
            size: self.mirror.size,
            copy: self.copy.cloned(),
        }
    }

    async fn is_promised_whole(&self) -> bool {
        let Some(promise) = self.promise.filter(|_| self.partial.received() > 0) else { return false };
        let partial = self.partial.clone();
        task::blocking(move || partial.digest()).await.is_ok_and(|digest| digest == promise)
    }

    async fn take(
        &self,
        answer: &mut Answer,
        reply: &Reply,
        part: &Part,
        course: &mut Course,
        tell: &mut impl Tell,
    ) -> Result<Taken, Failure> {
        let local = |error| self.failed(Kind::Cache(error));
        if part.anew {
            self.partial.restart().map_err(local)?;
        }
        let before = self.partial.received();
        if before == 0 && self.promise.is_none() {
            let validator = reply.validator.as_ref().map(Validator::as_str);
            self.partial.set_validator(validator).map_err(local)?;
        }
        if let Some(whole) = part.whole {
            if self.promise.is_none() && whole > self.limit {
                return Err(self.too_large(Some(whole)));
            }
            let partial = self.partial.clone();
            task::blocking(move || partial.make_room(whole)).await.map_err(local)?;
        }
        tell(before, part.whole);
        if self.promise.is_none() {
            course.follow(self.partial).await.map_err(local)?;
        }
        let Received { ended, reached } = body::receive(self, &mut answer.response, part, course, tell).await;
        let received = self.partial.received();
        if let Some(announced) = part.whole.filter(|whole| self.promise.is_none() && received < *whole) {
            let again = before > 0 && part.from == 0 && (received, reached) == (before, before);
            if has_broken(&ended) && again || has_stopped(&ended) && course.end() == Some(received) {
                return Err(self.failed(Kind::Announced { announced, found: received }));
            }
        }
        let end = ended?;
        let all = match part.whole {
            Some(whole) => received >= whole,
            None => self.is_promised_whole().await,
        };
        match end {
            _ if all => Ok(Taken::Complete),
            End::OfPart => Ok(Taken::More),
            // Its end is marked, and nobody knows how long the image is: this is how long.
            End::OfBody if part.until.is_none() && part.whole.is_none() && part.marked => Ok(Taken::Complete),
            // The whole, from its first byte to the end of the connection, is as long as what is here.
            End::OfBody if part.until.is_none() && part.whole.is_none() && part.from == 0 && received == before => {
                Ok(Taken::Complete)
            }
            End::OfBody if self.promise.is_none() && part.until.is_none() && part.whole.is_none() => {
                Ok(Taken::Complete)
            }
            End::OfBody => {
                let of = part.whole.map(|whole| format!(" of {whole}")).unwrap_or_default();
                let why = format!("the answer ended after {received}{of} bytes");
                Err(self.failed(Kind::Interrupted(why.into())))
            }
        }
    }

    fn shorter(&self, whole: u64) -> Failure {
        let kind = Kind::Length { expected: self.partial.received(), found: whole };
        Failure::Shorter(RemoteError::new(&self.mirror.endpoint.name, kind))
    }

    fn too_large(&self, whole: Option<u64>) -> Failure {
        let words = |bytes| Size::from_bytes(bytes).in_words();
        let found = whole.map_or_else(|| "more".to_owned(), words);
        let limit = words(self.limit);
        let why =
            format!("the image has {found}, and one without a promised size may have {limit} at most (cache.max_size)");
        self.failed(Kind::BadReply(why.into()))
    }

    fn failed(&self, kind: Kind) -> Failure {
        RemoteError::new(&self.mirror.endpoint.name, kind).into()
    }
}

/// The answer ended before its announced end.
fn has_broken(ended: &Result<End, Failure>) -> bool {
    match ended {
        Ok(end) => *end == End::OfBody,
        Err(failure) => matches!(failure, Failure::Error(RemoteError { kind: Kind::Interrupted(_), .. })),
    }
}

/// The same, or nothing more comes.
fn has_stopped(ended: &Result<End, Failure>) -> bool {
    has_broken(ended) || matches!(ended, Err(Failure::Error(RemoteError { kind: Kind::Stalled(_), .. })))
}

fn reply(answer: &Answer) -> Reply {
    let framed = answer.response.version() >= Version::HTTP_2;
    Reply::new(answer.response.status().as_u16(), answer.response.headers(), framed, answer.redirected)
}

fn nonsense(reply: &Reply) -> Kind {
    let why = format!("the status {} does not fit what was asked for", reply.status);
    Kind::Interrupted(why.into())
}
