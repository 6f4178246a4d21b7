//! Which addresses are public: everybody on the internet reaches the same computer there. Everything else means something
//! only here: this computer, its network, the services of whoever runs it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public, in words that follow "is".
#[must_use]
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (127, ..) => "an address of this computer itself",
        (0, ..) => "an address of this network",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "an address of a private network",
        (100, 64..=127, _) => "an address inside of a provider's network",
        (169, 254, _) => "an address of this link, where clouds keep the secrets of a machine",
        // The agent of Azure's hosts answers there, to the machines on the same host only.
        (168, 63, 129) if address == Ipv4Addr::new(168, 63, 129, 16) => "an address of the cloud's own host",
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => "a reserved address",
        (224..=239, ..) => "a group of computers",
        (240.., ..) => "a reserved address",
        _ => return None,
    })
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = embedded(address) {
        return v4(inner);
    }
    let [a, b, ..] = address.segments();
    Some(match (a, b) {
        _ if address.is_loopback() => "an address of this computer itself",
        _ if address.is_unspecified() => "an address of this network",
        (0xfc00..=0xfdff, _) => "an address of a private network",
        (0xfe80..=0xfeff, _) => "an address of this link",
        (0xff00.., _) => "a group of computers",
        // Of what is given out, the first blocks are for protocols, and some are for documents.
        (0x2001, 0x0000..=0x01ff) | (0x2001, 0x0db8) | (0x3fff, 0x0000..=0x0fff) => "a reserved address",
        (0x2000..=0x3fff, _) => return None,
        _ => "a reserved address",
    })
}

/// The IPv4 address that a packet to this address reaches in the end: written as IPv6 (`::ffff:a.b.c.d`, and the old
/// `::a.b.c.d`), through 6to4 (`2002:`), or through the usual NAT64 (`64:ff9b::`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let four = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(four(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => Some(four(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(text: &str) -> bool {
        not_public(text.parse().unwrap()).is_none()
    }

    #[test]
    fn every_block_that_means_something_only_here_is_known() {
        for text in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(text), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "168.63.129.17",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "2001:4860:4860::8888",
        ] {
            assert!(public(text), "{text}");
        }
    }

    proptest! {
        /// However an IPv4 address is written, it is what it is.
        #[test]
        fn a_detour_through_ipv6_changes_nothing(bits: u32, rest: u64) {
            let four = Ipv4Addr::from(bits);
            let plain = not_public(four.into());
            let [a, b, c, d] = four.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let [_, _, _, e, _, _, _, f] = Ipv6Addr::from(u128::from(rest)).segments();
            for six in [
                four.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, e, 0, 0, 0, f),
            ] {
                prop_assert_eq!(not_public(six.into()), plain, "{}", six);
            }
        }

        /// What the standard library knows to be private is never public.
        #[test]
        fn the_standard_library_agrees(bits: u32, long: u128) {
            let four = Ipv4Addr::from(bits);
            let known = four.is_loopback() || four.is_private() || four.is_link_local() || four.is_unspecified()
                || four.is_multicast() || four.is_broadcast() || four.is_documentation();
            prop_assert!(!known || not_public(four.into()).is_some(), "{four}");
            let six = Ipv6Addr::from(long);
            let known = six.is_loopback() || six.is_unspecified() || six.is_multicast() || six.is_unique_local()
                || six.is_unicast_link_local();
            prop_assert!(!known || not_public(six.into()).is_some(), "{six}");
        }

        /// The same, among the addresses near the borders of blocks, which random ones hardly meet.
        #[test]
        fn the_standard_library_agrees_at_the_borders(first in 0_u8..=255, second in 0_u8..=255, tail: u16) {
            let [c, d] = tail.to_be_bytes();
            let four = Ipv4Addr::new(first, second, c, d);
            let known = four.is_loopback() || four.is_private() || four.is_link_local() || four.is_multicast();
            prop_assert!(!known || not_public(four.into()).is_some(), "{four}");
        }
    }
}
