//! Each cause against real sockets: what a person reads names the cause, what to do, and no secret.

use std::path::Path;
use std::sync::Arc;

use pixelrts_shared::{Problem, ProblemCode};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::remote::catalogs::Asker;
use crate::remote::client::{Client, Credentials, Endpoint, Trust};
use crate::remote::egress::Ours;
use crate::remote::faulty_server::{Answer, FaultyServer, unused_address};
use crate::remote::{Proxies, host_of};
use crate::task::Scope;

/// The problem of a GET of an address that somebody typed.
async fn problem(client: &Client, url: &str) -> Problem {
    let (endpoint, url) = Endpoint::of_address(url.parse().unwrap());
    said(client.thumbnail(&endpoint, &url).await.expect_err("it must fail").into())
}

fn said(problem: Problem) -> Problem {
    let text = problem.to_string();
    assert!(problem.what.ends_with('.') && problem.why.ends_with('.') && problem.fix.ends_with(['.', ')']), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("0x"), "{text}");
    problem
}

async fn answering(status: &'static str, headers: &'static str, body: &'static [u8]) -> FaultyServer {
    FaultyServer::start(move |_, _| Answer::new(status, headers, body)).await
}

#[tokio::test]
async fn what_keeps_a_server_from_being_reached() {
    let client = Client::default();
    let dns = problem(&client, "http://name.invalid/x?sig=hunter2").await;
    assert_eq!(dns.code, ProblemCode::NetworkDns, "{dns}");
    let refused = problem(&client, unused_address().await.as_str()).await;
    assert_eq!(refused.code, ProblemCode::NetworkRefused, "{refused}");
    // No network leads to the broadcast address.
    let unreachable = problem(&client, "http://255.255.255.255/").await;
    assert_eq!(unreachable.code, ProblemCode::NetworkUnreachable, "{unreachable}");
}

#[tokio::test]
async fn a_server_that_says_nothing_and_one_that_stops() {
    let silent = FaultyServer::start(|_, _| Answer { head: String::new(), body: Vec::new(), hang: true }).await;
    let stops = FaultyServer::start(|_, _| Answer::new("200 OK", "", b"1234").cut(2).hanging()).await;
    let breaks = FaultyServer::start(|_, _| Answer::new("200 OK", "", b"1234").cut(2)).await;
    let client = Client::default();
    let all = tokio::join!(
        problem(&client, silent.url.as_str()),
        problem(&client, stops.url.as_str()),
        problem(&client, breaks.url.as_str())
    );
    let codes = [all.0.code, all.1.code, all.2.code];
    let expected = [ProblemCode::NetworkTimeout, ProblemCode::NetworkTimeout, ProblemCode::NetworkInterrupted];
    // A picture as a whole has as much time as the first byte, so either of the two deadlines may come first.
    assert!(codes == expected || codes[1] == ProblemCode::NetworkStalled && codes[0] == expected[0], "{codes:?}");
    assert_eq!(codes[2], expected[2]);
}

#[tokio::test]
async fn what_a_status_means() {
    for (status, headers, code, words) in [
        ("401 Unauthorized", "", ProblemCode::RemoteDenied, "password"),
        ("403 Forbidden", "", ProblemCode::RemoteDenied, "auth"),
        ("404 Not Found", "", ProblemCode::RemoteNotFound, "/x?…"),
        ("410 Gone", "", ProblemCode::RemoteGone, "for good"),
        ("429 Too Many Requests", "Retry-After: 4\r\n", ProblemCode::RemoteBusy, "asks to wait 4 s"),
        ("503 Service Unavailable", "Retry-After: 7\r\n", ProblemCode::RemoteBusy, "asks to wait 7 s"),
        ("503 Service Unavailable", "", ProblemCode::RemoteFailed, "503"),
        ("500 Internal Server Error", "", ProblemCode::RemoteFailed, "500"),
        ("418 I'm a teapot", "", ProblemCode::RemoteUnexpected, "418"),
        ("451 x", "", ProblemCode::RemoteUnexpected, "the HTTP status 451 (Unavailable"),
        ("202 x", "", ProblemCode::RemoteUnexpected, "did not send what was requested"),
        ("511 x", "", ProblemCode::RemoteFailed, "log in"),
        ("599 x", "", ProblemCode::RemoteFailed, "599"),
        ("302 Found", "Location: file:///etc/passwd\r\n", ProblemCode::BadRedirect, "kind file:"),
        ("302 Found", "Location: /x?sig=hunter2\r\n", ProblemCode::BadRedirect, "circle"),
        ("302 Found", "", ProblemCode::BadRedirect, "without saying where"),
        ("302 Found", "Location: http://127.0.0.1:1/x?hunter2\r\n", ProblemCode::EgressRefused, "this computer"),
        ("302 Found", "Location: http://localhost:1/\r\n", ProblemCode::EgressRefused, "leads to localhost, which is"),
        ("200 OK", "Content-Encoding: br\r\n", ProblemCode::BadReply, "br"),
    ] {
        let server = answering(status, headers, b"").await;
        let url = format!("{}x?sig=hunter2", server.url).replace("http://", "http://alice:hunter2@");
        let problem = problem(&Client::default(), &url).await;
        assert_eq!(problem.code, code, "{status} {headers}: {problem}");
        assert!(problem.to_string().contains(words) && !problem.to_string().contains("alice"), "{problem}");
    }
}

#[tokio::test]
async fn a_port_for_tls_that_answers_plain_http_asks_for_https() {
    let nginx = b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>";
    for (body, words) in [
        (&nginx[..], "Write https:// instead of http://"),
        (b"Client sent an HTTP request to an HTTPS server.\n", "Write https:// instead of http://"),
        (b"Bad Request", "400"),
        (b"", "400"),
    ] {
        let server = answering("400 Bad Request", "", body).await;
        let problem = problem(&Client::default(), server.url.as_str()).await;
        assert!(problem.to_string().contains(words), "{problem}");
    }
}

#[tokio::test]
async fn credentials_go_to_the_own_origin_only() {
    let other = answering("200 OK", "", b"picture").await;
    let location = format!("Location: {}\r\n", other.url);
    let first = FaultyServer::start(move |_, _| Answer::new("302 Found", &location, b"")).await;
    let mut endpoint = Endpoint::new("first".into(), first.url.clone());
    endpoint.credentials = Some(Credentials::Basic { user: "alice".to_owned(), password: "hunter2".to_owned() });
    endpoint.allow = vec![crate::remote::egress::Origin::of(&other.url).unwrap()];
    assert_eq!(Client::default().thumbnail(&endpoint, &first.url).await.unwrap(), b"picture");
    let heads = |server: &FaultyServer| server.requests.lock().unwrap().concat();
    assert!(heads(&first).contains("authorization: basic ywxpy2u6ahvudgvymg=="), "{}", heads(&first));
    assert!(!heads(&other).contains("authorization"), "{}", heads(&other));
}

#[tokio::test]
async fn what_is_no_catalog() {
    let look = async |status, headers, body| {
        let server = answering(status, headers, body).await;
        let looked = Asker::new(Client::default()).look(&Endpoint::new("office".into(), server.url.clone())).await;
        said(looked.unwrap_err().into())
    };
    let page = look("200 OK", "Content-Type: text/html\r\n", b"<html><title>Please \x1b[2Jlog in</title>").await;
    assert_eq!(page.code, ProblemCode::RemoteWebPage, "{page}");
    assert!(page.why.contains("\"Please [2Jlog in\""), "{page}");
    let newer = look("200 OK", "", br#"{"format": 2, "entries": []}"#).await;
    assert_eq!(newer.code, ProblemCode::CatalogVersion, "{newer}");
    let garbage = look("200 OK", "", b"\x00\x01\x02").await;
    assert_eq!(garbage.code, ProblemCode::BadCatalog, "{garbage}");
}

#[tokio::test]
async fn what_a_proxy_does_wrong() {
    let through = |proxy: &Url| {
        let proxy = proxy.as_str().replace("http://", "http://alice:hunter2@");
        let variable = move |name: &str| (name == "all_proxy").then(|| proxy.clone());
        Client::new(Proxies::from_environment(variable), Ours::default())
    };
    let dead = through(&unused_address().await);
    let asks = answering("407 Proxy Authentication Required", "", b"").await;
    let refuses = answering("403 Forbidden", "", b"").await;
    for (client, url, words) in [
        (dead.clone(), "http://images.example/", "proxy"),
        (dead.clone(), "https://images.example/", "proxy"),
        (through(&asks.url), "http://images.example/", "name and a password"),
        (through(&asks.url), "https://images.example/", "name and a password"),
        (through(&refuses.url), "https://images.example/", "refuses to connect"),
    ] {
        let problem = problem(&client, url).await;
        assert_eq!(problem.code, ProblemCode::NetworkProxy, "{url}: {problem}");
        assert!(problem.to_string().contains(words) && !problem.to_string().contains("alice"), "{problem}");
    }
    // This computer is never reached through a proxy.
    let here = answering("200 OK", "", b"picture").await;
    let (endpoint, url) = Endpoint::of_address(here.url.clone());
    assert_eq!(dead.thumbnail(&endpoint, &url).await.unwrap(), b"picture");
    // A literal is judged in front of the proxy, too.
    let leads = answering("302 Found", "Location: http://10.0.0.1/\r\n", b"").await;
    let refused = problem(&through(&leads.url), "http://images.example/").await;
    assert_eq!(refused.code, ProblemCode::EgressRefused, "{refused}");
}

/// Answers every request over TLS with a certificate of these names that is valid in these years.
async fn secure(names: &[&str], years: (i32, i32), folder: &Path, scope: &Scope) -> (Url, Trust, String) {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let file = folder.join(format!("{}-{}-{}.pem", names.concat(), years.0, years.1));
    std::fs::write(&file, certificate.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    scope.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\npicture").await;
            let _ = stream.shutdown().await;
        }
    });
    let pin = {
        use sha2::Digest;
        pixelrts_shared::Digest::new(sha2::Sha256::digest(certificate.der()).into())
    };
    (url, Trust::Authority(file), pin.to_string())
}

#[tokio::test]
async fn what_keeps_a_connection_from_being_secure() {
    let (folder, scope) = (tempfile::tempdir().unwrap(), Scope::new());
    let client = Client::default();
    let ask = async |url: &Url, trust: Trust| {
        let endpoint = Endpoint { trust, ..Endpoint::new(host_of(url), url.clone()) };
        client.thumbnail(&endpoint, url).await.map_err(|error| said(error.into()))
    };
    let good = secure(&["127.0.0.1"], (2020, 2090), folder.path(), &scope).await;
    let expired = secure(&["127.0.0.1"], (2001, 2002), folder.path(), &scope).await;
    let early = secure(&["127.0.0.1"], (2089, 2090), folder.path(), &scope).await;
    let named = secure(&["other.example"], (2020, 2090), folder.path(), &scope).await;
    for ((url, trust, _), code, words) in [
        (&expired, ProblemCode::TlsExpired, "2002-01-01"),
        (&early, ProblemCode::TlsNotYetValid, "clock"),
        (&named, ProblemCode::TlsWrongName, "other.example"),
    ] {
        let problem = ask(url, trust.clone()).await.unwrap_err();
        assert_eq!(problem.code, code, "{problem}");
        assert!(problem.to_string().contains(words), "{problem}");
    }
    let unknown = ask(&good.0, early.1.clone()).await.unwrap_err();
    assert_eq!(unknown.code, ProblemCode::TlsUnknownAuthority, "{unknown}");
    assert!(unknown.context.as_ref().is_some_and(|context| context.contains(&good.2)), "{unknown}");
    let missing = ask(&good.0, Trust::Authority(folder.path().join("none.pem"))).await.unwrap_err();
    assert_eq!(missing.code, ProblemCode::ConfigInvalid, "{missing}");

    // What is trusted is answered; a pin asks for neither a name nor a date.
    assert_eq!(ask(&good.0, good.1.clone()).await.unwrap(), b"picture");
    for pinned in [&good, &expired, &named] {
        assert_eq!(ask(&pinned.0, Trust::Pin(pinned.2.parse().unwrap())).await.unwrap(), b"picture");
    }
    let other = ask(&good.0, Trust::Pin(named.2.parse().unwrap())).await.unwrap_err();
    assert_eq!(other.code, ProblemCode::TlsOtherCertificate, "{other}");

    // Another certificate in the file counts from then on.
    let replaced = folder.path().join("replaced.pem");
    let pem = |trust: &Trust| std::fs::read(trust.parts().0.unwrap()).unwrap();
    std::fs::write(&replaced, pem(&named.1)).unwrap();
    let unknown = ask(&good.0, Trust::Authority(replaced.clone())).await.unwrap_err();
    assert_eq!(unknown.code, ProblemCode::TlsUnknownAuthority, "{unknown}");
    std::fs::write(&replaced, pem(&good.1)).unwrap();
    assert_eq!(ask(&good.0, Trust::Authority(replaced)).await.unwrap(), b"picture");

    // https against http, and the other way round.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", plain.local_addr().unwrap());
    scope.spawn(async move {
        // As real servers do, it answers what is no request without waiting for the end of a head.
        let (mut connection, _) = plain.accept().await.unwrap();
        let _ = connection.read(&mut [0; 1000]).await;
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    });
    let no_tls = problem(&client, &url).await;
    assert!(matches!(no_tls.code, ProblemCode::TlsNotOffered | ProblemCode::NetworkTls), "{no_tls}");
    let no_http = problem(&client, &good.0.as_str().replace("https:", "http:")).await;
    assert_eq!(no_http.code, ProblemCode::NetworkNotHttp, "{no_http}");
    scope.token().cancel();
}
