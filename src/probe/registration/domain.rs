//! The domain a check watches: as it was registered, not a name below it.

use std::borrow::Cow;

use psl::Type;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer};

/// A registered domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// In letters, digits and hyphens (A-labels), lower-case, without a final dot.
    pub ascii: Box<str>,
    /// As the config has it.
    pub shown: Box<str>,
    /// It was registered below a suffix of somebody else than a registry, such as `uk.com`.
    pub private_suffix: bool,
}

impl Domain {
    /// Reads a name.
    ///
    /// # Errors
    /// It is no host name, a public suffix, or a name below a registered domain, and the way out.
    pub fn new(text: &str) -> Result<Self, String> {
        let shown = text.trim().trim_end_matches('.');
        let ascii = ascii(shown).ok_or_else(|| {
            format!("{text:?} is no domain; write the registered one, such as acme.example")
        })?;
        let registered = registered(&ascii).ok_or_else(|| {
            format!("{text:?} is a public suffix, below which domains are registered; write one of those, such as acme.{ascii}")
        })?;
        let by_whole_list = psl::domain_str(&ascii);
        let private_suffix = registered != ascii && by_whole_list == Some(&*ascii);
        if registered != ascii && !private_suffix {
            return Err(format!(
                "{text:?} is not registered itself but stands below {registered}; write that"
            ));
        }
        Ok(Self { shown: shown.into(), private_suffix, ascii: ascii.into() })
    }
}

/// A name in A-labels (RFC 5890); none for an address and for what no host can be called.
pub fn ascii(text: &str) -> Option<String> {
    // The URL standard decodes percent signs in hosts.
    if text.is_empty() || text.contains('%') {
        return None;
    }
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) if is_host_name(&name) => Some(name),
        _ => None,
    }
}

/// Labels of 1 to 63 letters, digits and hyphens, 253 in all (RFC 1123 section 2.1).
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// The part of a name that a registry has registered: one label more than the registry's suffix. The
/// suffixes that others offer below a domain of their own (`github.io`) are such domains.
fn registered(name: &str) -> Option<String> {
    let mut name = name;
    loop {
        let suffix = psl::suffix_str(name)?;
        if psl::suffix(name.as_bytes())?.typ() != Some(Type::Private) {
            return psl::domain_str(name).map(str::to_owned);
        }
        let (_, above) = suffix.split_once('.')?;
        let ends_there = psl::suffix_str(above) == Some(above)
            && psl::suffix(above.as_bytes()).and_then(|above| above.typ()) != Some(Type::Private);
        if ends_there {
            return Some(suffix.to_owned());
        }
        name = above;
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Domain {
    fn schema_name() -> Cow<'static, str> {
        "RegisteredDomain".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A registered domain, such as acme.example; not a name below it.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_domain_is_taken_as_it_is() {
        for (text, ascii) in [
            ("acme.example", "acme.example"),
            ("ACME.Co.UK.", "acme.co.uk"),
            ("münchen.de", "xn--mnchen-3ya.de"),
            ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
            ("github.io", "github.io"),
            ("amazonaws.com", "amazonaws.com"),
            ("uk.com", "uk.com"),
        ] {
            let domain = Domain::new(text).unwrap();
            assert_eq!((&*domain.ascii, domain.private_suffix), (ascii, false), "{text}");
        }
        assert_eq!(&*Domain::new("münchen.de").unwrap().shown, "münchen.de");
    }

    #[test]
    fn a_suffix_or_a_name_below_a_domain_is_refused_with_the_way_out() {
        for (text, way) in [
            ("portal.acme.co.uk", "write that"),
            ("www.münchen.de", "stands below xn--mnchen-3ya.de"),
            ("a.b.github.io", "stands below github.io"),
            ("s3.amazonaws.com", "stands below amazonaws.com"),
            ("com", "is a public suffix"),
            ("co.uk", "such as acme.co.uk"),
            ("", "is no domain"),
            ("192.0.2.1", "is no domain"),
            ("[2001:db8::1]", "is no domain"),
            ("acme_portal.com", "is no domain"),
            ("acme%2ecom", "is no domain"),
            ("a b.com", "is no domain"),
            ("-a.com", "is no domain"),
            ("https://acme.com/", "is no domain"),
        ] {
            let why = Domain::new(text).unwrap_err();
            assert!(why.contains(way), "{text}: {why}");
        }
    }

    #[test]
    fn a_domain_below_somebody_elses_suffix_is_marked() {
        let domain = Domain::new("acme.uk.com").unwrap();
        assert!(domain.private_suffix, "{domain:?}");
    }
}
