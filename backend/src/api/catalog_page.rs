//! `GET /` of a catalog server: a page for a person who opens its address in a browser.
//!
//! It shows the images and the address to add, and works without scripts. Everything on it comes from this server, and
//! the policy that is sent with it lets a browser load nothing else. Texts of images are escaped where they are written.

use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::emblem::{Emblem, Part};
use pixelrts_shared::text::counted;
use pixelrts_shared::{Size, paths};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::extract::Query;
use super::responses::ProblemResponse;
use super::state::Public;
use crate::catalog::Found;

/// Images on one page: more would be slow to draw.
const PER_PAGE: usize = 60;
/// Of a search.
const LONGEST_SEARCH: usize = 200;

const STYLE: &str = include_str!("catalog_page.css");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

#[derive(Deserialize)]
pub(super) struct PageQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: usize,
}

pub(super) async fn page(
    State(public): State<Arc<Public>>,
    Query(query): Query<PageQuery>,
    uri: Uri,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let found = public.offered.local.offered().await?;
    let address = address(&uri, &request_headers, public.secure);
    let view = View::new(public.offered.local.name(), &address, &query, &found);
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
    ];
    Ok((headers, view.to_string()).into_response())
}

/// The address under which the person has opened this server, which is the one to add.
fn address(uri: &Uri, request_headers: &HeaderMap, secure: bool) -> String {
    let text = |name: &str| request_headers.get(name).and_then(|value| value.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text(HOST.as_str())).unwrap_or_default();
    // A proxy in front may add encryption.
    let scheme = if secure || text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// What is on the page.
struct View<'a> {
    name: &'a str,
    address: &'a str,
    search: String,
    /// How many there are, and how many bytes they have.
    all: usize,
    size: u64,
    shown: Vec<&'a Entry>,
    /// How many the search has found.
    found: usize,
    page: usize,
    pages: usize,
}

impl<'a> View<'a> {
    fn new(name: &'a str, address: &'a str, query: &PageQuery, found: &'a Arc<Found>) -> Self {
        let search: String = query.q.trim().chars().take(LONGEST_SEARCH).collect();
        let words: Vec<_> = search.split_whitespace().map(str::to_lowercase).collect();
        let entries = || found.images.iter().map(|image| &*image.entry);
        let mut matching: Vec<_> = entries().filter(|entry| has(entry, &words)).collect();
        matching.sort_by(|a, b| (a.name.to_lowercase(), &a.id).cmp(&(b.name.to_lowercase(), &b.id)));
        let pages = matching.len().div_ceil(PER_PAGE).max(1);
        let page = query.page.clamp(1, pages);
        Self {
            name,
            address,
            search,
            all: found.images.len(),
            size: entries().map(|entry| entry.size).sum(),
            found: matching.len(),
            shown: matching.into_iter().skip((page - 1) * PER_PAGE).take(PER_PAGE).collect(),
            page,
            pages,
        }
    }
}

/// Whether all words are somewhere in what is said of the image.
fn has(entry: &Entry, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let optional = [&entry.version, &entry.distro, &entry.architecture, &entry.kernel_version];
    let texts = [entry.name.as_str(), entry.id.as_str()].into_iter().chain(entry.description.as_deref());
    let texts = texts.chain(optional.into_iter().flatten().map(|text| text.as_str()));
    let text = texts.collect::<Vec<_>>().join("\n").to_lowercase();
    words.iter().all(|word| text.contains(word))
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Escaped(self.name);
        write!(
            f,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width,initial-scale=1\"><title>{name}</title><link rel=\"icon\" href=\"data:,\">\
             <style>{STYLE}</style></head><body><div class=\"wrap\"><header><h1>{name}</h1><p class=\"quiet\">A \
             PixelRTS catalog server with {}, {}.</p></header>",
            counted(self.all, "image", "images"),
            Size::from_bytes(self.size).in_words()
        )?;
        self.to_add(f)?;
        self.search(f)?;
        if self.shown.is_empty() {
            let why = if self.all == 0 { "There are no images yet." } else { "No image is like that." };
            write!(f, "<p class=\"empty\">{why}</p>")?;
        } else {
            f.write_str("<ul class=\"images\">")?;
            self.shown.iter().try_for_each(|entry| image(entry, f))?;
            f.write_str("</ul>")?;
        }
        self.other_pages(f)?;
        f.write_str("<footer>Programs read the list at <a href=\"/api/v1/catalog\">/api/v1/catalog</a>.</footer>")?;
        f.write_str("</div></body></html>")
    }
}

impl View<'_> {
    fn to_add(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Escaped(self.address);
        write!(
            f,
            "<section class=\"add\"><div><h2>Add this server</h2><code>{address}</code><p class=\"quiet small\">Enter \
             this address in your PixelRTS under Servers.</p></div><div><h2>Or on a command line</h2><code>pixelrts \
             servers add {address}</code><p class=\"quiet small\">Then <code class=\"bare\">pixelrts boot ID</code> \
             starts an image.</p></div></section>"
        )
    }

    fn search(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = match self.search.is_empty() {
            true => "Images".to_owned(),
            false => format!("{} found", counted(self.found, "image", "images")),
        };
        write!(
            f,
            "<form method=\"get\" action=\"/\" role=\"search\"><h2>{heading}</h2><input type=\"search\" name=\"q\" \
             value=\"{}\" maxlength=\"{LONGEST_SEARCH}\" aria-label=\"Search images\" placeholder=\"Search\"><button>Search\
             </button></form>",
            Escaped(&self.search)
        )
    }

    fn other_pages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pages == 1 {
            return Ok(());
        }
        let search: String = url::form_urlencoded::byte_serialize(self.search.as_bytes()).collect();
        let link = |f: &mut fmt::Formatter<'_>, page: usize, rel: &str, word: &str| {
            write!(f, "<a rel=\"{rel}\" href=\"/?q={search}&amp;page={page}\">{word}</a>")
        };
        f.write_str("<nav aria-label=\"Pages\">")?;
        if self.page > 1 {
            link(f, self.page - 1, "prev", "Previous")?;
        }
        write!(f, "<span class=\"quiet\">Page {} of {}</span>", self.page, self.pages)?;
        if self.page < self.pages {
            link(f, self.page + 1, "next", "Next")?;
        }
        f.write_str("</nav>")
    }
}

fn image(entry: &Entry, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (name, digest) = (Escaped(entry.name.as_str()), entry.sha256);
    let facts: Vec<_> = [&entry.distro, &entry.version, &entry.architecture].into_iter().flatten().collect();
    write!(
        f,
        "<li class=\"image\">{}<div class=\"about\"><h3>{name}</h3>",
        Emblem::new(entry.distro.as_deref(), &entry.name).svg(Part::Plate)
    )?;
    if !facts.is_empty() {
        f.write_str("<p class=\"quiet small\">")?;
        for (n, fact) in facts.iter().enumerate() {
            write!(f, "{}{}", if n > 0 { " · " } else { "" }, Escaped(fact.as_str()))?;
        }
        f.write_str("</p>")?;
    }
    if let Some(description) = entry.description.as_deref() {
        write!(f, "<p class=\"said\">{}</p>", Escaped(description))?;
    }
    write!(
        f,
        "<p class=\"last\"><span class=\"quiet\">{}</span><a href=\"{}\" download=\"{}.rts.png\">Download</a></p>\
         <details class=\"small\"><summary>Id and digest</summary><code>{}</code><br><code>{digest}</code></details>\
         </div></li>",
        Size::from_bytes(entry.size).in_words(),
        paths::image(&digest),
        entry.id,
        entry.id
    )
}

/// A text that cannot become a part of the page's markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            letter => f.write_char(letter),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::LocalImage;
    use proptest::prelude::*;
    use serde_json::json;

    fn entry(name: &str, n: usize) -> Entry {
        let digest = format!("{n:064x}");
        serde_json::from_value(json!({"id": format!("e{n}"), "name": name, "size": 3_000_000, "sha256": digest}))
            .unwrap()
    }

    fn found(entries: impl IntoIterator<Item = Entry>) -> Arc<Found> {
        let images = entries.into_iter().map(|entry| Arc::new(LocalImage::for_test(entry))).collect();
        let mut found = Found::default();
        found.images = images;
        Arc::new(found)
    }

    fn html(found: &Arc<Found>, search: &str, page: usize) -> String {
        let query = PageQuery { q: search.to_owned(), page };
        View::new("Office", "http://office:8090", &query, found).to_string()
    }

    proptest! {
        /// Whatever an image or a request says, no markup comes of it.
        #[test]
        fn words_never_become_markup(name in "[ -~]{0,40}", search in "[ -~]{0,40}") {
            let with = html(&found([entry(&name, 1)]), &search, 1);
            let without = html(&found([entry("x", 1)]), "", 1);
            // Emblems differ in the number of their threads.
            let tags = |html: &str| html.matches('<').count() - html.matches("<path ").count();
            // An image that the search does not find is not on the page.
            let shown = with.matches("<li ").count();
            let expected = if shown == 1 { tags(&without) } else { tags(&html(&found([entry("x", 1)]), "qqq", 1)) };
            prop_assert_eq!(tags(&with), expected, "{}", with);
        }
    }

    #[test]
    fn the_page_names_the_server_the_images_and_the_address() {
        let html = html(&found([entry("Debian <b>", 1), entry("Alpine", 2)]), "", 0);
        for part in ["<h1>Office</h1>", "2 images, 6.00 MB", "http://office:8090", "Debian &lt;b&gt;", "3.00 MB"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(html.find("Alpine") < html.find("Debian"), "they are in the order of their names");
        // Nothing is loaded from elsewhere, and no script runs.
        let handles =
            |rest: &str| rest.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_alphabetic()));
        assert!(!html.contains("<script") && !html.contains("src=\"http") && !html.split(" on").skip(1).any(handles));
    }

    #[test]
    fn many_images_are_on_several_pages() {
        let found = found((0..130).map(|n| entry(&format!("Image {n:03}"), n)));
        let images = |html: &str| html.matches("class=\"image\"").count();
        for (page, expected, next) in [(0, 60, true), (1, 60, true), (2, 60, true), (3, 10, false), (99, 10, false)] {
            let html = html(&found, "image", page);
            assert_eq!((images(&html), html.contains("rel=\"next\"")), (expected, next), "page {page}");
        }
        let one = html(&found, "IMAGE 007", 1);
        assert_eq!((images(&one), one.contains("1 image found"), one.contains("<nav")), (1, true, false));
        assert!(html(&found, "a & b", 1).contains("No image is like that."));
    }

    #[test]
    fn the_address_is_the_one_that_was_opened() {
        let of = |host: &'static str, proto: Option<&'static str>, secure| {
            let mut headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            if let Some(proto) = proto {
                headers.insert("x-forwarded-proto", proto.parse().unwrap());
            }
            address(&"/".parse().unwrap(), &headers, secure)
        };
        assert_eq!(of("office:8090", None, false), "http://office:8090");
        assert_eq!(of("office", None, true), "https://office");
        assert_eq!(of("office", Some("https"), false), "https://office");
    }
}
