//! `portals.NAME.identities`: as whom a portal's checks may act. They are read twice: with the config,
//! for what is wrong without any secret; and once more, secrets resolved, when a check uses one.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::keys::WebUrl;
use super::secrets::{SecretPolicy, Secrets};
use super::settings;
use crate::formats::yaml::{Fault, Node, Reader};
use crate::model::identity::totp_key;
use crate::model::{Grant, Identity, OAuth2, Secret};

/// One identity: what a portal gave to its monitor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityKeys {
    /// The name that signs in.
    username: Option<String>,
    /// The password that signs in.
    password: Option<Secret>,
    /// The secret of one-time codes (RFC 6238), base32.
    totp: Option<Secret>,
    /// A bearer token.
    token: Option<Secret>,
    /// Where a bearer token is asked for.
    oauth2: Option<OAuth2Keys>,
    /// A client certificate, in the stead of the one of `tls`.
    client: Option<CertificateKeys>,
}

/// An OAuth2 client.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OAuth2Keys {
    /// The token endpoint, https.
    token_url: WebUrl,
    /// The client's id.
    client_id: String,
    /// The client's secret; public clients have none.
    client_secret: Option<Secret>,
    /// The scopes asked for.
    #[serde(default)]
    scopes: Vec<String>,
    /// How the token is asked for, client_credentials if not set.
    #[serde(default)]
    grant: GrantKey,
    /// With grant refresh_token.
    refresh_token: Option<Secret>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum GrantKey {
    #[default]
    ClientCredentials,
    Password,
    RefreshToken,
}

impl From<GrantKey> for Grant {
    fn from(key: GrantKey) -> Self {
        match key {
            GrantKey::ClientCredentials => Self::ClientCredentials,
            GrantKey::Password => Self::Password,
            GrantKey::RefreshToken => Self::RefreshToken,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CertificateKeys {
    /// The file of the certificate and its chain, PEM.
    cert: String,
    /// The private key, PEM.
    key: Secret,
}

/// Reads one identity of a portal. Secrets and the certificate's file are needed as far as the policy
/// of `secrets` says so; every fault stands in `faults` once, however often this is called.
pub fn read(
    portal: &settings::Portal,
    identity: &settings::Identity,
    secrets: &mut Secrets,
    faults: &mut Vec<Fault>,
) -> Option<Identity> {
    let mut found = Vec::new();
    let read = one(portal, identity, secrets, &mut found);
    let good = found.is_empty();
    for fault in found {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    read.filter(|_| good)
}

fn one(
    portal: &settings::Portal,
    identity: &settings::Identity,
    secrets: &mut Secrets,
    faults: &mut Vec<Fault>,
) -> Option<Identity> {
    let path = format!("portals.{}.identities.{}", portal.name, identity.name);
    let keys: IdentityKeys = Reader::new(&path, faults, secrets).read(&identity.spec)?;
    let mut say = |key: &[&str], message: &str| {
        let key: Vec<String> = key.iter().map(|key| (*key).to_owned()).collect();
        Reader::new(&path, faults, secrets).fault(&identity.spec, &key, message.to_owned());
    };
    contradictions(&keys, &mut say);
    if let Some(client) = &keys.oauth2 {
        token_request(&keys, client, &mut say);
        token_url(&client.token_url.0, portal.private, &mut say);
    }
    let client = keys.client.and_then(|client| certificate(client, &identity.spec, &path, secrets, faults));
    Some(Identity {
        name: identity.name.clone(),
        username: keys.username,
        password: keys.password,
        totp: keys.totp,
        token: keys.token,
        oauth2: keys.oauth2.map(|client| OAuth2 {
            token_url: client.token_url.0,
            client_id: client.client_id,
            client_secret: client.client_secret,
            scopes: client.scopes,
            grant: client.grant.into(),
            refresh_token: client.refresh_token,
        }),
        client,
    })
}

type Say<'s> = dyn FnMut(&[&str], &str) + 's;

fn contradictions(keys: &IdentityKeys, say: &mut Say<'_>) {
    let signs_in = keys.username.is_some() || keys.password.is_some();
    let shows = keys.token.is_some() || keys.oauth2.is_some() || keys.client.is_some();
    if !signs_in && !shows && keys.totp.is_none() {
        say(&[], "the identity is empty; give it username and password, token, oauth2 or client");
    }
    if keys.username.as_ref().is_some_and(String::is_empty) {
        say(&["username"], "the username is empty; write the name that signs in");
    }
    if keys.token.is_some() && keys.oauth2.is_some() {
        say(&["token"], "token and oauth2 both give the bearer token; keep one of the two");
    }
    if let Some(totp) = &keys.totp {
        if !signs_in {
            say(&["totp"], "a one-time code goes with a sign-in; add username and password");
        }
        // Without the need for secrets, each stands as an empty value.
        if !totp.expose().is_empty() && totp_key(totp.expose()).is_none() {
            say(
                &["totp"],
                "the secret is no base32 (A-Z and 2-7, RFC 4648); write what the portal shows beside the QR code, or what follows secret= in its otpauth: address",
            );
        }
    }
}

fn token_request(keys: &IdentityKeys, client: &OAuth2Keys, say: &mut Say<'_>) {
    match client.grant {
        GrantKey::ClientCredentials if client.client_secret.is_none() => {
            say(
                &["oauth2"],
                "grant client_credentials needs client_secret; a client without a secret uses grant password or refresh_token",
            );
        }
        GrantKey::Password if keys.username.is_none() || keys.password.is_none() => {
            say(&["oauth2", "grant"], "grant password needs username and password of the identity");
        }
        GrantKey::RefreshToken if client.refresh_token.is_none() => {
            say(&["oauth2", "grant"], "grant refresh_token needs oauth2.refresh_token");
        }
        GrantKey::ClientCredentials | GrantKey::Password | GrantKey::RefreshToken => {}
    }
    if client.refresh_token.is_some() && !matches!(client.grant, GrantKey::RefreshToken) {
        say(
            &["oauth2", "refresh_token"],
            "only grant refresh_token uses it; write grant: refresh_token, or leave it out",
        );
    }
    if client.client_id.is_empty() {
        say(&["oauth2", "client_id"], "the client's id is empty; write the one that the server gave");
    }
    // RFC 6749 section 3.3.
    let is_scope = |text: &String| {
        !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    for (index, _) in client.scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
        say(
            &["oauth2", "scopes", &format!("[{index}]")],
            "is no scope; write each by itself, without spaces",
        );
    }
}

/// RFC 6749 section 3.2: over TLS, and without a fragment.
fn token_url(url: &url::Url, private: bool, say: &mut Say<'_>) {
    let at = &["oauth2", "token_url"];
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !loopback && !private {
        say(
            at,
            "credentials would be sent in clear text; use https (plain http is for loopback and for portals with private: true)",
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        say(at, "credentials do not belong in an address; use client_id and client_secret");
    }
    if url.fragment().is_some() {
        say(at, "a token endpoint has no fragment; leave out what begins with #");
    }
}

fn certificate(
    keys: CertificateKeys,
    spec: &Node,
    path: &str,
    secrets: &mut Secrets,
    faults: &mut Vec<Fault>,
) -> Option<(std::sync::Arc<str>, Secret)> {
    if secrets.policy == SecretPolicy::Leave {
        return None;
    }
    match secrets.read_file(&keys.cert) {
        Ok(pem) => Some((pem.into(), keys.key)),
        Err(message) => {
            let key = ["client".to_owned(), "cert".to_owned()];
            Reader::new(path, faults, secrets).fault(spec, &key, message);
            None
        }
    }
}
