//! By which domains public authorities go in CAA records, by the organisation in the names of their
//! certificates: what they say in their certification practice statements.

/// Words of the organisation or of the name, in lower case, and the domains.
const AUTHORITIES: &[(&str, &[&str])] = &[
    ("let's encrypt", &["letsencrypt.org"]),
    ("internet security research group", &["letsencrypt.org"]),
    ("google trust services", &["pki.goog", "google.com"]),
    ("amazon", &["amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com", "aws.amazon.com"]),
    ("starfield", &["starfieldtech.com", "godaddy.com", "starfield.com"]),
    ("godaddy", &["godaddy.com", "starfieldtech.com"]),
    (
        "digicert",
        &[
            "digicert.com",
            "digicert.ne.jp",
            "www.digicert.com",
            "geotrust.com",
            "rapidssl.com",
            "symantec.com",
            "thawte.com",
            "quovadisglobal.com",
        ],
    ),
    ("geotrust", &["digicert.com", "geotrust.com"]),
    ("rapidssl", &["digicert.com", "rapidssl.com"]),
    ("thawte", &["digicert.com", "thawte.com"]),
    ("quovadis", &["quovadisglobal.com", "digicert.com"]),
    ("sectigo", &["sectigo.com", "comodoca.com", "usertrust.com", "trust-provider.com", "entrust.net"]),
    ("comodo", &["sectigo.com", "comodoca.com", "usertrust.com", "trust-provider.com", "comodo.com"]),
    ("usertrust", &["sectigo.com", "comodoca.com", "usertrust.com", "trust-provider.com"]),
    ("zerossl", &["sectigo.com", "zerossl.com"]),
    ("gandi", &["sectigo.com", "gandi.net"]),
    ("entrust", &["entrust.net", "affirmtrust.com", "sectigo.com"]),
    ("globalsign", &["globalsign.com"]),
    ("gts", &["pki.goog"]),
    ("identrust", &["identrust.com"]),
    ("buypass", &["buypass.com", "buypass.no"]),
    ("ssl corp", &["ssl.com"]),
    ("ssl.com", &["ssl.com"]),
    ("actalis", &["actalis.it"]),
    ("asseco", &["certum.pl", "certum.eu", "yandex.ru"]),
    ("certum", &["certum.pl", "certum.eu"]),
    ("unizeto", &["certum.pl", "certum.eu"]),
    ("hellenic academic", &["harica.gr"]),
    ("harica", &["harica.gr"]),
    ("swisssign", &["swisssign.com", "swisssign.net", "swissign.com"]),
    ("t-systems", &["telesec.de"]),
    ("deutsche telekom", &["telesec.de", "dtrust.de"]),
    ("d-trust", &["d-trust.net", "dtrust.de", "d-trust.de"]),
    ("microsoft", &["microsoft.com"]),
    ("microsec", &["e-szigno.hu"]),
    ("netlock", &["netlock.hu", "netlock.net", "netlock.eu"]),
    ("taiwan-ca", &["twca.com.tw"]),
    ("chunghwa", &["cht.com.tw", "tls.hinet.net", "pki.hinet.net"]),
    ("trustasia", &["trustasia.com"]),
    ("secom", &["secomtrust.net"]),
    ("cybertrust japan", &["cybertrust.co.jp", "cybertrust.ne.jp"]),
    ("certigna", &["certigna.fr"]),
    ("dhimyotis", &["certigna.fr"]),
    ("camerfirma", &["camerfirma.com"]),
    ("firmaprofesional", &["firmaprofesional.com"]),
    ("accv", &["accv.es"]),
    ("izenpe", &["izenpe.com", "izenpe.eus"]),
    ("disig", &["disig.sk"]),
    ("emudhra", &["emsign.com"]),
    ("tubitak", &["kamusm.gov.tr"]),
    ("certsign", &["certsign.ro"]),
    ("ovh", &["sectigo.com"]),
    ("cloudflare", &["digicert.com", "cloudflare.com"]),
];

/// The domains of the authority that these names (organisations and common names of the issuer and of
/// those above it, the nearest first) speak of; `None` if it is not known here.
pub fn domains<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<&'static [&'static str]> {
    let of = |name: &str| {
        let name = name.to_lowercase().replace('\u{2019}', "'");
        AUTHORITIES.iter().find(|(words, _)| starts_a_word(&name, words)).map(|(_, domains)| *domains)
    };
    names.into_iter().find_map(of)
}

/// Whether the words stand in the name and begin where a word begins.
fn starts_a_word(name: &str, words: &str) -> bool {
    let begins = |at: usize| !name.get(..at).is_some_and(|before| before.ends_with(char::is_alphanumeric));
    let ends = |at: usize| !name.get(at..).is_some_and(|after| after.starts_with(char::is_alphanumeric));
    name.match_indices(words).any(|(at, found)| begins(at) && ends(at + found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_known_by_its_organisation_and_a_stranger_is_not() {
        for (name, expected) in [
            ("Let's Encrypt", Some("letsencrypt.org")),
            ("Let\u{2019}s Encrypt", Some("letsencrypt.org")),
            ("Google Trust Services LLC", Some("pki.goog")),
            ("DigiCert Inc", Some("digicert.com")),
            ("SSL Corp", Some("ssl.com")),
            ("Sectigo Limited", Some("sectigo.com")),
            ("T-Systems International GmbH", Some("telesec.de")),
            ("Acme Internal", None),
            ("Amazonia Bank", None),
        ] {
            assert_eq!(domains([name]).map(|domains| domains[0]), expected, "{name}");
        }
        assert_eq!(domains(["R11", "Internet Security Research Group"]), Some(&["letsencrypt.org"][..]));
    }
}
