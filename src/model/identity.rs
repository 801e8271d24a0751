//! Who a check acts as: the credentials that a portal gave to its monitor.

use std::sync::Arc;

use super::Secret;

/// One identity of a portal, its secrets resolved.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name in the config.
    pub name: String,
    /// The name that signs in.
    pub username: Option<String>,
    /// The password that signs in.
    pub password: Option<Secret>,
    /// The shared secret of one-time codes (RFC 6238) in base32, as written; [`totp_key`] reads it.
    pub totp: Option<Secret>,
    /// A bearer token (RFC 6750) that is valid as it stands.
    pub token: Option<Secret>,
    /// Where and how a bearer token is asked for.
    pub oauth2: Option<OAuth2>,
    /// The client certificate chain and its key, PEM.
    pub client: Option<(Arc<str>, Secret)>,
}

/// An OAuth2 client (RFC 6749).
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// The token endpoint (section 3.2).
    pub token_url: url::Url,
    /// The client's id.
    pub client_id: String,
    /// The client's secret; public clients have none (section 2.1).
    pub client_secret: Option<Secret>,
    /// The scopes asked for (section 3.3); none leaves them to the server.
    pub scopes: Vec<String>,
    /// How the token is asked for.
    pub grant: Grant,
    /// What [`Grant::RefreshToken`] shows.
    pub refresh_token: Option<Secret>,
}

/// What a client shows to get an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Its own credentials (RFC 6749 section 4.4).
    ClientCredentials,
    /// A user's name and password (section 4.3).
    Password,
    /// A refresh token (section 6).
    RefreshToken,
}

impl Identity {
    /// Every secret of it, in every form in which it may come back: the secret of one-time codes also
    /// as portals keep it, without spaces and in capitals.
    pub fn secrets(&self) -> Vec<Secret> {
        let oauth2 = self.oauth2.as_ref();
        let totp = self.totp.as_ref();
        let written = [
            self.password.as_ref(),
            totp,
            self.token.as_ref(),
            oauth2.and_then(|client| client.client_secret.as_ref()),
            oauth2.and_then(|client| client.refresh_token.as_ref()),
            self.client.as_ref().map(|(_, key)| key),
        ];
        let plain = totp.map(|totp| Secret::new(bare_base32(totp.expose()), totp.shown()));
        written.into_iter().flatten().cloned().chain(plain).collect()
    }
}

/// Base32 without what people add or change for reading: spaces, hyphens, lower case, padding.
fn bare_base32(text: &str) -> String {
    let bare = text.trim_end_matches(|c: char| c == '=' || c.is_whitespace());
    bare.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()).collect()
}

/// The key that a base32 secret (RFC 4648 section 6) stands for. Spaces, hyphens, lower case and missing
/// padding are accepted; `None` for anything else, and where no whole byte is left.
pub fn totp_key(secret: &str) -> Option<Vec<u8>> {
    let bare = bare_base32(secret);
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut key = Vec::with_capacity(bare.len() * 5 / 8);
    for c in bare.bytes() {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        bits = ((bits << 5) | u32::from(digit)) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            key.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    // What is left is padding: fewer bits than a digit has. More is a digit that belongs to no byte.
    (held < 5 && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_for_one_time_codes_is_read_as_people_copy_it() {
        for text in ["MZXW6YTB", "mzxw 6ytb", "MZXW-6YTB", " MZXW\t6YTB "] {
            assert_eq!(totp_key(text).unwrap(), b"fooba", "{text}");
        }
        for (text, key) in [("MY======", &b"f"[..]), ("MY", b"f"), ("MZXQ====", b"fo"), ("MZXW6YQ", b"foob")]
        {
            assert_eq!(totp_key(text).unwrap(), key, "{text}");
        }
    }

    #[test]
    fn what_is_no_base32_gives_no_key() {
        for text in ["", "=", "M", "MZXW6YTB1", "MZ=XW6YTB", "MZX", "passw0rd", "-", "ÄÖ"] {
            assert!(totp_key(text).is_none(), "{text}");
        }
    }
}
