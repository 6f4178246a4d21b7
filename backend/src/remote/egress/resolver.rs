//! Resolves names for requests that may go to public addresses only.
//!
//! The connection goes to what is resolved here, so nothing can change between the check and the connection.

use std::net::{IpAddr, SocketAddr};

use pixelrts_shared::text::Text;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Ours, Refusal, refused};

/// Hands out the public addresses of a name.
#[derive(Clone, Debug)]
pub(in crate::remote) struct PublicOnly(pub(in crate::remote) Ours);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let ours = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public = public_of(name.as_str(), found, &ours.addresses())?;
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// The public ones among the addresses of a name; of a name with none, why not.
fn public_of(host: &str, found: impl Iterator<Item = SocketAddr>, ours: &[IpAddr]) -> Result<Vec<SocketAddr>, Refusal> {
    let mut public = Vec::new();
    let mut refusal = None;
    for address in found {
        match refused(address.ip(), ours) {
            None => public.push(address),
            Some(is) => refusal = Some(is),
        }
    }
    match refusal {
        Some(is) if public.is_empty() => Err(Refusal::NotPublic { host: Text::new(host), is }),
        _ => Ok(public),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(found: &[&str], ours: &[&str]) -> Result<Vec<String>, Refusal> {
        let found = found.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0));
        let ours: Vec<IpAddr> = ours.iter().map(|address| address.parse().unwrap()).collect();
        let public = public_of("a.example", found, &ours)?;
        Ok(public.into_iter().map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn of_mixed_addresses_only_the_public_ones_are_used() {
        assert_eq!(public(&["127.0.0.1", "1.1.1.1", "::1", "fe80::1"], &[]), Ok(vec!["1.1.1.1".to_owned()]));
        assert_eq!(public(&["1.1.1.1", "8.8.8.8"], &["8.8.8.8"]), Ok(vec!["1.1.1.1".to_owned()]));
        for hidden in [&["127.0.0.1"][..], &["10.0.0.1", "::ffff:10.0.0.1"], &["8.8.8.8"]] {
            assert!(matches!(public(hidden, &["8.8.8.8"]), Err(Refusal::NotPublic { .. })), "{hidden:?}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_computer_is_refused_when_it_is_resolved() {
        let refused = PublicOnly(Ours::default()).resolve("localhost".parse().unwrap()).await;
        let error = refused.err().expect("it has no public address");
        assert!(error.is::<Refusal>(), "{error}");
    }

    proptest! {
        #[test]
        fn nothing_but_public_addresses_is_handed_out(found in prop::collection::vec(any::<u32>(), 1..6)) {
            let found = found.into_iter().map(|bits| SocketAddr::new(std::net::Ipv4Addr::from(bits).into(), 0));
            for address in public_of("a.example", found, &[]).unwrap_or_default() {
                prop_assert!(super::super::not_public(address.ip()).is_none());
            }
        }
    }
}
