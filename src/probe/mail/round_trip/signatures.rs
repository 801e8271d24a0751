//! Signatures of DKIM (RFC 6376). The library verifies; keys come from whoever calls, so that it asks
//! nobody.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{
    AuthenticatedMessage, DkimResult, DnsError, Error, MessageAuthenticator, Parameters, ResolverCache, Txt,
};
use serde::{Deserialize, Serialize};

use crate::formats::dkim::{KeyRecord, is_key};

/// A signature, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Who signs (`d=`), in lower case.
    pub domain: String,
    /// The selector (`s=`).
    pub selector: String,
    /// What came of it.
    pub result: SignatureResult,
    /// Why it does not hold.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What came of a signature, as in `Authentication-Results` (RFC 8601 section 2.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum SignatureResult {
    Pass,
    Fail,
    PermError,
    TempError,
}

/// The names of the keys that the signatures of a message need: `selector._domainkey.domain`.
pub fn keys(raw: &[u8]) -> Vec<String> {
    let Some(message) = AuthenticatedMessage::parse(raw) else { return Vec::new() };
    let of = |signature: &mail_auth::dkim::Signature| key_name(&signature.s, &signature.d);
    message.dkim_headers.iter().map(|header| of(&header.header)).collect()
}

fn key_name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}").to_ascii_lowercase()
}

/// Verifies every signature. `published` says what TXT records a key's name has, or why they are not
/// known.
pub fn verify(raw: &[u8], published: &dyn Fn(&str) -> Result<Vec<String>, String>) -> Vec<Signature> {
    let Some(message) = AuthenticatedMessage::parse(raw) else { return Vec::new() };
    let mut unusable: HashMap<String, (SignatureResult, String)> = HashMap::new();
    let mut known = Keys::default();
    for header in &message.dkim_headers {
        let name = key_name(&header.header.s, &header.header.d);
        match key(&name, published) {
            Ok(key) => {
                known.0.insert(format!("{name}.").into(), Txt::DomainKey(Arc::new(key)));
            }
            Err(why) => {
                unusable.insert(name, why);
            }
        }
    }
    let Ok(authenticator) = MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default())
    else {
        return Vec::new();
    };
    let parameters = Parameters::new(&message).with_txt_cache(&known);
    // Every key is there, so nothing is waited for.
    let outputs = authenticator.verify_dkim(parameters).now_or_never().unwrap_or_default();
    let of = |output: &mail_auth::DkimOutput<'_>| {
        let signature = output.signature()?;
        let (result, why) = match (unusable.get(&key_name(&signature.s, &signature.d)), output.result()) {
            (Some((result, why)), _) => (*result, why.clone()),
            (None, DkimResult::Pass) => (SignatureResult::Pass, String::new()),
            (None, DkimResult::TempError(why)) => (SignatureResult::TempError, why.to_string()),
            (None, DkimResult::PermError(why)) => (SignatureResult::PermError, why.to_string()),
            (None, DkimResult::Neutral(why) | DkimResult::Fail(why)) => {
                (SignatureResult::Fail, why.to_string())
            }
            (None, DkimResult::None) => (SignatureResult::Fail, "it is not verified".to_owned()),
        };
        let (domain, selector) = (signature.d.to_ascii_lowercase(), signature.s.clone());
        Some(Signature { domain, selector, result, why })
    };
    outputs.iter().filter_map(of).collect()
}

/// The key at a name, as receivers choose it: one record, for mail, not revoked, long enough.
fn key(
    name: &str,
    published: &dyn Fn(&str) -> Result<Vec<String>, String>,
) -> Result<DomainKey, (SignatureResult, String)> {
    let permanent = |why: String| (SignatureResult::PermError, why);
    let texts = published(name).map_err(|why| (SignatureResult::TempError, why))?;
    let own: Vec<&String> = texts.iter().filter(|text| is_key(text)).collect();
    let text = match own.as_slice() {
        [one] => one,
        [] => return Err(permanent(format!("there is no key at {name}"))),
        several => return Err(permanent(format!("there are {} keys at {name}", several.len()))),
    };
    let record = KeyRecord::parse(text).map_err(|fault| permanent(format!("the key at {name}: {fault}")))?;
    record.may_verify().map_err(|why| permanent(format!("the key at {name} {why}")))?;
    DomainKey::parse(text.as_bytes()).map_err(|why| permanent(format!("the key at {name}: {why}")))
}

/// The keys by their names with a dot at the end; others are told to be missing, so that the library
/// never asks the network.
#[derive(Default)]
struct Keys(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Keys {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let missing = || Txt::Error(Error::Dns(DnsError::InvalidRecordType));
        Some(self.0.get(name).cloned().unwrap_or_else(missing))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}
