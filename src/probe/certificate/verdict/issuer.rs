//! Who issued a certificate, as an organisation: its intermediate certificates come and go (Let's
//! Encrypt signs by one of several, and changes them every year), which is no change of issuer.

use crate::formats::x509::Name;
use crate::formats::x509::name::COMMON_NAME;
use crate::probe::certificate::text::one_line;

/// The longest name, in bytes.
const LONGEST: usize = 256;
const ORGANISATION: &str = "2.5.4.10";

/// Forms of companies, which authorities write in this way and that.
const FORMS: &[&str] =
    &["inc", "llc", "ltd", "limited", "gmbh", "corp", "corporation", "co", "sa", "ag", "plc"];

/// The name by which issuers are compared: the organisation, or the common name without what numbers
/// it, where there is none.
pub fn authority(issuer: &Name) -> String {
    if let Some(organisation) = issuer.values(ORGANISATION).next() {
        return of_organisation(organisation);
    }
    let common = issuer.values(COMMON_NAME).last().unwrap_or_default();
    let numbered = |word: &&str| word.chars().any(|c| c.is_ascii_digit());
    let lower = common.to_lowercase();
    let plain: Vec<&str> = words(&lower).filter(|word| !numbered(word)).collect();
    let text = if plain.is_empty() { issuer.to_string() } else { plain.join(" ") };
    one_line(&format!("CN={text}"), LONGEST)
}

/// The same of an organisation's name.
pub fn of_organisation(organisation: &str) -> String {
    let lower = organisation.to_lowercase();
    let bare: Vec<&str> = words(&lower).filter(|word| !FORMS.contains(word)).collect();
    let text = if bare.is_empty() { lower.clone() } else { bare.join(" ") };
    one_line(&format!("O={text}"), LONGEST)
}

/// How a sentence names it: the organisation, else the whole name.
pub fn spoken(issuer: &Name) -> String {
    let organisation = issuer.values(ORGANISATION).next();
    let common = issuer.values(COMMON_NAME).last();
    let text = match (organisation, common) {
        (Some(organisation), Some(common)) => format!("{organisation} ({common})"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => issuer.to_string(),
    };
    one_line(&text, LONGEST)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;
    use crate::formats::x509::Certificate;

    fn name(organisation: Option<&str>, common: &str) -> Name {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(organisation) = organisation {
            params.distinguished_name.push(DnType::OrganizationName, organisation);
        }
        params.distinguished_name.push(DnType::CommonName, common);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::parse(made.der()).unwrap().subject
    }

    #[test]
    fn another_intermediate_of_an_authority_is_the_same_issuer() {
        let same = |one: Name, other: Name| assert_eq!(authority(&one), authority(&other));
        same(name(Some("Let's Encrypt"), "R10"), name(Some("Let's Encrypt"), "E6"));
        same(
            name(Some("Google Trust Services LLC"), "GTS CA 1P5"),
            name(Some("Google Trust Services"), "WR1"),
        );
        same(name(Some("DigiCert, Inc."), "A"), name(Some("DigiCert Inc"), "B"));
        same(name(None, "Acme issuing CA 1"), name(None, "Acme issuing CA 2"));
    }

    #[test]
    fn another_organisation_is_another_issuer() {
        let differ = |one: Name, other: Name| assert_ne!(authority(&one), authority(&other));
        differ(name(Some("Let's Encrypt"), "R10"), name(Some("ZeroSSL"), "R10"));
        differ(name(None, "Acme issuing CA 1"), name(Some("Acme"), "Acme issuing CA 1"));
        differ(name(None, "R10"), name(None, "R11"));
        differ(name(Some("Inc."), "A"), name(Some("Ltd."), "A"));
    }
}
