//! Signatures over record sets and digests of keys (RFC 4034, with RFC 5702, 6605 and 8080 for the
//! algorithms): what is signed, by which key, and whether the signature is right. Pure; when a signature
//! holds is for the caller to say.

use aws_lc_rs::digest;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaParameters, UnparsedPublicKey, VerificationAlgorithm,
};

use super::dns::{Dnskey, Ds, Name, Record, RecordType, Rrsig};

/// An algorithm of the IANA registry "DNS Security Algorithm Numbers".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm(pub u8);

/// How well an algorithm is thought of (RFC 8624 section 3.1 and RFC 9905).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Fit for use.
    Good,
    /// Resolvers give it up: made with SHA-1.
    Fading,
    /// Not to be used: broken, or known to nobody.
    Broken,
}

impl Algorithm {
    /// Its mnemonic, else its number.
    pub fn name(self) -> String {
        let name = match self.0 {
            1 => "RSAMD5",
            3 => "DSA",
            5 => "RSASHA1",
            6 => "DSA-NSEC3-SHA1",
            7 => "RSASHA1-NSEC3-SHA1",
            8 => "RSASHA256",
            10 => "RSASHA512",
            12 => "ECC-GOST",
            13 => "ECDSAP256SHA256",
            14 => "ECDSAP384SHA384",
            15 => "ED25519",
            16 => "ED448",
            other => return format!("algorithm {other}"),
        };
        name.to_owned()
    }

    /// How well it is thought of.
    pub const fn standing(self) -> Standing {
        match self.0 {
            8 | 10 | 13 | 14 | 15 | 16 => Standing::Good,
            5 | 7 => Standing::Fading,
            1 | 3 | 6 | 12 => Standing::Broken,
            // Younger than this table.
            _ => Standing::Good,
        }
    }
}

/// What a signature is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It fits.
    Right,
    /// It does not.
    Wrong,
    /// This program cannot tell: it does not know the algorithm or cannot use the key.
    Unknown,
}

/// The tag by which signatures and DS records name a key (RFC 4034 appendix B).
pub fn key_tag(key: &Dnskey) -> u16 {
    // Of RSA/MD5 the tag stands in the modulus (appendix B.1).
    if key.algorithm == 1 {
        return match key.key.as_slice() {
            [.., high, low, _] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
    }
    let sum: u32 = key_rdata(key)
        .iter()
        .enumerate()
        .map(|(at, byte)| if at % 2 == 0 { u32::from(*byte) << 8 } else { u32::from(*byte) })
        .fold(0, u32::wrapping_add);
    let folded = sum.wrapping_add(sum >> 16) & 0xffff;
    u16::try_from(folded).unwrap_or_default()
}

/// Whether it is a key of a zone (RFC 4034 section 2.1.1), and not revoked (RFC 5011).
pub const fn is_zone_key(key: &Dnskey) -> bool {
    key.flags & 0x0100 != 0 && key.flags & 0x0080 == 0 && key.protocol == 3
}

/// Whether the parent's DS is that of a key of this zone (RFC 4034 section 5.1.4). [`Checked::Unknown`]:
/// made with a digest nobody here knows.
pub fn matches(ds: &Ds, zone: &Name, key: &Dnskey) -> Checked {
    if ds.key_tag != key_tag(key) || ds.algorithm != key.algorithm {
        return Checked::Wrong;
    }
    let algorithm = match ds.digest_type {
        1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        2 => &digest::SHA256,
        4 => &digest::SHA384,
        _ => return Checked::Unknown,
    };
    let signed = [zone.to_lowercase().to_wire(), key_rdata(key)].concat();
    if digest::digest(algorithm, &signed).as_ref() == ds.digest { Checked::Right } else { Checked::Wrong }
}

fn key_rdata(key: &Dnskey) -> Vec<u8> {
    let flags = key.flags.to_be_bytes();
    [&flags[..], &[key.protocol, key.algorithm], &key.key].concat()
}

/// Whether a signature over a record set was made with a key (RFC 4035 section 5.3). `records` are all
/// records of the set and no others.
pub fn verify(signature: &Rrsig, records: &[&Record], key: &Dnskey) -> Checked {
    let Some(signed) = signed_data(signature, records) else { return Checked::Wrong };
    if signature.algorithm != key.algorithm || signature.key_tag != key_tag(key) {
        return Checked::Wrong;
    }
    let right = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
        UnparsedPublicKey::new(algorithm, key).verify(&signed, &signature.signature).is_ok()
    };
    let right = match key.algorithm {
        5 | 7 => return rsa(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key, &signed, signature),
        8 => return rsa(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, key, &signed, signature),
        10 => return rsa(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, key, &signed, signature),
        13 => right(&ECDSA_P256_SHA256_FIXED, &[&[4], key.key.as_slice()].concat()),
        14 => right(&ECDSA_P384_SHA384_FIXED, &[&[4], key.key.as_slice()].concat()),
        15 => right(&ED25519, &key.key),
        _ => return Checked::Unknown,
    };
    if right { Checked::Right } else { Checked::Wrong }
}

fn rsa(parameters: &'static RsaParameters, key: &Dnskey, signed: &[u8], signature: &Rrsig) -> Checked {
    let Some((exponent, modulus)) = rsa_key(&key.key) else { return Checked::Wrong };
    // The library refuses shorter keys, and exponents it thinks unfit.
    if modulus.len() < 128 {
        return Checked::Unknown;
    }
    let components = PublicKeyComponents { n: modulus, e: exponent };
    match components.verify(parameters, signed, &signature.signature) {
        Ok(()) => Checked::Right,
        Err(_) => Checked::Wrong,
    }
}

/// Exponent and modulus (RFC 3110 section 2), without leading zeros.
fn rsa_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match key {
        [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => return None,
    };
    let (exponent, modulus) = rest.split_at_checked(length)?;
    let bare = |bytes: &'_ [u8]| bytes.iter().take_while(|byte| **byte == 0).count();
    Some((exponent.get(bare(exponent)..)?, modulus.get(bare(modulus)..)?))
}

/// The length of a key in bits, where that says how strong it is: of RSA.
pub fn rsa_bits(key: &Dnskey) -> Option<usize> {
    if !matches!(key.algorithm, 1 | 5 | 7 | 8 | 10) {
        return None;
    }
    let (_, modulus) = rsa_key(&key.key)?;
    let first = modulus.first()?;
    Some(modulus.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or_default())
}

/// What is signed (RFC 4034 section 3.1.8.1).
fn signed_data(signature: &Rrsig, records: &[&Record]) -> Option<Vec<u8>> {
    let first = records.first()?;
    let owner = owner(&first.name, signature.labels)?;
    let mut signed = signature.covered.0.to_be_bytes().to_vec();
    signed.extend([signature.algorithm, signature.labels]);
    let numbers = [signature.original_ttl, signature.expiration, signature.inception];
    signed.extend(numbers.into_iter().flat_map(u32::to_be_bytes));
    signed.extend(signature.key_tag.to_be_bytes());
    signed.extend(signature.signer.to_lowercase().to_wire());
    let mut data: Vec<Vec<u8>> = records.iter().map(|record| record.canonical_rdata()).collect();
    data.sort_unstable();
    data.dedup();
    for data in data {
        signed.extend(&owner);
        signed.extend(first.kind.0.to_be_bytes());
        signed.extend(first.class.to_be_bytes());
        signed.extend(signature.original_ttl.to_be_bytes());
        signed.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        signed.extend(data);
    }
    Some(signed)
}

/// The name that was signed: that of the wildcard, where the answer was made from one (RFC 4035 section
/// 5.3.2).
fn owner(name: &Name, labels: u8) -> Option<Vec<u8>> {
    let name = name.to_lowercase();
    let count = name.labels().count() - usize::from(name.is_wildcard());
    let labels = usize::from(labels);
    if labels >= count {
        return (labels == count).then(|| name.to_wire());
    }
    let mut above = name;
    while above.labels().count() > labels {
        above = above.parent()?;
    }
    Some([&[1, b'*'], above.to_wire().as_slice()].concat())
}

/// The signatures of a set among the records of an answer, and the set itself.
pub fn set<'a>(records: &'a [Record], name: &Name, kind: RecordType) -> (Vec<&'a Rrsig>, Vec<&'a Record>) {
    let own = || records.iter().filter(|record| record.name == *name);
    let signatures = own().filter_map(|record| match &record.data {
        Ok(super::dns::Data::Rrsig(signature)) if signature.covered == kind => Some(signature),
        _ => None,
    });
    (signatures.collect(), own().filter(|record| record.kind == kind).collect())
}

/// A time of a signature, of which the upper bits are left out (RFC 4034 section 3.1.5), as seconds since
/// the epoch: the one nearest to `now`.
pub fn time(serial: u32, now: i64) -> i64 {
    let low = i64::from(serial) - now.rem_euclid(1 << 32);
    let half = 1_i64 << 31;
    let difference = (low + half).rem_euclid(1 << 32) - half;
    now + difference
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::formats::dns::{Data, class};

    fn bytes(base64: &str) -> Vec<u8> {
        STANDARD.decode(base64.replace([' ', '\n'], "")).unwrap()
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }

    fn key(flags: u16, algorithm: u8, base64: &str) -> Dnskey {
        Dnskey { flags, protocol: 3, algorithm, key: bytes(base64) }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn record(owner: &str, kind: RecordType, rdata: Vec<u8>) -> Record {
        let data = Data::of(kind, class::IN, &rdata);
        Record { name: name(owner), kind, class: class::IN, ttl: 7, rdata, data }
    }

    #[test]
    fn a_digest_is_that_of_its_key() {
        // RFC 4034 section 5.4 and RFC 4509 section 2.3.
        let signer = key(
            256,
            5,
            "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
        );
        assert_eq!(key_tag(&signer), 60485);
        let zone = name("dskey.example.com.");
        let ds =
            |digest_type, digest: &str| Ds { key_tag: 60485, algorithm: 5, digest_type, digest: hex(digest) };
        let sha1 = ds(1, "2BB183AF5F22588179A53B0A98631FAD1A292118");
        let sha256 = ds(2, "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A");
        assert_eq!(matches(&sha1, &zone, &signer), Checked::Right);
        assert_eq!(matches(&sha256, &name("DSKEY.example.com."), &signer), Checked::Right);
        assert_eq!(matches(&sha256, &name("other.example.com."), &signer), Checked::Wrong);
        assert_eq!(matches(&ds(9, "00"), &zone, &signer), Checked::Unknown);
        assert_eq!(rsa_bits(&signer), Some(1024));
    }

    /// The records and signatures of examples: owner, type, data, and the signature's fields.
    #[test]
    fn the_examples_of_the_standards_are_right_and_any_change_makes_them_wrong() {
        // RFC 6605 section 6.1, RFC 8080 section 6.1, RFC 5702 section 6.1.
        let p256 = key(
            257,
            13,
            "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
        );
        let ed25519 = key(257, 15, "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=");
        let rsa = key(
            256,
            8,
            "AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=",
        );
        let signed = |owner: &str,
                      kind,
                      rdata: Vec<u8>,
                      numbers: (u8, u8, u32, u32, u32, u16),
                      signer: &str,
                      signature: &str| {
            let (algorithm, labels, original_ttl, expiration, inception, key_tag) = numbers;
            let signature = Rrsig {
                covered: kind,
                algorithm,
                labels,
                original_ttl,
                expiration,
                inception,
                key_tag,
                signer: name(signer),
                signature: bytes(signature),
            };
            (record(owner, kind, rdata), signature)
        };
        let at = |time: &str| u32::try_from(time.parse::<jiff::Timestamp>().unwrap().as_second()).unwrap();
        let mx = [&[0, 10][..], &name("mail.example.com.").to_wire()].concat();
        let of_p256 = signed(
            "www.example.net.",
            RecordType::A,
            vec![192, 0, 2, 1],
            (13, 3, 3600, at("2010-09-09T10:04:39Z"), at("2010-08-12T10:04:39Z"), 55648),
            "example.net.",
            "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
        );
        let of_ed25519 = signed(
            "example.com.",
            RecordType::MX,
            mx,
            (15, 2, 3600, 1_440_021_600, 1_438_207_200, 3613),
            "example.com.",
            "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
        );
        let of_rsa = signed(
            "www.example.net.",
            RecordType::A,
            vec![192, 0, 2, 91],
            (8, 3, 3600, at("2030-01-01T00:00:00Z"), at("2000-01-01T00:00:00Z"), 9033),
            "example.net.",
            "kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==",
        );
        assert_eq!((key_tag(&p256), key_tag(&ed25519), key_tag(&rsa)), (55648, 3613, 9033));
        for ((record, signature), key) in [(of_p256, p256), (of_ed25519, ed25519)] {
            assert_eq!(verify(&signature, &[&record], &key), Checked::Right, "{}", key.algorithm);
            let mut other = record.clone();
            *other.rdata.last_mut().unwrap() ^= 1;
            other.data = Data::of(other.kind, other.class, &other.rdata);
            assert_eq!(verify(&signature, &[&other], &key), Checked::Wrong);
            let later = Rrsig { expiration: signature.expiration + 1, ..signature.clone() };
            assert_eq!(verify(&later, &[&record], &key), Checked::Wrong);
            let mut elsewhere = record;
            elsewhere.name = name("www.example.org.");
            assert_ne!(verify(&signature, &[&elsewhere], &key), Checked::Right);
        }
        // 512 bits are shorter than what the library takes.
        assert_eq!(verify(&of_rsa.1, &[&of_rsa.0], &rsa), Checked::Unknown);
        assert_eq!(rsa_bits(&rsa), Some(512));
    }

    #[test]
    fn what_a_wildcard_made_is_signed_by_the_wildcards_name() {
        assert_eq!(owner(&name("a.b.acme.example."), 2), Some(name("*.acme.example.").to_wire()));
        assert_eq!(owner(&name("*.acme.example."), 2), Some(name("*.acme.example.").to_wire()));
        assert_eq!(owner(&name("ACME.example."), 2), Some(name("acme.example.").to_wire()));
        assert_eq!(owner(&name("acme.example."), 3), None, "a signature for a longer name");
    }

    #[test]
    fn times_go_round_and_the_nearest_is_meant() {
        let now = 1_795_000_000;
        assert_eq!(time(1_795_000_060, now), now + 60);
        assert_eq!(time(1_794_999_000, now), now - 1_000);
        let late = (1_i64 << 32) - 10;
        assert_eq!(time(5, late), (1 << 32) + 5);
    }

    #[test]
    fn keys_that_are_none_are_no_match_and_no_panic() {
        for bytes in [vec![], vec![0], vec![0, 1], vec![0, 255, 255, 1], vec![3, 1, 0, 1], vec![0; 300]] {
            for algorithm in [1, 5, 8, 13, 14, 15, 16, 200] {
                let key = Dnskey { flags: 256, protocol: 3, algorithm, key: bytes.clone() };
                let record = record("a.example.", RecordType::A, vec![192, 0, 2, 1]);
                let signature = Rrsig {
                    covered: RecordType::A,
                    algorithm,
                    labels: 2,
                    original_ttl: 1,
                    expiration: 2,
                    inception: 1,
                    key_tag: key_tag(&key),
                    signer: name("example."),
                    signature: vec![1; 64],
                };
                assert_ne!(verify(&signature, &[&record], &key), Checked::Right);
                let _ = rsa_bits(&key);
            }
        }
    }
}
