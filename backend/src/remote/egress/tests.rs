use super::*;
use proptest::prelude::*;

fn judged(home: &str, allow: &[&str], to: &str) -> Result<Way, Refusal> {
    let allow: Vec<Origin> = allow.iter().map(|origin| origin.parse().unwrap()).collect();
    judge(&home.parse().unwrap(), &allow, &Ours::default(), &to.parse().unwrap())
}

#[test]
fn a_server_leads_home_to_what_is_allowed_and_to_public_addresses() {
    let home = "http://127.0.0.1:8090/images/";
    for (to, way) in [
        ("http://127.0.0.1:8090/x", Way::Own),
        ("http://2130706433:8090/x", Way::Own),
        ("http://10.0.0.5:9000/x?y", Way::Allowed),
        ("https://cdn.example/x", Way::Allowed),
        ("http://cdn.example/x", Way::Public),
        ("http://1.1.1.1/x", Way::Public),
        ("http://[2606:4700::1111]/x", Way::Public),
        // A name is judged when it is resolved.
        ("http://localhost/x", Way::Public),
    ] {
        assert_eq!(judged(home, &["http://10.0.0.5:9000", "https://cdn.example/"], to), Ok(way), "{to}");
    }
    for to in [
        "http://127.0.0.1/x",
        "https://127.0.0.1:8090/x",
        "http://127.0.0.2:8090/x",
        "http://127.0.0.1:8091/admin?do=delete",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://[::1]:8090/",
        "http://[::ffff:127.0.0.1]:8090/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://10.0.0.5/",
    ] {
        assert!(matches!(judged(home, &["http://10.0.0.5:9000"], to), Err(Refusal::NotPublic { .. })), "{to}");
    }
    for to in ["file:///etc/passwd", "ftp://1.1.1.1/", "data:,x", "unix:/run/x", "javascript:x"] {
        assert!(matches!(judged(home, &[], to), Err(Refusal::Scheme(_))), "{to}");
    }
}

#[test]
fn nobody_leads_to_our_own_listener_but_itself() {
    let at = |listener: &str| Ours::new([listener.parse().unwrap()]);
    let (home, ours) = ("http://images.example/".parse().unwrap(), at("8.8.4.4:8080"));
    for to in ["http://8.8.4.4:8080/api/v1/remote/fetch", "http://8.8.4.4/"] {
        assert!(judge(&home, &[], &ours, &to.parse().unwrap()).is_err(), "{to}");
    }
    assert_eq!(judge(&home, &[], &ours, &"http://8.8.8.8:8080/".parse().unwrap()), Ok(Way::Public));
    let itself: Url = "http://8.8.4.4:8080/".parse().unwrap();
    assert_eq!(judge(&itself, &[], &ours, &itself), Ok(Way::Own));
    let everywhere = at("0.0.0.0:8080").addresses();
    assert!(everywhere.iter().any(IpAddr::is_loopback), "{everywhere:?}");
}

#[test]
fn an_origin_has_no_path_and_no_secret() {
    for text in ["", "10.0.0.5:9000", "ftp://a", "http://a/x", "http://u:p@a", "http://a/?x", "http://a/#x", "http://"]
    {
        assert_eq!(text.parse::<Origin>(), Err(BadOrigin), "{text}");
    }
    assert_eq!("HTTP://A:80".parse::<Origin>().unwrap().as_str(), "http://a");
}

proptest! {
    /// A literal that is not public is reached as home or by permission only, at any port and path.
    #[test]
    fn no_address_of_ours_is_public(four: u32, long: u128, pick in 0_u8..4, port: u16, path in "[a-z/]{0,9}") {
        let four = std::net::Ipv4Addr::from(four);
        let long = std::net::Ipv6Addr::from(long);
        let host = match pick {
            0 => four.to_string(),
            1 => format!("127.{}.{}.{}", four.octets()[0], four.octets()[1], four.octets()[2]),
            2 => format!("[{long}]"),
            _ => format!("[{}]", four.to_ipv6_mapped()),
        };
        let to: Url = format!("http://{host}:{port}/{path}").parse().unwrap();
        let home: Url = "http://images.example/".parse().unwrap();
        let literal: IpAddr = match to.host().unwrap() {
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
            Host::Domain(name) => panic!("{name}"),
        };
        let way = judge(&home, &[], &Ours::default(), &to);
        prop_assert_eq!(way.is_ok(), not_public(literal).is_none(), "{}", to);
        prop_assert_eq!(judge(&to, &[], &Ours::default(), &to), Ok(Way::Own));
        prop_assert_eq!(judge(&home, &[Origin::of(&to).unwrap()], &Ours::default(), &to), Ok(Way::Allowed));
    }
}
