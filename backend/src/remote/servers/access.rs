//! How a server is spoken to: what it asks for, how it proves that it is the right one, where it may lead.
//!
//! All of this was told for one address. When the address of a server changes, it is forgotten unless it is told anew:
//! otherwise whoever changes an address would get the secret.

use pixelrts_shared::Digest;
use url::Url;

use crate::remote::client::{Credentials, Endpoint, Trust};
use crate::remote::egress::{BadOrigin, Origin};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub credentials: Option<Credentials>,
    pub trust: Trust,
    /// Other origins to which the server may lead.
    pub allow: Vec<Origin>,
}

/// What somebody says about it; what is absent stays. An empty text removes the old value.
#[derive(Clone, Default)]
pub(crate) struct AccessChange {
    pub(crate) auth: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) allow: Option<Vec<String>>,
    pub(crate) ca_file: Option<String>,
    pub(crate) pin: Option<String>,
}

/// What cannot be as it was said. No secret is repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccess {
    #[error("a server gets either a token (auth) or a user and a password, not both")]
    TwoCredentials,
    #[error("a server is recognized either by a file of authorities (ca_file) or by its certificate (pin), not both")]
    TwoProofs,
    #[error("the pin is not the SHA-256 of a certificate: 64 hex digits, with or without colons")]
    Pin,
    #[error("{0}")]
    Origin(#[from] BadOrigin),
}

impl Access {
    /// What a server has after its address went from one to the other.
    #[must_use]
    pub(super) fn at(self, before: &Url, now: &Url) -> Self {
        if before == now { self } else { Self::default() }
    }

    pub(crate) fn changed(self, change: AccessChange) -> Result<Self, BadAccess> {
        let AccessChange { auth, user, password, allow, ca_file, pin } = change;
        let allow = match allow {
            Some(origins) => origins.iter().map(|origin| origin.parse()).collect::<Result<_, _>>()?,
            None => self.allow,
        };
        Ok(Self {
            credentials: credentials(self.credentials, auth.as_deref(), user, password)?,
            trust: trust(self.trust, ca_file.as_deref(), pin.as_deref())?,
            allow,
        })
    }

    /// The server at this address, as it is spoken to.
    #[must_use]
    pub(crate) fn on(&self, endpoint: Endpoint) -> Endpoint {
        let Self { credentials, trust, allow } = self.clone();
        Endpoint { credentials, trust, allow, ..endpoint }
    }
}

fn credentials(
    old: Option<Credentials>,
    auth: Option<&str>,
    user: Option<String>,
    password: Option<String>,
) -> Result<Option<Credentials>, BadAccess> {
    let is_given = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    if is_given(auth) && (is_given(user.as_deref()) || is_given(password.as_deref())) {
        return Err(BadAccess::TwoCredentials);
    }
    if let Some(token) = auth.filter(|token| !token.is_empty()) {
        return Ok(Some(Credentials::Bearer(token.to_owned())));
    }
    let (old_user, old_password) = match &old {
        Some(Credentials::Basic { user, password }) => (user.clone(), password.clone()),
        Some(Credentials::Bearer(_)) | None => Default::default(),
    };
    if user.is_some() || password.is_some() {
        let (user, password) = (user.unwrap_or(old_user), password.unwrap_or(old_password));
        let is_empty = user.is_empty() && password.is_empty();
        return Ok((!is_empty).then_some(Credentials::Basic { user, password }));
    }
    match old {
        Some(Credentials::Bearer(_)) if auth.is_some() => Ok(None),
        old => Ok(old),
    }
}

fn trust(old: Trust, ca_file: Option<&str>, pin: Option<&str>) -> Result<Trust, BadAccess> {
    let file = ca_file.map(str::trim).filter(|file| !file.is_empty());
    let pin_text = pin.map(str::trim).filter(|pin| !pin.is_empty());
    match (file, pin_text) {
        (Some(_), Some(_)) => Err(BadAccess::TwoProofs),
        (Some(file), None) => Ok(Trust::Authority(file.into())),
        (None, Some(pin)) => Ok(Trust::Pin(parse_pin(pin)?)),
        (None, None) => Ok(match old {
            Trust::Authority(_) if ca_file.is_some() => Trust::System,
            Trust::Pin(_) if pin.is_some() => Trust::System,
            old => old,
        }),
    }
}

/// As a backend prints it at its start, or as plain hex digits.
pub(super) fn parse_pin(text: &str) -> Result<Digest, BadAccess> {
    text.replace(':', "").parse().map_err(|_| BadAccess::Pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(auth: &str, user: &str, password: &str) -> AccessChange {
        let given = |text: &str| (text != "-").then(|| text.to_owned());
        AccessChange { auth: given(auth), user: given(user), password: given(password), ..AccessChange::default() }
    }

    #[test]
    fn a_secret_is_a_token_or_a_password_and_is_replaced_or_removed() {
        let bearer = |token: &str| Some(Credentials::Bearer(token.to_owned()));
        let basic = |user: &str, password: &str| {
            Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
        };
        for (old, change, new) in [
            (None, said("t", "-", "-"), Ok(bearer("t"))),
            (None, said("-", "u", "p"), Ok(basic("u", "p"))),
            (None, said("", "", ""), Ok(None)),
            (bearer("t"), said("-", "-", "-"), Ok(bearer("t"))),
            (bearer("t"), said("", "-", "-"), Ok(None)),
            (bearer("t"), said("", "u", "p"), Ok(basic("u", "p"))),
            (basic("u", "p"), said("-", "-", "q"), Ok(basic("u", "q"))),
            (basic("u", "p"), said("-", "", ""), Ok(None)),
            (basic("u", "p"), said("", "-", "-"), Ok(basic("u", "p"))),
            (basic("u", "p"), said("t", "-", "-"), Ok(bearer("t"))),
            (None, said("t", "u", "-"), Err(BadAccess::TwoCredentials)),
        ] {
            let access = Access { credentials: old, ..Access::default() };
            assert_eq!(access.changed(change).map(|access| access.credentials), new);
        }
    }

    #[test]
    fn a_certificate_is_recognized_in_one_way() {
        let pin = "ab".repeat(32);
        let said = |ca_file: Option<&str>, pin: Option<&str>| AccessChange {
            ca_file: ca_file.map(str::to_owned),
            pin: pin.map(str::to_owned),
            ..AccessChange::default()
        };
        let trust =
            |old: Trust, change| Access { trust: old, ..Access::default() }.changed(change).map(|now| now.trust);
        let pinned = Trust::Pin(pin.parse().unwrap());
        let printed = pin
            .to_uppercase()
            .as_bytes()
            .chunks(2)
            .map(|two| String::from_utf8_lossy(two))
            .collect::<Vec<_>>()
            .join(":");
        assert_eq!(trust(Trust::System, said(None, Some(&printed))), Ok(pinned.clone()));
        assert_eq!(trust(pinned.clone(), said(None, None)), Ok(pinned.clone()));
        assert_eq!(trust(pinned.clone(), said(None, Some(""))), Ok(Trust::System));
        assert_eq!(trust(pinned.clone(), said(Some("/ca"), None)), Ok(Trust::Authority("/ca".into())));
        assert_eq!(trust(pinned, said(Some("/ca"), Some(&pin))), Err(BadAccess::TwoProofs));
        assert_eq!(trust(Trust::System, said(None, Some("abc"))), Err(BadAccess::Pin));
    }

    #[test]
    fn what_was_told_for_one_address_is_not_true_of_another() {
        let change = AccessChange { allow: Some(vec!["http://10.0.0.5:9".to_owned()]), ..said("t", "-", "-") };
        let access = Access::default().changed(change).unwrap();
        let at = |url: &str| access.clone().at(&"http://a/x/".parse().unwrap(), &url.parse().unwrap());
        assert_eq!(at("http://a:80/x/"), access);
        for other in ["http://a/y/", "http://a:81/x/", "https://a/x/", "http://b/x/"] {
            assert_eq!(at(other), Access::default(), "{other}");
        }
        let path = AccessChange { allow: Some(vec!["http://a/x".to_owned()]), ..AccessChange::default() };
        assert_eq!(Access::default().changed(path), Err(BadAccess::Origin(BadOrigin)));
    }
}
