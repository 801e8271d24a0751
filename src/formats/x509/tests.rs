//! Certificates made here, whole and broken.

use proptest::prelude::*;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, SanType};

use super::*;

fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["portal.example".to_owned()]).unwrap();
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn what_a_certificate_says_is_read() {
    let der = made(|params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Acme, Inc");
        params.distinguished_name.push(DnType::CommonName, "portal.example");
        params.subject_alt_names.push(SanType::IpAddress("192.0.2.7".parse().unwrap()));
        params.not_before = rcgen::date_time_ymd(1949, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]));
    });
    let read = Certificate::parse(&der).unwrap();
    assert_eq!(read.subject.to_string(), "CN=portal.example,O=Acme\\, Inc");
    assert!(read.self_issued);
    assert_eq!(
        read.sans().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["portal.example", "192.0.2.7"]
    );
    assert_eq!(read.not_before.to_string(), "1949-01-01T00:00:00Z");
    assert_eq!(read.not_after.to_string(), "9999-12-31T00:00:00Z");
    assert_eq!(read.key.words(), "ECDSA P-256");
    assert_eq!(read.key.bits, Some(256));
    assert_eq!(read.signature.hash, Some(Hash::Sha256));
    assert_eq!(read.version, 3);
    assert!(read.extensions.must_staple);
    assert_eq!(read.extensions.eku.as_deref(), Some(&["1.3.6.1.5.5.7.3.1".to_owned()][..]));
    assert_eq!(read.unknown_critical().count(), 0);
    let json = serde_json::to_value(&read).unwrap();
    assert_eq!(json["subject"], "CN=portal.example,O=Acme\\, Inc");
    assert_eq!(json["sans"][1], "192.0.2.7");
}

#[test]
fn a_large_certificate_is_read_and_a_huge_one_refused() {
    let der = made(|params| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0; 64 << 10]));
    });
    assert!(der.len() > 64 << 10);
    assert!(Certificate::parse(&der).is_ok());
    assert!(Certificate::parse(&vec![0x30; LONGEST + 1]).unwrap_err().to_string().contains("1 MiB"));
}

#[test]
fn bytes_after_the_end_are_refused() {
    let mut der = made(|_| {});
    der.push(0);
    assert_eq!(Certificate::parse(&der).unwrap_err().to_string(), "certificate: bytes follow its end");
}

#[test]
fn an_unreadable_extension_leaves_the_rest_readable() {
    let der = made(|params| {
        let mut aia = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], b"nonsense".to_vec());
        aia.set_criticality(true);
        params.custom_extensions.push(aia);
    });
    let read = Certificate::parse(&der).unwrap();
    assert_eq!(read.extensions.malformed, [oid::AIA]);
    assert_eq!(read.extensions.critical(oid::AIA), Some(true));
    assert_eq!(read.sans().len(), 1);
}

#[test]
fn a_date_without_a_zone_does_not_hide_its_certificate() {
    let mut der = made(|params| params.not_before = rcgen::date_time_ymd(2024, 1, 1));
    let at = der.windows(13).position(|window| window == b"240101000000Z").unwrap();
    der[at + 12] = b'?';
    let read = Certificate::parse(&der).unwrap();
    assert_eq!((read.not_before.seconds, read.not_before.to_string().as_str()), (None, "240101000000?"));
    assert_eq!(read.share_left(0), None);
}

proptest! {
    #[test]
    fn no_mutation_of_a_certificate_makes_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        static DER: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let mut der = DER.get_or_init(|| made(|_| {})).clone();
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        if shorten {
            der.truncate(cut.index(der.len()));
        }
        if let Ok(read) = Certificate::parse(&der) {
            let _ = serde_json::to_string(&read).unwrap();
            let _ = (read.lifetime(), read.share_left(i64::MAX), read.share_left(i64::MIN), read.short_name());
        }
        let _ = Crl::parse(&der);
    }

    #[test]
    fn no_bytes_at_all_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Certificate::parse(&bytes), Crl::parse(&bytes), Name::parse(&bytes));
        let _ = pem::blocks(&String::from_utf8_lossy(&bytes));
    }
}
