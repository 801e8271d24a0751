//! BIMI (draft-brand-indicators-for-message-identification): which logo belongs to a domain.

pub mod svg;

use super::Fault;
use super::tag_list::{Tag, elements, parts};

/// The record at `default._bimi`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// Where the logo is (`l=`): `https:`; `None` where the tag is empty or missing.
    pub logo: Option<String>,
    /// The tag `l=` is there.
    pub names_logo: bool,
    /// Where the evidence for it is (`a=`): `https:`.
    pub evidence: Option<String>,
    /// Whose picture is preferred (`avp=`): `brand` or `personal`.
    pub avatar: Option<String>,
    /// Local parts that have a selector of their own (`lps=`), in lower case.
    pub local_parts: Vec<String>,
}

/// Whether a TXT record is one of BIMI.
pub fn is_bimi(text: &str) -> bool {
    let first = elements(text).next().and_then(|element| element.tag().ok());
    first.is_some_and(|tag| tag.at == 0 && tag.name == "v" && tag.value.starts_with("BIMI1"))
}

impl Record {
    /// Reads a record: the strings of its TXT record put together.
    ///
    /// # Errors
    /// The first thing that is wrong; receivers show no logo then.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if !is_bimi(text) {
            return Err(Fault::new(0, "does not begin with v=BIMI1;"));
        }
        let mut record = Self::default();
        let mut names: Vec<&str> = Vec::new();
        for element in elements(text) {
            let tag = element.tag()?;
            if names.contains(&tag.name) {
                return Err(Fault::new(tag.at, format!("{} stands there twice", tag.name)));
            }
            record.tag(tag)?;
            names.push(tag.name);
        }
        Ok(record)
    }

    /// Whether the domain says that it shows no logo.
    pub const fn declines(&self) -> bool {
        self.names_logo && self.logo.is_none() && self.evidence.is_none()
    }

    fn tag(&mut self, tag: Tag<'_>) -> Result<(), Fault> {
        match tag.name {
            "v" if tag.value == "BIMI1" => {}
            "v" => {
                return Err(Fault::new(
                    tag.value_at,
                    format!("{:?} is not BIMI1, then a semicolon", tag.value),
                ));
            }
            "l" => {
                self.names_logo = true;
                self.logo = https(tag)?;
            }
            "a" => self.evidence = https(tag)?,
            "avp" => match tag.value {
                "brand" | "personal" => self.avatar = Some(tag.value.to_owned()),
                other => {
                    return Err(Fault::new(tag.value_at, format!("avp={other:?} is not brand or personal")));
                }
            },
            "lps" => self.local_parts = local_parts(tag)?,
            other => return Err(Fault::new(tag.at, format!("{other:?} is no tag of BIMI"))),
        }
        Ok(())
    }
}

fn https(tag: Tag<'_>) -> Result<Option<String>, Fault> {
    if tag.value.is_empty() {
        return Ok(None);
    }
    let url = url::Url::parse(tag.value).ok().filter(|url| url.scheme() == "https" && url.has_host());
    match url {
        Some(_) => Ok(Some(tag.value.to_owned())),
        None => Err(Fault::new(tag.value_at, format!("{}={:?} is no https:// address", tag.name, tag.value))),
    }
}

fn local_parts(tag: Tag<'_>) -> Result<Vec<String>, Fault> {
    let mut all = Vec::new();
    for (at, part) in parts(tag.value_at, tag.value, ',') {
        let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if part.is_empty() || !plain {
            return Err(Fault::new(at, format!("{part:?} may hold letters, digits and hyphens alone")));
        }
        all.push(part.to_ascii_lowercase());
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
