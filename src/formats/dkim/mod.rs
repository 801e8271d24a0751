//! Key records of DKIM (RFC 6376 section 3.6.1, RFC 8301, RFC 8463).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Fault;
use super::tag_list::{Element, Tag, parts};
use super::x509::{hex, rsa_bits};

/// A key record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// What kind of key it is.
    pub kind: KeyType,
    /// The key; `None` where it was revoked.
    pub key: Option<Key>,
    /// The hashes that may be used (`h=`), as written; empty allows all.
    pub hashes: Vec<String>,
    /// What it may be used for (`s=`); empty or `*` is everything.
    pub services: Vec<String>,
    /// What else is said of it (`t=`): `y` testing, `s` no subdomains.
    pub flags: Vec<String>,
    /// A note for people (`n=`).
    pub note: Option<String>,
    /// Tags that no standard in force knows; they are ignored.
    pub unknown: Vec<String>,
}

/// What kind of key (`k=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the standards")]
pub enum KeyType {
    Rsa,
    Ed25519,
}

impl KeyType {
    /// As in `k=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// The key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// As published: a `SubjectPublicKeyInfo`, a bare `RSAPublicKey`, or the 32 octets of Ed25519.
    pub bytes: Vec<u8>,
    /// Its size in bits.
    pub bits: u32,
}

impl Key {
    /// Its SHA-256 in hexadecimal digits: the same key has the same, wherever it is published.
    pub fn fingerprint(&self) -> String {
        hex(digest::digest(&digest::SHA256, &self.bytes).as_ref())
    }
}

/// Whether a TXT record claims to be a key: it says so in `v=`, or says nothing and has a `p=`.
pub fn is_key(text: &str) -> bool {
    let mut tags = elements(text).filter_map(|element| element.tag().ok());
    match tags.next() {
        Some(Tag { name: "v", value, .. }) => value.starts_with("DKIM1"),
        Some(Tag { name: "p", .. }) => true,
        Some(_) => tags.any(|tag| tag.name == "p"),
        None => false,
    }
}

/// Nothing may stand behind the last semicolon, white space neither (RFC 6376 section 3.2).
fn elements(text: &str) -> impl Iterator<Item = Element<'_>> {
    let text = text.strip_suffix(';').unwrap_or(text);
    parts(0, text, ';').map(|(at, text)| Element { at, text })
}

impl KeyRecord {
    /// Reads a record: the strings of its TXT record put together.
    ///
    /// # Errors
    /// The first thing that is wrong; a signature by such a key does not verify (`permerror`).
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut seen: Vec<Tag<'_>> = Vec::new();
        for element in elements(text) {
            let tag = element.tag()?;
            if seen.iter().any(|before| before.name == tag.name) {
                return Err(Fault::new(tag.at, format!("{} stands there twice", tag.name)));
            }
            if tag.name == "v" && !seen.is_empty() {
                return Err(Fault::new(tag.at, "v= must come first"));
            }
            if tag.name == "v" && tag.value != "DKIM1" {
                return Err(Fault::new(
                    tag.value_at,
                    format!("{:?} is no version; write v=DKIM1;", tag.value),
                ));
            }
            seen.push(tag);
        }
        let get = |name: &str| seen.iter().find(|tag| tag.name == name);
        let list = |name: &str| -> Vec<String> {
            let values = get(name).into_iter().flat_map(|tag| parts(tag.value_at, tag.value, ':'));
            values.map(|(_, value)| value.to_owned()).collect()
        };
        let kind = match get("k").map(|tag| (tag.value, tag.value_at)) {
            None => KeyType::Rsa,
            Some((word, _)) if word.eq_ignore_ascii_case("rsa") => KeyType::Rsa,
            Some((word, _)) if word.eq_ignore_ascii_case("ed25519") => KeyType::Ed25519,
            Some((word, at)) => {
                return Err(Fault::new(
                    at,
                    format!("{word:?} is no type of keys; there are rsa and ed25519"),
                ));
            }
        };
        let Some(published) = get("p") else {
            return Err(Fault::new(
                text.len(),
                "p= is missing; without a key there is nothing to verify with",
            ));
        };
        const KNOWN: [&str; 7] = ["v", "h", "k", "n", "p", "s", "t"];
        let unknown = seen.iter().filter(|tag| !KNOWN.contains(&tag.name));
        Ok(Self {
            kind,
            key: key(kind, published)?,
            hashes: list("h"),
            services: list("s"),
            flags: list("t"),
            note: get("n").map(|tag| tag.value.to_owned()),
            unknown: unknown.map(|tag| tag.name.to_owned()).collect(),
        })
    }

    /// Whether signatures of mail may be made with it.
    pub fn is_for_mail(&self) -> bool {
        self.services.is_empty() || self.services.iter().any(|one| one == "*" || one == "email")
    }

    /// Whether SHA-256 may be used, the only hash that verifies (RFC 8301 section 3.1).
    pub fn allows_sha256(&self) -> bool {
        self.hashes.is_empty() || self.hashes.iter().any(|one| one.eq_ignore_ascii_case("sha256"))
    }

    /// Whether signatures of mail by this key may verify.
    ///
    /// # Errors
    /// Why they must not: it was revoked, has fewer than 1024 bits (RFC 8301 section 3.2), is not for mail,
    /// or allows no hash but SHA-1.
    pub fn may_verify(&self) -> Result<(), String> {
        match &self.key {
            None => Err("was revoked".to_owned()),
            Some(key) if self.kind == KeyType::Rsa && key.bits < 1024 => {
                Err(format!("has {} bits, which must not verify", key.bits))
            }
            Some(_) if !self.is_for_mail() => Err("is not for mail".to_owned()),
            Some(_) if !self.allows_sha256() => Err("allows SHA-1 alone".to_owned()),
            Some(_) => Ok(()),
        }
    }

    /// Whether it is only being tried (`t=y`).
    pub fn is_tested(&self) -> bool {
        self.flags.iter().any(|flag| flag == "y")
    }
}

fn key(kind: KeyType, tag: &Tag<'_>) -> Result<Option<Key>, Fault> {
    let folded: String = tag.value.chars().filter(|char| !char.is_ascii_whitespace()).collect();
    if folded.is_empty() {
        return Ok(None);
    }
    let bytes = STANDARD
        .decode(&folded)
        .map_err(|why| Fault::new(tag.value_at, format!("the key in p= is no base64: {why}")))?;
    let bits = match kind {
        KeyType::Ed25519 if bytes.len() == 32 => 256,
        KeyType::Ed25519 => {
            let why = format!("a key of Ed25519 has 32 octets, this one {}", bytes.len());
            return Err(Fault::new(tag.value_at, why));
        }
        KeyType::Rsa => rsa_bits(&bytes)
            .map_err(|why| Fault::new(tag.value_at, format!("the key in p= cannot be read: {why}")))?,
    };
    Ok(Some(Key { bytes, bits }))
}

#[cfg(test)]
mod tests;
