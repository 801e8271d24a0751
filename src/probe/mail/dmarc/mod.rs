//! DMARC as receivers apply it (RFC 9989): which record holds for a domain, whether what was
//! authenticated is near enough, and who may get reports.

pub mod align;
pub mod evaluate;
pub mod walk;

#[cfg(test)]
mod tests;

use super::facts::Looked;
use crate::formats::dmarc::{Record, is_dmarc};

/// What the TXT records at one `_dmarc` name come to (section 4.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// No record of DMARC.
    Nothing,
    /// The one record, as written and as read.
    One(String, Box<Record>),
    /// So many: all are discarded.
    Several(usize),
    /// It could not be asked: why.
    Failed(String),
}

impl Choice {
    /// Chooses among the TXT records of a name.
    pub fn among<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut own = texts.into_iter().filter(|text| is_dmarc(text));
        let Some(first) = own.next() else { return Self::Nothing };
        match own.count() {
            0 => match Record::parse(first) {
                Some(record) => Self::One(first.to_owned(), Box::new(record)),
                None => Self::Nothing,
            },
            more => Self::Several(more + 1),
        }
    }
}

impl Choice {
    /// What of the names that were asked for is at a domain.
    pub fn at<'a>(looked: impl IntoIterator<Item = &'a Looked>, domain: &str) -> Self {
        let name = name_of(domain);
        let found = looked.into_iter().find(|one| one.name.eq_ignore_ascii_case(&name));
        match found.map(|looked| (looked.why(), looked)) {
            None => Self::Nothing,
            Some((Some(why), _)) => Self::Failed(why),
            Some((None, looked)) => Self::among(looked.values.iter().map(String::as_str)),
        }
    }
}

/// The name under which the record of a domain is.
pub fn name_of(domain: &str) -> String {
    format!("_dmarc.{domain}")
}

/// The name under which a destination says that it takes reports about a domain (RFC 9990 section 3).
pub fn authorization_of(domain: &str, destination: &str) -> String {
    format!("{domain}._report._dmarc.{destination}")
}

/// Whether the TXT records at [`authorization_of`] say so.
pub fn authorizes<'a>(texts: impl IntoIterator<Item = &'a str>) -> bool {
    texts.into_iter().any(is_dmarc)
}
