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
fn long_texts_are_cut_where_they_are_shown_and_compared_whole() {
    let long = "a".repeat(20_000);
    let der = made(|params| {
        params.distinguished_name.push(DnType::CommonName, long.as_str());
        let content = sequence(&element(0x82, long.as_bytes()));
        params.subject_alt_names.clear();
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], content));
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x91; 5_000]));
    });
    let read = Certificate::parse(&der).unwrap();
    let shown = serde_json::to_string(&read).unwrap();
    assert!(shown.len() < 8_000, "{}", shown.len());
    assert!(read.short_name().len() <= 512);
    let [GeneralName::Dns(san)] = read.sans() else { panic!("{:?}", read.sans()) };
    assert_eq!(san.plain(), Some(long.as_str()));
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

/// One element, its content shorter than 128 bytes or as long as need be in a SEQUENCE.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = sequence(content);
    der[0] = tag;
    der
}

/// A revocation list with these extensions: identifier within `id-ce`, whether critical, content.
fn crl(extensions: &[(u8, bool, &[u8])]) -> Crl {
    let of = |(number, critical, content): &(u8, bool, &[u8])| {
        let critical = if *critical { element(0x01, &[0xff]) } else { Vec::new() };
        sequence(&[element(0x06, &[0x55, 0x1d, *number]), critical, element(0x04, content)].concat())
    };
    let algorithm = sequence(&element(0x06, &[0x2b, 0x65, 0x70]));
    let time = element(0x17, b"260101000000Z");
    let extensions: Vec<u8> = extensions.iter().flat_map(of).collect();
    let extensions = element(0xa0, &sequence(&extensions));
    let tbs = [&element(0x02, &[1]), &algorithm, &sequence(&[]), &time, &time, &extensions]
        .map(Vec::clone)
        .concat();
    Crl::parse(&sequence(&[sequence(&tbs), algorithm, element(0x03, &[0, 1])].concat())).unwrap()
}

#[test]
fn forms_of_lists_that_are_not_judged_are_known() {
    let number: (u8, bool, &[u8]) = (20, false, &[2, 1, 7]);
    let plain = crl(&[number]);
    assert_eq!((plain.unsupported, plain.scope, plain.number_critical), (None, crl::Scope::All, Some(false)));
    assert_eq!(crl(&[(20, true, &[2, 1, 7])]).number_critical, Some(true));
    assert_eq!(crl(&[number, (27, true, &[2, 1, 6])]).unsupported, Some("it is a delta"));
    let point = |content: &[u8]| crl(&[number, (28, true, &sequence(content))]);
    assert_eq!(point(&[0x84, 1, 0xff]).unsupported, Some("it is indirect"));
    assert_eq!(point(&[0x83, 2, 6, 0x40]).unsupported, Some("it covers some reasons alone"));
    assert_eq!(point(&[0x81, 1, 0xff]).scope, crl::Scope::Users);
    assert_eq!(point(&[0x82, 1, 0xff]).scope, crl::Scope::Authorities);
    assert_eq!(point(&[0x85, 1, 0xff]).scope, crl::Scope::Neither);
    assert_eq!(crl(&[number, (99, true, &[5, 0])]).unknown_critical, ["2.5.29.99"]);
}

#[test]
fn timestamps_of_logs_are_read_and_versions_to_come_skipped() {
    let item = |version: u8| {
        let mut item = vec![version];
        item.extend([0xab; 32]);
        item.extend(1_700_000_000_123_u64.to_be_bytes());
        item.extend([0, 0, 4, 3, 0, 1, 0]);
        [&(item.len() as u16).to_be_bytes()[..], &item].concat()
    };
    let list = [item(0), item(1)].concat();
    let list = element(0x04, &[&(list.len() as u16).to_be_bytes()[..], &list].concat());
    let der = made(|params| {
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], list));
    });
    let read = Certificate::parse(&der).unwrap();
    let [sct] = read.extensions.scts.as_slice() else { panic!("{:?}", read.extensions.scts) };
    assert_eq!((sct.timestamp_ms, sct.log.as_str()), (1_700_000_000_123, "ab".repeat(32).as_str()));
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
