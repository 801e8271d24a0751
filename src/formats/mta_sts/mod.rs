//! MTA-STS (RFC 8461): the record that says there is a policy, and the policy.

mod policy;

pub use self::policy::{Mode, Policy, Remark, matches};
use super::Fault;
use super::tag_list::{elements, extension};

/// The record at `_mta-sts` (section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which policy there is; another policy has another id.
    pub id: String,
    /// Fields of later versions.
    pub extensions: Vec<(String, String)>,
}

/// The version of records and policies.
const VERSION: &str = "STSv1";

/// Whether a TXT record is one of MTA-STS: it begins with `v=STSv1`, and that ends there.
pub fn is_mta_sts(text: &str) -> bool {
    let rest = text.strip_prefix("v=STSv1");
    rest.is_some_and(|rest| rest.is_empty() || rest.trim_start_matches([' ', '\t']).starts_with(';'))
}

impl Record {
    /// Reads a record: the strings of its TXT record put together.
    ///
    /// # Errors
    /// The first thing that is wrong; senders take such a record for none.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if !is_mta_sts(text) {
            return Err(Fault::new(0, "does not begin with v=STSv1;"));
        }
        let (mut id, mut extensions) = (None, Vec::new());
        for element in elements(text).skip(1) {
            let tag = element.tag()?;
            if tag.name != "id" {
                extensions.push(extension(tag)?);
                continue;
            }
            if id.is_some() {
                return Err(Fault::new(tag.at, "id stands there twice"));
            }
            let plain = tag.value.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if tag.value.is_empty() || tag.value.len() > 32 || !plain {
                let why = format!("id={:?} is not 1 to 32 letters and digits", tag.value);
                return Err(Fault::new(tag.value_at, why));
            }
            id = Some(tag.value.to_owned());
        }
        let id =
            id.ok_or_else(|| Fault::new(text.len(), "id is missing; write v=STSv1; id=20260101T000000;"))?;
        Ok(Self { id, extensions })
    }
}

#[cfg(test)]
mod tests;
