//! What was seen.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::Bootstrapped;
use crate::formats::rdap;
use crate::model::Cause;
use crate::probe::web::facts::Hop;

/// What one run saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The domain, in A-labels: what findings are about.
    pub domain: String,
    /// What came of the bootstrap file, where it was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// What the registry said; absent where no server is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Look>,
    /// What the registrar said; absent where the registry names no server of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<Look>,
    /// Servers that asked to be left alone, by origin, and until when.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, Timestamp>,
}

/// What came of the bootstrap file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bootstrap {
    /// It was read.
    Fetched(Bootstrapped),
    /// It was not.
    Failed(Silence),
}

/// What one server said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The address asked, masked.
    pub url: String,
    /// The status of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The redirects followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Hop>,
    /// The answer.
    pub said: Said,
}

/// An answer, or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The domain is registered so.
    Registration(Box<Registration>),
    /// It is not registered (RFC 7480 section 5.3), in the server's words.
    NotFound(String),
    /// Nothing that can be used.
    Nothing(Silence),
}

/// Why nothing that can be used came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Whose fault.
    pub cause: Cause,
    /// In words.
    pub why: String,
    /// No answer came at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transport: bool,
}

/// A domain's registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When the registrar lets it expire, where that is another date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar_expires: Option<Timestamp>,
    /// Its statuses in RDAP's words.
    pub status: Vec<String>,
    /// Its registrar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<Registrar>,
    /// Its name servers, sorted; absent where the answer does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nameservers: Option<Vec<String>>,
    /// Its DS records (or keys) at the registry, sorted; absent where the answer does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ds: Option<Vec<String>>,
}

/// A registrar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registrar {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its IANA Registrar ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iana_id: Option<String>,
}

impl Registration {
    /// What matters of an answer.
    pub fn of(domain: &rdap::Domain) -> Self {
        let whole = !domain.truncated;
        let registrar = domain
            .entity("registrar")
            .map(|entity| Registrar { name: entity.name.clone(), iana_id: entity.iana_id.clone() });
        Self {
            expires: domain.date_of("expiration"),
            registrar_expires: domain.date_of("registrar expiration"),
            status: domain.status.clone(),
            registrar: registrar.filter(|registrar| *registrar != Registrar::default()),
            nameservers: domain.nameservers.clone().filter(|_| whole),
            ds: domain.secure_dns.as_ref().filter(|_| whole).and_then(ds),
        }
    }

    /// Whether it has a status, in RDAP's words.
    pub fn is(&self, status: &str) -> bool {
        self.status.iter().any(|own| own == status)
    }
}

fn ds(dnssec: &rdap::SecureDns) -> Option<Vec<String>> {
    let given = if dnssec.ds.is_empty() { &dnssec.keys } else { &dnssec.ds };
    match dnssec.delegation_signed {
        Some(false) => Some(Vec::new()),
        _ if !given.is_empty() => Some(given.clone()),
        Some(true) => Some(vec!["signed, the records are not shown".to_owned()]),
        None => None,
    }
}

impl Registrar {
    /// Whether both are the same one: by their IDs where both have one, else by name.
    pub fn same(&self, other: &Self) -> bool {
        match (&self.iana_id, &other.iana_id) {
            (Some(own), Some(other)) => own == other,
            _ => match (&self.name, &other.name) {
                (Some(own), Some(other)) => own.to_lowercase() == other.to_lowercase(),
                _ => self == other,
            },
        }
    }

    /// Whether it is the one a config names, by name or ID.
    pub fn is_called(&self, wanted: &str) -> bool {
        let wanted = wanted.trim();
        let by_name = self.name.as_ref().is_some_and(|name| name.to_lowercase() == wanted.to_lowercase());
        by_name || self.iana_id.as_deref() == Some(wanted)
    }
}

impl std::fmt::Display for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.name, &self.iana_id) {
            (Some(name), Some(id)) => write!(f, "{name} (IANA {id})"),
            (Some(name), None) => f.write_str(name),
            (None, Some(id)) => write!(f, "IANA {id}"),
            (None, None) => f.write_str("nobody"),
        }
    }
}
