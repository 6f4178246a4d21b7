//! The proxies that the environment names for servers elsewhere.
//!
//! The variables are those of other programs: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower or upper
//! case. This computer itself is never reached through a proxy, which would reach *its own* computer instead; so the
//! backend on this computer, and its token, never meet one.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use pixelrts_shared::text::Text;
use url::{Host, Url};

use crate::remote::address::shown;
use crate::remote::error::Kind;

/// Clones share them.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
    /// The value of `no_proxy`.
    exceptions: String,
}

/// A variable and the proxy that it names, if it can be understood.
#[derive(Clone)]
struct Setting {
    variable: &'static str,
    proxy: Option<Url>,
}

impl Proxies {
    /// `variable` looks a variable up. Of both cases the lower one counts, as for curl.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| Some((*name, variable(name).filter(|value| !value.trim().is_empty())?)))
        };
        let setting = |names: &[&'static str]| {
            first(names).map(|(variable, value)| Setting { variable, proxy: parse(value.trim()) })
        };
        let all = setting(&["all_proxy", "ALL_PROXY"]);
        Self {
            http: setting(&["http_proxy", "HTTP_PROXY"]).or_else(|| all.clone()),
            https: setting(&["https_proxy", "HTTPS_PROXY"]).or(all),
            exceptions: first(&["no_proxy", "NO_PROXY"]).map(|(_, value)| value).unwrap_or_default(),
        }
    }

    /// The proxy on the way to an address. A variable that cannot be understood is an error: a request that goes past a
    /// proxy may be one that nobody wanted.
    pub(super) fn on_the_way_to(&self, url: &Url) -> Result<Option<Url>, Kind> {
        let setting = if url.scheme() == "https" { &self.https } else { &self.http };
        let Some(Setting { variable, proxy }) = setting else { return Ok(None) };
        if is_here(url) || self.is_exception(url) {
            return Ok(None);
        }
        match proxy {
            Some(proxy) => Ok(Some(proxy.clone())),
            None => {
                let why = "its variable is no address of a proxy, like http://proxy.lan:3128";
                Err(Kind::Proxy {
                    proxy: pixelrts_shared::address::ShownAddress::of_parts(variable, false),
                    why: Text::new(why),
                })
            }
        }
    }

    fn is_exception(&self, url: &Url) -> bool {
        // Its rule for exceptions is that of curl: domains with all below them, addresses, networks, `*`.
        let matcher = Matcher::builder().all("http://proxy").no(self.exceptions.as_str()).build();
        let Ok(uri) = url.as_str().parse::<http::Uri>() else { return false };
        matcher.intercept(&uri).is_none()
    }
}

fn parse(value: &str) -> Option<Url> {
    let full = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    Url::parse(&full).ok().filter(|url| known.contains(&url.scheme()) && url.has_host())
}

/// Whether an address is this computer itself.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

/// A proxy may have a password.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |setting: &Option<Setting>| setting.as_ref().map(|one| one.proxy.as_ref().map(shown));
        f.debug_struct("Proxies")
            .field("http", &shown(&self.http))
            .field("https", &shown(&self.https))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(variables: &[(&str, &str)], url: &str) -> Result<Option<String>, String> {
        let found =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let way = Proxies::from_environment(found).on_the_way_to(&url.parse().unwrap());
        way.map(|proxy| proxy.map(|proxy| proxy.host_str().unwrap().to_owned())).map_err(|kind| kind.to_string())
    }

    #[test]
    fn a_proxy_is_used_for_servers_elsewhere_by_scheme() {
        let both = [("http_proxy", "http://p:1"), ("HTTPS_PROXY", "s:2")];
        assert_eq!(way(&both, "http://a/"), Ok(Some("p".to_owned())));
        assert_eq!(way(&both, "https://a/"), Ok(Some("s".to_owned())));
        assert_eq!(way(&[], "http://a/"), Ok(None));
        assert_eq!(way(&[("http_proxy", " ")], "http://a/"), Ok(None));
        assert_eq!(way(&[("ALL_PROXY", "socks5h://p")], "https://a/"), Ok(Some("p".to_owned())));
        assert_eq!(
            way(&[("http_proxy", "http://lower"), ("HTTP_PROXY", "http://upper")], "http://a/"),
            Ok(Some("lower".to_owned()))
        );
    }

    #[test]
    fn this_computer_and_exceptions_need_no_proxy() {
        let direct = |no: &str, url: &str| way(&[("all_proxy", "http://p"), ("no_proxy", no)], url) == Ok(None);
        for here in [
            "http://127.0.0.1:8080/",
            "http://127.9.9.9/",
            "https://localhost/",
            "http://x.localhost./",
            "http://[::1]/",
            "http://0.0.0.0/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(direct("", here), "{here}");
        }
        for (no, url, expected) in [
            ("a.lan", "http://a.lan/", true),
            (".lan", "http://b.a.LAN/", true),
            ("lan", "http://a.lan:8080/", true),
            ("lan", "http://alan/", false),
            ("10.0.0.0/8, 192.168.1.1", "http://10.2.3.4/", true),
            ("10.0.0.0/8, 192.168.1.1", "http://192.168.1.1:1/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("fd00::/8", "http://[fd00::1]/", true),
            ("*", "http://a/", true),
            ("", "http://a/", false),
        ] {
            assert_eq!(direct(no, url), expected, "{no} {url}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_understood_is_never_passed_by() {
        for value in ["http://", "ftp://p", "http://p:99999", "u:hunter2@p:x"] {
            let refused = way(&[("http_proxy", value)], "http://a/").unwrap_err();
            assert!(refused.contains("http_proxy") && !refused.contains("hunter2"), "{refused}");
            assert_eq!(way(&[("http_proxy", value)], "http://127.0.0.1/"), Ok(None));
        }
        let proxies = Proxies::from_environment(|_| Some("http://u:hunter2@p".to_owned()));
        assert!(!format!("{proxies:?}").contains("hunter2"));
    }
}
