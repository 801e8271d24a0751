//! Answers taken apart byte by byte, and cut in all places.

use proptest::prelude::*;

use super::*;

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 3, 3];
    bytes.extend_from_slice(&u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
    bytes.extend_from_slice(body);
    bytes
}

fn server_hello(suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.push(0);
    body.extend_from_slice(&suite.to_be_bytes());
    body.push(0);
    if !extensions.is_empty() {
        body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend_from_slice(extensions);
    }
    message(2, &body)
}

fn certificates(ders: &[Vec<u8>]) -> Vec<u8> {
    let mut list = Vec::new();
    for der in ders {
        list.extend_from_slice(&u32::try_from(der.len()).unwrap().to_be_bytes()[1..]);
        list.extend_from_slice(der);
    }
    let mut body = u32::try_from(list.len()).unwrap().to_be_bytes()[1..].to_vec();
    body.extend_from_slice(&list);
    message(11, &body)
}

/// A flight over ECDHE with P-256, in records of so many bytes.
fn flight(ders: &[Vec<u8>], fragment: usize) -> Vec<u8> {
    let mut all = server_hello(0xc02f, &[0, 23, 0, 0, 0xff, 1, 0, 1, 0]);
    all.extend(certificates(ders));
    all.extend(message(22, &[1, 0, 0, 3, 0x30, 1, 2]));
    all.extend(message(12, &[3, 0, 23, 2, 4, 4, 4, 1, 0, 1, 9]));
    all.extend(message(13, &[1, 1, 0, 0, 0, 0]));
    all.extend(message(14, &[]));
    all.chunks(fragment).flat_map(|chunk| record(22, chunk)).collect()
}

fn read(bytes: &[u8], step: usize) -> (Answer, Result<Progress, Malformed>) {
    let mut answer = Answer::default();
    let mut last = Ok(Progress::More);
    for chunk in bytes.chunks(step) {
        last = answer.feed(chunk);
        if last != Ok(Progress::More) {
            break;
        }
    }
    (answer, last)
}

#[test]
fn a_flight_is_read_however_it_is_cut() {
    let ders = vec![vec![1; 700], vec![2; 900]];
    for (fragment, step) in [(16000, 100_000), (1, 1), (37, 5), (5, 1000)] {
        let (answer, last) = read(&flight(&ders, fragment), step);
        assert_eq!(last, Ok(Progress::Done), "{fragment} {step}");
        let hello = answer.hello.unwrap();
        assert_eq!((hello.version, hello.suite), (0x0303, 0xc02f));
        assert!(hello.extended_master_secret && hello.secure_renegotiation && !hello.ticket);
        assert_eq!(answer.certificates.unwrap().ders, ders);
        assert_eq!(answer.staple, Some(vec![0x30, 1, 2]));
        let key = answer.key.unwrap();
        assert_eq!((key.group, key.signature), (Some(23), Some(0x0401)));
        assert!(answer.wants_client);
    }
}

#[test]
fn a_flood_of_certificates_is_counted_and_not_kept() {
    let (answer, _) = read(&flight(&vec![vec![1; 700]; 130], 16000), 4096);
    let found = answer.certificates.unwrap();
    assert_eq!((found.ders.len(), found.left_out), (100, 30));

    let (answer, _) = read(&flight(&[vec![1; 10], vec![2; 65537], vec![3; 10]], 16000), 4096);
    let found = answer.certificates.unwrap();
    assert_eq!((found.ders.len(), found.left_out), (1, 2));
    let (answer, _) = read(&flight(&[vec![1; 65536]], 16000), 4096);
    assert_eq!(answer.certificates.unwrap().ders.len(), 1);

    let huge = record(22, &[11, 0xff, 0xff, 0xff]);
    let mut hello = record(22, &server_hello(0x2f, &[]));
    hello.extend(huge);
    assert_eq!(read(&hello, 4096).1, Err(Malformed::Long("handshake")));
}

#[test]
fn what_is_not_tls_is_named() {
    for (bytes, stranger) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], Stranger::Http),
        (b"<html>", Stranger::Http),
        (b"220 mail.example ESMTP\r\n", Stranger::SmtpOrFtp),
        (b"SSH-2.0-OpenSSH_9.2", Stranger::Ssh),
        (b"* OK ready", Stranger::Imap),
        (b"+OK ready", Stranger::Pop3),
        (b"\x16\x05\x01\x00\x01\x00", Stranger::Unknown),
        (b"\x16\x03\x09\x00\x01\x00", Stranger::Unknown),
        (&[0; 40], Stranger::Unknown),
    ] {
        assert_eq!(read(bytes, 4096).1, Err(Malformed::NotTls(stranger)), "{bytes:?}");
    }
    assert_eq!(read(&[22, 3, 3, 0xff, 0xff, 0], 4096).1, Err(Malformed::Record(0xffff)));
    // Another message before the ServerHello, and a second one after it.
    assert_eq!(read(&record(22, &message(14, &[])), 4096).1, Err(Malformed::Unexpected(14)));
    let twice = [server_hello(0x2f, &[]), server_hello(0x2f, &[])].concat();
    assert_eq!(read(&record(22, &twice), 4096).1, Err(Malformed::Unexpected(2)));
}

#[test]
fn an_alert_ends_it_but_a_warning_about_the_name_does_not() {
    let (answer, last) = read(&record(21, &[2, 40]), 4096);
    assert_eq!((answer.alert, last), (Some(40), Ok(Progress::Done)));
    let warned = [record(21, &[1, 112]), flight(&[vec![1]], 16000)].concat();
    let (answer, last) = read(&warned, 4096);
    assert_eq!((answer.alert, last), (None, Ok(Progress::Done)));
    assert!(answer.certificates.is_some());
    assert_eq!(read(&record(21, &[2]), 4096).1, Err(Malformed::Short("alert")));
}

#[test]
fn a_retry_of_tls_1_3_tells_version_and_group() {
    let mut body = vec![3, 3];
    body.extend_from_slice(
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"HelloRetryRequest").as_ref(),
    );
    body.extend_from_slice(&[0, 0x13, 1, 0, 0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0x11, 0xec]);
    let (answer, last) = read(&record(22, &message(2, &body)), 4096);
    assert_eq!(last, Ok(Progress::Done));
    let hello = answer.hello.unwrap();
    assert!(hello.retry);
    assert_eq!((hello.version, hello.suite, hello.group), (0x0304, 0x1301, Some(0x11ec)));
}

fn diffie_hellman(prime: &[u8], generator: &[u8]) -> Prime {
    let mut body = Vec::new();
    for part in [prime, generator, &[5]] {
        body.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
        body.extend_from_slice(part);
    }
    let bytes = [server_hello(0x0033, &[]), message(12, &body), message(14, &[])].concat();
    read(&record(22, &bytes), 4096).0.key.unwrap().prime.unwrap()
}

#[test]
fn a_prime_is_known_by_all_of_its_bits() {
    // RFC 7919 appendix A.1.
    let hex = "FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695A9E13641146433FBCC939DCE249B3EF9\
               7D2FE363630C75D8F681B202AEC4617AD3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935\
               984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797ABC0AB182B324FB61D108A94BB2C8E3FB\
               B96ADAB760D7F4681D4F42A3DE394DF4AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F61\
               9172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005C58EF1837D1683B2C6F34A26C1B2EFFA\
               886B423861285C97FFFFFFFFFFFFFFFF";
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let prime = diffie_hellman(&bytes, &[2]);
    assert_eq!((prime.bits(), prime.name()), (2048, Some("ffdhe2048")));
    let mut other = bytes.clone();
    other[100] ^= 1;
    assert_eq!(diffie_hellman(&other, &[2]).name(), None);
    let padded = [&[0, 0][..], &bytes].concat();
    assert_eq!(diffie_hellman(&padded, &[2]).name(), Some("ffdhe2048"));
    assert_eq!(diffie_hellman(&[0x0f, 0xff], &[2]).bits(), 12);
    assert_eq!(diffie_hellman(&[], &[]).bits(), 0);
}

fn hello(version: Version) -> ClientHello<'static> {
    ClientHello {
        version,
        random: [9; 32],
        suites: &[0x1301, 0xc02f],
        compression: false,
        server_name: Some("a.example"),
        groups: &[29, 23],
        signatures: &[0x0403],
        key_share: None,
    }
}

#[test]
fn a_hello_is_written_as_its_version_wants_it() {
    let bytes = hello(Version::Ssl3).to_bytes();
    assert_eq!(&bytes[..3], [22, 3, 0]);
    assert_eq!(bytes.len(), 5 + 4 + 2 + 32 + 1 + 2 + 4 + 2 + 2);
    let has = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let old = hello(Version::Tls11).to_bytes();
    assert_eq!((&old[..3], &old[9..11]), (&[22, 3, 1][..], &[3, 2][..]));
    assert!(!has(&old, &[0, 13, 0, 4, 0, 2]) && has(&old, b"a.example"));
    let new = hello(Version::Tls13).to_bytes();
    assert_eq!(&new[9..11], [3, 3]);
    assert!(has(&new, &[0, 43, 0, 3, 2, 3, 4]) && has(&new, &[0, 51, 0, 2, 0, 0]));
    assert!(has(&new, &[0, 13, 0, 4, 0, 2, 4, 3]));
    let shared = ClientHello { key_share: Some((29, &[5; 32])), ..hello(Version::Tls13) }.to_bytes();
    assert!(has(&shared, &[0, 51, 0, 38, 0, 36, 0, 29, 0, 32, 5]));
    for bytes in [bytes, old, new, shared] {
        assert_eq!(usize::from(u16::from_be_bytes([bytes[3], bytes[4]])), bytes.len() - 5);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1_usize..300) {
        let _ = read(&bytes, step);
    }

    #[test]
    fn no_messages_make_the_reader_panic(
        messages in prop::collection::vec((0_u8..24, prop::collection::vec(any::<u8>(), 0..300)), 0..6),
        suite in any::<u16>(),
        fragment in 1_usize..400,
    ) {
        let mut all = server_hello(suite, &[]);
        for (kind, body) in &messages {
            all.extend(message(*kind, body));
        }
        let bytes: Vec<u8> = all.chunks(fragment).flat_map(|chunk| record(22, chunk)).collect();
        let _ = read(&bytes, 100);
    }

    #[test]
    fn a_changed_flight_never_makes_the_reader_panic(at in 0_usize..1700, to in any::<u8>(), cut in 0_usize..1800) {
        let mut bytes = flight(&[vec![1; 700], vec![2; 900]], 500);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        bytes.truncate(cut);
        let _ = read(&bytes, 64);
    }
}
