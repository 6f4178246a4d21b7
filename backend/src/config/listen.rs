//! The address to listen on, as a person writes it: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or a port alone,
//! which means this computer only.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Reads an address. The error says what to write.
pub fn listening_address(text: &str) -> Result<SocketAddr, String> {
    const FORM: &str = "it is an IP address with a port, as in 127.0.0.1:8080; or a port, as in 8080, for this computer \
                        only; or 0.0.0.0:8090 for all addresses of this computer";
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Err(format!("it has no port: write {}", SocketAddr::new(ip, 8080)));
    }
    let (host, port) = match text.rsplit_once(':') {
        None => ("", text),
        Some((host, port)) => (host, port),
    };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM.to_owned());
    }
    let port: u16 = port.parse().map_err(|_| "a port is a number from 0 to 65535, where 0 means any free port")?;
    match host {
        "" | "localhost" => Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
        "*" => Err(format!("for all addresses of this computer, write 0.0.0.0:{port}")),
        host if host.contains("//") => {
            Err(format!("it is written without {}//", host.split("//").next().unwrap_or("")))
        }
        host => Err(format!(
            "{host} is a name: write the IP address of this computer, as in 192.168.1.5:{port}, or \
                             0.0.0.0:{port} for all of its addresses"
        )),
    }
}

/// For `#[serde(with)]`.
pub(super) fn serialize<S: Serializer>(address: &SocketAddr, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(address)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    listening_address(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_people_write_it() {
        for (text, address) in [
            ("8200", "127.0.0.1:8200"),
            (":8200", "127.0.0.1:8200"),
            ("0", "127.0.0.1:0"),
            ("localhost:1", "127.0.0.1:1"),
            (" 10.0.0.5:80 ", "10.0.0.5:80"),
            ("0.0.0.0:8090", "0.0.0.0:8090"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(listening_address(text), Ok(address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_told_what_to_write() {
        for (text, hint) in [
            ("127.0.0.1", "127.0.0.1:8080"),
            ("::1", "[::1]:8080"),
            ("[::1]", "[::1]:8080"),
            ("65536", "0 to 65535"),
            ("127.0.0.1:99999", "0 to 65535"),
            ("*:80", "0.0.0.0:80"),
            ("http://127.0.0.1:8080", "without http://"),
            ("office:80", "office is a name"),
            ("http", "127.0.0.1:8080"),
            ("-1", "127.0.0.1:8080"),
            ("127.0.0.1:", "127.0.0.1:8080"),
            ("", "127.0.0.1:8080"),
        ] {
            let said = listening_address(text).unwrap_err();
            assert!(said.contains(hint), "{text}: {said}");
        }
    }
}
