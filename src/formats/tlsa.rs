//! TLSA: which certificates a server may have, as its zone says (RFC 6698, RFC 7671). Whether the
//! records are to be believed (DNSSEC) is for the caller to find out first.

use aws_lc_rs::digest;

use super::dns::{BadName, Name, Tlsa};
use super::x509::Certificate;

/// What one record says of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The certificate at this position matches; 0 is the server's own.
    At(usize),
    /// None of the certificates that the record is about matches.
    Nowhere,
    /// The record means nothing: why. Clients pass it over (RFC 7671 section 10.1.1).
    Unusable(&'static str),
}

/// The name under which the records of a server are (RFC 6698 section 3), for TCP.
///
/// # Errors
/// The name becomes too long.
pub fn name_of(host: &Name, port: u16) -> Result<Name, BadName> {
    host.child(&format!("_{port}._tcp"))
}

/// Matches a record with a chain, the server's own certificate first. Usages 1 and 3 are about that
/// one alone, 0 and 2 about those above it; so for them the chain has to hold the root that the path
/// ends at, though the server need not send it. Of the two usages that also demand a valid path
/// ([`Tlsa::wants_pkix`]), only the match is judged here.
pub fn matches(record: &Tlsa, chain: &[Certificate]) -> Match {
    if let Some(why) = unusable(record) {
        return Match::Unusable(why);
    }
    let own = record.usage == 1 || record.usage == 3;
    let candidates = chain.iter().enumerate().filter(|(position, _)| own == (*position == 0));
    let matching = |(_, certificate): &(usize, &Certificate)| selected(record, certificate) == record.data;
    candidates.into_iter().find(matching).map_or(Match::Nowhere, |(position, _)| Match::At(position))
}

fn selected(record: &Tlsa, certificate: &Certificate) -> Vec<u8> {
    let bytes = if record.selector == 0 { certificate.der() } else { certificate.spki() };
    match record.matching {
        0 => bytes.to_vec(),
        1 => digest::digest(&digest::SHA256, bytes).as_ref().to_vec(),
        _ => digest::digest(&digest::SHA512, bytes).as_ref().to_vec(),
    }
}

fn unusable(record: &Tlsa) -> Option<&'static str> {
    match (record.usage, record.selector, record.matching, record.data.len()) {
        (4.., ..) => Some("its usage is unknown"),
        (_, 2.., ..) => Some("its selector is unknown"),
        (_, _, 3.., _) => Some("its matching type is unknown"),
        (_, _, 0, 0) => Some("it holds no data"),
        (_, _, 1, length) if length != 32 => Some("its SHA-256 digest is not 32 bytes long"),
        (_, _, 2, length) if length != 64 => Some("its SHA-512 digest is not 64 bytes long"),
        _ => None,
    }
}

impl Tlsa {
    /// The usage's acronym (RFC 7218), `unknown` for one without.
    pub const fn usage_name(&self) -> &'static str {
        match self.usage {
            0 => "PKIX-TA",
            1 => "PKIX-EE",
            2 => "DANE-TA",
            3 => "DANE-EE",
            255 => "PrivCert",
            _ => "unknown",
        }
    }

    /// Whether the chain has to be valid by the usual roots beside the match: usages 0 and 1. Mail
    /// servers that send do not check that and should pass such records over (RFC 7672 section 3.1.3).
    pub const fn wants_pkix(&self) -> bool {
        self.usage < 2
    }

    /// Whether it says for itself which certificate is right, so that neither names nor dates of it
    /// matter: usage 3 (RFC 7671 section 5.1).
    pub const fn ignores_names_and_dates(&self) -> bool {
        self.usage == 3
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// A server's certificate and its root.
    fn chain() -> Vec<Certificate> {
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, "root");
        let root_der = root.self_signed(&root_key).unwrap();
        let issuer = Issuer::new(root, root_key);
        let leaf = CertificateParams::new(["mail.example".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        [leaf.der(), root_der.der()].iter().map(|der| Certificate::parse(der).unwrap()).collect()
    }

    fn of(certificate: &Certificate, usage: u8, selector: u8, matching: u8) -> Tlsa {
        let mut record = Tlsa { usage, selector, matching, data: Vec::new() };
        record.data = selected(&record, certificate);
        record
    }

    #[test]
    fn each_usage_is_about_its_own_certificates() {
        let chain = chain();
        for selector in [0, 1] {
            for matching in [0, 1, 2] {
                for usage in [0, 2] {
                    assert_eq!(matches(&of(&chain[1], usage, selector, matching), &chain), Match::At(1));
                    assert_eq!(matches(&of(&chain[0], usage, selector, matching), &chain), Match::Nowhere);
                }
                for usage in [1, 3] {
                    assert_eq!(matches(&of(&chain[0], usage, selector, matching), &chain), Match::At(0));
                    assert_eq!(matches(&of(&chain[1], usage, selector, matching), &chain), Match::Nowhere);
                }
            }
        }
        assert_eq!(matches(&of(&chain[0], 3, 1, 1), &[]), Match::Nowhere);
    }

    #[test]
    fn digests_are_of_what_the_record_selects() {
        let chain = chain();
        let key = of(&chain[0], 3, 1, 1);
        assert_eq!(crate::formats::x509::hex(&key.data), chain[0].spki_sha256);
        let whole = of(&chain[0], 3, 0, 1);
        assert_eq!(crate::formats::x509::hex(&whole.data), chain[0].sha256);
        assert_eq!(matches(&Tlsa { selector: 0, ..key }, &chain), Match::Nowhere);
        assert_eq!(of(&chain[0], 3, 0, 0).data, chain[0].der());
        assert_eq!(of(&chain[0], 3, 1, 2).data.len(), 64);
    }

    #[test]
    fn a_renewed_certificate_with_another_key_matches_no_more() {
        let (before, after) = (chain(), chain());
        assert_eq!(matches(&of(&before[0], 3, 1, 1), &after), Match::Nowhere);
    }

    #[test]
    fn records_that_mean_nothing_are_told_from_those_that_do_not_match() {
        let chain = chain();
        let good = of(&chain[0], 3, 1, 1);
        for wrong in [
            Tlsa { usage: 4, ..good.clone() },
            Tlsa { usage: 255, ..good.clone() },
            Tlsa { selector: 2, ..good.clone() },
            Tlsa { matching: 3, ..good.clone() },
            Tlsa { matching: 2, ..good.clone() },
            Tlsa { matching: 0, data: Vec::new(), ..good.clone() },
            Tlsa { data: vec![0; 31], ..good.clone() },
        ] {
            assert!(matches!(matches(&wrong, &chain), Match::Unusable(_)), "{wrong:?}");
        }
    }

    #[test]
    fn usages_are_named_and_known_for_what_they_want() {
        let chain = chain();
        let named = |usage| {
            let record = of(&chain[0], usage, 1, 1);
            (record.usage_name(), record.wants_pkix(), record.ignores_names_and_dates())
        };
        assert_eq!(named(0), ("PKIX-TA", true, false));
        assert_eq!(named(1), ("PKIX-EE", true, false));
        assert_eq!(named(2), ("DANE-TA", false, false));
        assert_eq!(named(3), ("DANE-EE", false, true));
        let host: Name = "mail.example".parse().unwrap();
        assert_eq!(name_of(&host, 25).unwrap().without_dot(), "_25._tcp.mail.example");
    }
}
