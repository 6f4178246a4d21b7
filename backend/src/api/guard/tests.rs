use super::*;
use axum::http::HeaderName;

const LISTEN: &str = "127.0.0.1:8080";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| -> (HeaderName, axum::http::HeaderValue) {
        (name.parse().unwrap(), value.parse().unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

fn guard(listen: &str, allowed: &[&str], token: Option<Token>) -> Guard {
    let allowed: Vec<_> = allowed.iter().map(|&host| host.to_owned()).collect();
    Guard::shell(listen.parse().unwrap(), false, &allowed, token, None)
}

/// The code of the refusal, or `ok`.
fn judged(guard: &Guard, method: &str, uri: &str, pairs: &[(&str, &str)]) -> &'static str {
    let (method, uri) = (method.parse().unwrap(), uri.parse().unwrap());
    guard.judge(&method, &uri, &headers(pairs)).map_or_else(|problem| problem.code.as_str(), |()| "ok")
}

#[test]
fn only_our_own_host_names_are_served() {
    let guard = guard(LISTEN, &["Shell.Example", "proxy.example:9000"], None);
    for (host, expected) in [
        ("127.0.0.1:8080", "ok"),
        ("localhost:8080", "ok"),
        ("LocalHost:8080", "ok"),
        ("[::1]:8080", "ok"),
        ("shell.example", "ok"),
        ("shell.example:443", "ok"),
        ("proxy.example:9000", "ok"),
        ("proxy.example", "guard.host"),
        ("127.0.0.1", "guard.host"),
        ("127.0.0.1:8081", "guard.host"),
        ("evil.example:8080", "guard.host"),
        ("127.0.0.1.evil.example:8080", "guard.host"),
        ("localhost.:8080", "guard.host"),
        ("localhost.evil.example:8080", "guard.host"),
        ("[::ffff:127.0.0.1]:8080", "guard.host"),
        ("127.0.0.2:8080", "guard.host"),
        ("0.0.0.0:8080", "guard.host"),
        ("192.168.1.5:8080", "guard.host"),
        ("", "guard.host"),
    ] {
        assert_eq!(judged(&guard, "GET", "/api/v1/health", &[("host", host)]), expected, "{host:?}");
    }
    assert_eq!(judged(&guard, "GET", "/", &[]), "guard.host", "no host");
    let twice = [("host", LISTEN), ("host", "evil.example")];
    assert_eq!(judged(&guard, "GET", "/", &twice), "guard.host", "two hosts");
    assert_eq!(judged(&guard, "GET", "http://evil.example/", &[("host", LISTEN)]), "guard.host", "two opinions");
    assert_eq!(judged(&guard, "GET", "http://127.0.0.1:8080/", &[("host", LISTEN)]), "ok");
}

#[test]
fn an_open_listener_serves_its_addresses_but_no_other_name() {
    let token = Token::random().unwrap();
    let bearer = format!("Bearer {}", token.reveal());
    let guard = guard("0.0.0.0:8080", &[], Some(token));
    for (host, expected) in [
        ("192.168.1.5:8080", "ok"),
        ("[fe80::1]:8080", "ok"),
        ("192.168.1.5:80", "guard.host"),
        ("lan:8080", "guard.host"),
    ] {
        assert_eq!(judged(&guard, "GET", "/", &[("host", host), ("authorization", &bearer)]), expected, "{host}");
    }
}

#[test]
fn port_80_may_be_left_out() {
    let guard = guard("127.0.0.1:80", &[], None);
    assert_eq!(judged(&guard, "GET", "/", &[("host", "localhost")]), "ok");
    assert_eq!(judged(&guard, "GET", "/", &[("host", "localhost:80")]), "ok");
    assert_eq!(judged(&guard, "GET", "/", &[("host", "localhost:81")]), "guard.host");
}

#[test]
fn requests_of_other_sites_are_refused_unless_they_open_the_page() {
    let guard = guard(LISTEN, &[], None);
    for site in ["cross-site", "same-site", "anything"] {
        let read = [("host", LISTEN), ("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")];
        for path in ["/", "/api/v1/catalog", "/api/v1/remote/fetch?id=a", "/api/v1/events"] {
            assert_eq!(judged(&guard, "GET", path, &read), "guard.cross_site", "{site} {path}");
        }
        let navigate = [("host", LISTEN), ("sec-fetch-site", site), ("sec-fetch-mode", "navigate")];
        assert_eq!(judged(&guard, "GET", "/", &navigate), "ok");
        assert_eq!(judged(&guard, "POST", "/", &navigate), "guard.cross_site");
        assert_eq!(judged(&guard, "GET", "/api/v1/remote/fetch", &navigate), "guard.cross_site");
    }
    for site in ["same-origin", "none"] {
        let read = [("host", LISTEN), ("sec-fetch-site", site)];
        assert_eq!(judged(&guard, "GET", "/api/v1/remote/fetch?id=a", &read), "ok", "{site}");
    }
}

#[test]
fn what_changes_something_comes_from_our_page_or_from_no_browser() {
    let guard = guard(LISTEN, &[], None);
    let same = ("sec-fetch-site", "same-origin");
    let host = ("host", LISTEN);
    for (pairs, expected) in [
        (vec![host], "ok"),
        (vec![host, same, ("origin", "http://127.0.0.1:8080")], "ok"),
        (vec![host, ("origin", "https://127.0.0.1:8080")], "guard.origin"),
        (vec![host, same], "guard.origin"),
        (vec![host, ("sec-fetch-mode", "cors")], "guard.origin"),
        (vec![host, ("origin", "null")], "guard.origin"),
        (vec![host, ("origin", "http://evil.example")], "guard.origin"),
        (vec![host, ("origin", "http://localhost:8080")], "guard.origin"),
        (vec![host, ("origin", "http://127.0.0.1:8081")], "guard.origin"),
        (vec![host, ("origin", "http://127.0.0.1:8080.evil.example")], "guard.origin"),
    ] {
        for (method, upgrade) in
            [("POST", None), ("DELETE", None), ("PATCH", None), ("GET", Some(("upgrade", "websocket")))]
        {
            let pairs: Vec<_> = pairs.iter().copied().chain(upgrade).collect();
            assert_eq!(
                judged(&guard, method, "/api/v1/machines/m7k2p9qa/serial", &pairs),
                expected,
                "{method} {pairs:?}"
            );
        }
    }
    assert_eq!(judged(&guard, "GET", "/", &[host, ("origin", "http://evil.example")]), "guard.origin");
}

#[test]
fn a_body_must_be_json_and_no_body_needs_no_type() {
    let guard = guard(LISTEN, &[], None);
    let host = ("host", LISTEN);
    for (pairs, expected) in [
        (vec![host], "ok"),
        (vec![host, ("content-length", "0")], "ok"),
        (vec![host, ("content-length", "2"), ("content-type", "application/json")], "ok"),
        (vec![host, ("content-length", "2"), ("content-type", "Application/JSON; charset=utf-8")], "ok"),
        (vec![host, ("content-length", "2")], "guard.content_type"),
        (vec![host, ("content-length", "2"), ("content-type", "text/plain")], "guard.content_type"),
        (vec![host, ("content-length", "2"), ("content-type", "application/jsonx")], "guard.content_type"),
        (vec![host, ("transfer-encoding", "chunked"), ("content-type", "text/plain")], "guard.content_type"),
    ] {
        assert_eq!(judged(&guard, "POST", "/api/v1/servers", &pairs), expected, "{pairs:?}");
    }
}

#[test]
fn beyond_this_computer_a_token_or_a_session_is_needed() {
    let token = Token::random().unwrap();
    let guard = guard("192.168.1.5:8080", &[], Some(token.clone()));
    let bearer = format!("Bearer {}", token.reveal());
    let cookie = format!("a=b; {SESSION_COOKIE}={}", token.session());
    let not_a_session = format!("{SESSION_COOKIE}={}", token.reveal());
    let host = ("host", "192.168.1.5:8080");
    for (pair, expected) in [
        (("authorization", bearer.as_str()), "ok"),
        (("cookie", cookie.as_str()), "ok"),
        (("cookie", not_a_session.as_str()), "guard.token"),
        (("authorization", "Bearer "), "guard.token"),
        (("authorization", token.reveal()), "guard.token"),
        (("x", "y"), "guard.token"),
    ] {
        for path in ["/", "/api/v1/health", "/api/v1/events"] {
            assert_eq!(judged(&guard, "GET", path, &[host, pair]), expected, "{pair:?} {path}");
        }
    }
    let fetch = ("sec-fetch-site", "same-origin");
    assert_eq!(
        judged(&guard, "POST", "/", &[host, fetch, ("authorization", &bearer)]),
        "ok",
        "a bearer needs no Origin"
    );
    assert_eq!(judged(&guard, "POST", "/", &[host, fetch, ("cookie", &cookie)]), "guard.origin");
}

#[test]
fn a_login_works_once() {
    let (token, login) = (Token::random().unwrap(), Token::random().unwrap());
    let guard = Guard::shell("192.168.1.5:8080".parse().unwrap(), true, &[], Some(token.clone()), Some(login.clone()));
    let ask = |query: &str, host: &str| {
        let request = Request::builder().uri(format!("/?{query}")).header("host", host);
        guard.log_in(&request.body(axum::body::Body::empty()).unwrap())
    };
    let host = "192.168.1.5:8080";
    let right = format!("login={}", login.reveal());
    assert_eq!(ask("login=wrong", host).unwrap().status(), StatusCode::UNAUTHORIZED);
    assert!(ask(&right, "evil.example").is_none());
    assert!(ask("other=1", host).is_none());
    let reply = ask(&right, host).unwrap();
    assert_eq!(reply.status(), StatusCode::SEE_OTHER);
    let cookie = reply.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains(&token.session()));
    assert!(cookie.ends_with("; Secure") && !cookie.contains(token.reveal()));
    assert_eq!(ask(&right, host).unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn role_catalog_answers_anyone_and_changes_nothing() {
    let guard = Guard::public(None);
    for host in ["images.example", "192.168.1.5"] {
        assert_eq!(judged(&guard, "GET", "/api/v1/catalog", &[("host", host), ("sec-fetch-site", "cross-site")]), "ok");
        assert_eq!(judged(&guard, "HEAD", "/api/v1/catalog", &[("host", host)]), "ok");
        assert_eq!(judged(&guard, "POST", "/api/v1/catalog", &[("host", host)]), "usage.method");
    }
}

#[test]
fn a_private_catalog_asks_for_its_token() {
    let token = Token::random().unwrap();
    let bearer = format!("Bearer {}", token.reveal());
    let session = format!("{SESSION_COOKIE}={}", token.session());
    let guard = Guard::public(Some(token));
    for (pair, expected) in [
        (("authorization", bearer.as_str()), "ok"),
        (("authorization", "Bearer wrong"), "guard.token"),
        (("cookie", session.as_str()), "guard.token"),
        (("x", "y"), "guard.token"),
    ] {
        for path in ["/api/v1/catalog", "/api/v1/health", "/api/v1/images/a.rts.png"] {
            assert_eq!(judged(&guard, "GET", path, &[("host", "images.example"), pair]), expected, "{pair:?} {path}");
        }
    }
    assert_eq!(judged(&guard, "POST", "/api/v1/catalog", &[("authorization", &bearer)]), "usage.method");
}

#[test]
fn an_origin_has_the_scheme_that_is_served() {
    let allowed = ["proxy.example".to_owned()];
    for (secure, host, origin, expected) in [
        (true, LISTEN, "https://127.0.0.1:8080", "ok"),
        (true, LISTEN, "http://127.0.0.1:8080", "guard.origin"),
        (true, "proxy.example", "http://proxy.example", "guard.origin"),
        (false, LISTEN, "https://127.0.0.1:8080", "guard.origin"),
        (false, "proxy.example", "https://proxy.example", "ok"),
        (false, "proxy.example", "http://proxy.example", "ok"),
    ] {
        let guard = Guard::shell(LISTEN.parse().unwrap(), secure, &allowed, None, None);
        assert_eq!(judged(&guard, "POST", "/", &[("host", host), ("origin", origin)]), expected, "{secure} {origin}");
    }
    let port_443 = Guard::shell("127.0.0.1:443".parse().unwrap(), true, &[], None, None);
    assert_eq!(judged(&port_443, "GET", "/", &[("host", "localhost")]), "ok");
    assert_eq!(judged(&port_443, "GET", "/", &[("host", "localhost:80")]), "guard.host");
}
