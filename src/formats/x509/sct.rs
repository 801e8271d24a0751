//! Signed certificate timestamps (RFC 6962 section 3): what a log promised to have taken in, and what
//! it signed. Read and not judged.

use super::certificate::Certificate;
use super::der::{self, Malformed, OCTET_STRING, Reader, SEQUENCE, bad, constructed};
use super::extensions::oid;
use super::{crl, wrapped};

/// One timestamp of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The log: SHA-256 of its key.
    pub log: [u8; 32],
    /// When, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Extensions; logs of static tiles put the entry's number there.
    pub extensions: Box<[u8]>,
    /// The hash and the kind of signature, by the numbers of RFC 5246 section 7.4.1.4.1.
    pub algorithm: [u8; 2],
    /// The signature.
    pub signature: Box<[u8]>,
}

/// What a log was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The certificate itself.
    Certificate(&'a [u8]),
    /// What became the certificate, before timestamps were put into it.
    Precertificate {
        /// SHA-256 of the issuer's key (`SubjectPublicKeyInfo`).
        issuer: [u8; 32],
        /// What was to be signed, without timestamps ([`without_timestamps`]).
        tbs: &'a [u8],
    },
}

/// At most this many timestamps of one list are kept.
const MOST: usize = 64;
const WHAT: &str = "certificate timestamps";
const CUT_OFF: Malformed = bad(WHAT, "the list is cut off");

/// Reads a `SignedCertificateTimestampList` (section 3.3), as the TLS extension carries it.
///
/// # Errors
/// The list, or one of its timestamps, is cut off.
pub fn list(bytes: &[u8]) -> Result<Vec<Stamp>, Malformed> {
    let (list, after) = sized(bytes).ok_or(CUT_OFF)?;
    if !after.is_empty() {
        return Err(bad(WHAT, "bytes follow the list"));
    }
    let mut rest = list;
    let mut found = Vec::new();
    while !rest.is_empty() && found.len() < MOST {
        let (item, after) = sized(rest).ok_or(CUT_OFF)?;
        rest = after;
        // Other versions are skipped, as section 3.3 asks.
        if let Some((0, item)) = item.split_first() {
            found.push(stamp(item).ok_or(CUT_OFF)?);
        }
    }
    Ok(found)
}

fn stamp(bytes: &[u8]) -> Option<Stamp> {
    let (log, rest) = bytes.split_first_chunk::<32>()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (extensions, rest) = sized(rest)?;
    let (algorithm, rest) = rest.split_first_chunk::<2>()?;
    let (signature, rest) = sized(rest)?;
    rest.is_empty().then(|| Stamp {
        log: *log,
        timestamp_ms: u64::from_be_bytes(*time),
        extensions: extensions.into(),
        algorithm: *algorithm,
        signature: signature.into(),
    })
}

/// Reads a list as certificates and OCSP responses carry it: inside an OCTET STRING.
///
/// # Errors
/// The same as of [`list`].
pub fn wrapped_list(value: &[u8]) -> Result<Vec<Stamp>, Malformed> {
    list(der::only(value, OCTET_STRING, WHAT)?.value)
}

/// The timestamps inside a certificate; none where it has none.
///
/// # Errors
/// They cannot be read.
pub fn embedded(certificate: &Certificate) -> Result<Vec<Stamp>, Malformed> {
    let mut stamps = Vec::new();
    each_field(certificate.tbs(), |tag, value, _| {
        if tag == constructed(3) {
            let mut list = Reader::new(der::only(value, SEQUENCE, "extensions")?.value);
            while !list.is_empty() && stamps.is_empty() {
                let (known, _, value) = crl::extension(&mut list)?;
                if known == oid::SCTS {
                    stamps = wrapped_list(value)?;
                }
            }
        }
        Ok(())
    })?;
    Ok(stamps)
}

/// What was to be signed before timestamps were put in (section 3.2): the same without their
/// extension.
///
/// # Errors
/// The bytes are no `TBSCertificate`.
pub fn without_timestamps(tbs: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut content = Vec::with_capacity(tbs.len());
    each_field(tbs, |tag, value, whole| {
        if tag != constructed(3) {
            content.extend(whole);
            return Ok(());
        }
        let mut list = Reader::new(der::only(value, SEQUENCE, "extensions")?.value);
        let mut kept = Vec::with_capacity(value.len());
        while !list.is_empty() {
            let mut alone = list;
            let whole = list.any("extension")?.whole;
            if crl::extension(&mut alone)?.0 != oid::SCTS {
                kept.extend(whole);
            }
        }
        if !kept.is_empty() {
            content.extend(wrapped(constructed(3), &wrapped(SEQUENCE, &kept)));
        }
        Ok(())
    })?;
    Ok(wrapped(SEQUENCE, &content))
}

fn each_field(
    tbs: &[u8],
    mut each: impl FnMut(u8, &[u8], &[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut fields = Reader::new(der::only(tbs, SEQUENCE, "certificate")?.value);
    while !fields.is_empty() {
        let field = fields.any("certificate")?;
        each(field.tag, field.value, field.whole)?;
    }
    Ok(())
}

impl Stamp {
    /// What the log signed (section 3.2).
    pub fn signed(&self, entry: Entry<'_>) -> Vec<u8> {
        // Version 1 and `certificate_timestamp`.
        let mut bytes = vec![0, 0];
        bytes.extend(self.timestamp_ms.to_be_bytes());
        let body = match entry {
            Entry::Certificate(der) => {
                bytes.extend([0, 0]);
                der
            }
            Entry::Precertificate { issuer, tbs } => {
                bytes.extend([0, 1]);
                bytes.extend(issuer);
                tbs
            }
        };
        // A length of three bytes: certificates are bounded below that.
        let length = body.len().to_be_bytes();
        bytes.extend(length.last_chunk::<3>().into_iter().flatten());
        bytes.extend(body);
        let length = self.extensions.len().to_be_bytes();
        bytes.extend(length.last_chunk::<2>().into_iter().flatten());
        bytes.extend(&self.extensions);
        bytes
    }
}

/// A run of bytes after its length in two bytes, and what follows.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, CustomExtension, KeyPair};

    use super::*;

    const SCTS: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];

    /// A list of one timestamp, as TLS carries it.
    fn encoded(extensions: &[u8]) -> Vec<u8> {
        let sized = |bytes: &[u8]| {
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            [&length, bytes].concat()
        };
        let stamp =
            [&[0], &[7; 32][..], &5_u64.to_be_bytes(), &sized(extensions), &[4, 3], &sized(b"sig")].concat();
        sized(&sized(&stamp))
    }

    fn certificate(with: Option<&[u8]>) -> Certificate {
        static KEY: std::sync::LazyLock<KeyPair> = std::sync::LazyLock::new(|| KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(vec!["portal.example".to_owned()]).unwrap();
        params.serial_number = Some(rcgen::SerialNumber::from(7));
        if let Some(list) = with {
            let value = wrapped(OCTET_STRING, list);
            params.custom_extensions.push(CustomExtension::from_oid_content(SCTS, value));
        }
        Certificate::parse(params.self_signed(&*KEY).unwrap().der()).unwrap()
    }

    #[test]
    fn a_list_is_read_with_the_extensions_that_the_signature_covers() {
        let [stamp] = list(&encoded(b"leaf 1")).unwrap().try_into().unwrap();
        assert_eq!((stamp.log, stamp.timestamp_ms), ([7; 32], 5));
        assert_eq!(
            (&*stamp.extensions, stamp.algorithm, &*stamp.signature),
            (&b"leaf 1"[..], [4, 3], &b"sig"[..])
        );
        let signed = stamp.signed(Entry::Certificate(b"der"));
        assert_eq!(signed, b"\0\0\0\0\0\0\0\0\0\x05\0\0\0\0\x03der\0\x06leaf 1");
        let signed = stamp.signed(Entry::Precertificate { issuer: [9; 32], tbs: b"tbs" });
        assert_eq!(signed.get(10..12), Some(&[0, 1][..]));
        assert!(signed.ends_with(b"\0\0\x03tbs\0\x06leaf 1"));
    }

    #[test]
    fn a_list_that_is_cut_off_is_refused_and_other_versions_are_skipped() {
        let whole = encoded(&[]);
        for cut in 0..whole.len() {
            assert!(list(&whole[..cut]).is_err(), "{cut}");
        }
        let mut later = whole.clone();
        later[4] = 1;
        assert_eq!(list(&later), Ok(Vec::new()));
        assert!(list(&[whole, vec![0]].concat()).is_err());
    }

    #[test]
    fn what_logs_signed_is_rebuilt_from_what_is_served() {
        let (plain, stamped) = (certificate(None), certificate(Some(&encoded(&[]))));
        assert_ne!(plain.tbs(), stamped.tbs());
        assert_eq!(without_timestamps(stamped.tbs()).unwrap(), plain.tbs());
        assert_eq!(without_timestamps(plain.tbs()).unwrap(), plain.tbs());
        assert_eq!(embedded(&stamped).unwrap().len(), 1);
        assert_eq!(embedded(&plain), Ok(Vec::new()));
        assert!(embedded(&certificate(Some(&[0, 9, 0]))).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = list(&bytes);
            let _ = without_timestamps(&bytes);
        }
    }
}
