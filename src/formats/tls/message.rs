//! The messages of a server's first flight.

use aws_lc_rs::digest;

use super::Version;
use super::cursor::Cursor;
use super::names::KeyExchange;
use super::record::Malformed;

/// At most so many certificates of a chain are kept.
pub(super) const MAX_CERTIFICATES: usize = 100;
/// A certificate longer than this is not kept.
pub(super) const MAX_CERTIFICATE: usize = 64 * 1024;

/// RFC 8446 section 4.1.3: the random of a ServerHello that asks for another ClientHello.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What the server chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version's number on the wire; see [`Version::of`].
    pub version: u16,
    /// The suite.
    pub suite: u16,
    /// The compression method, 0 for none.
    pub compression: u8,
    /// The group (TLS 1.3).
    pub group: Option<u16>,
    /// It asks for another ClientHello with a share of `group` (TLS 1.3).
    pub retry: bool,
    /// RFC 5746: renegotiation is bound to this handshake (TLS 1.2 and earlier).
    pub secure_renegotiation: bool,
    /// RFC 7627 (TLS 1.2 and earlier).
    pub extended_master_secret: bool,
    /// It will send a session ticket (TLS 1.2 and earlier).
    pub ticket: bool,
    /// The SignedCertificateTimestampList of the extension (RFC 6962 section 3.3; TLS 1.2 and earlier).
    pub timestamps: Option<Vec<u8>>,
}

impl ServerHello {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(body, "ServerHello");
        let version = cursor.u16()?;
        let retry = cursor.take(32)? == RETRY;
        cursor.field(1)?;
        let (suite, compression) = (cursor.u16()?, cursor.u8()?);
        let mut hello = Self {
            version,
            suite,
            compression,
            group: None,
            retry,
            secure_renegotiation: false,
            extended_master_secret: false,
            ticket: false,
            timestamps: None,
        };
        if !cursor.is_empty() {
            let mut extensions = cursor.within(2)?;
            while !extensions.is_empty() {
                let kind = extensions.u16()?;
                hello.extension(kind, extensions.field(2)?)?;
            }
        }
        Ok(hello)
    }

    fn extension(&mut self, kind: u16, content: &[u8]) -> Result<(), Malformed> {
        match kind {
            18 => self.timestamps = Some(content.to_vec()),
            23 => self.extended_master_secret = true,
            35 => self.ticket = true,
            43 => self.version = Cursor::new(content, "ServerHello").u16()?,
            51 => self.group = Some(Cursor::new(content, "ServerHello").u16()?),
            0xff01 => self.secure_renegotiation = true,
            _ => {}
        }
        Ok(())
    }
}

/// The certificates of a server, as it sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// DER, in the order sent: at most 100, up to the first that is longer than 64 KiB.
    pub ders: Vec<Vec<u8>>,
    /// How many more were sent.
    pub left_out: usize,
}

impl Certificates {
    /// Adds the next; what is above the bounds is counted.
    pub fn push(&mut self, der: &[u8]) {
        if self.left_out > 0 || self.ders.len() >= MAX_CERTIFICATES || der.len() > MAX_CERTIFICATE {
            self.left_out += 1;
        } else {
            self.ders.push(der.to_vec());
        }
    }

    /// The Certificate message of TLS 1.2 and earlier (RFC 5246 section 7.4.2).
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut list = Cursor::new(body, "Certificate").within(3)?;
        let mut found = Self::default();
        while !list.is_empty() {
            found.push(list.field(3)?);
        }
        Ok(found)
    }
}

/// A prime of finite-field Diffie-Hellman.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prime {
    /// Big-endian, without leading zeros.
    pub bytes: Vec<u8>,
    /// The generator, without leading zeros.
    pub generator: Vec<u8>,
}

/// SHA-256 of the primes that standards name: RFC 7919 and, after it, RFC 3526.
const KNOWN_PRIMES: [(&str, &str); 11] = [
    ("ffdhe2048", "9cd3b7f336872f46c09428d1bbc19877a4d440512cda8d1c1cf0cd6e33698966"),
    ("ffdhe3072", "0eaf67db3a839156d5013494a5318a772b5697d270d721f37f092efc69ea5a17"),
    ("ffdhe4096", "4648414224ac881b3d0dc59b466f96d06a558278776807797ecf1f66ff397b3e"),
    ("ffdhe6144", "227ac9066b3ddd9e193670cda2388fa884f65ba0cf98b742d1fe77a6687c79c7"),
    ("ffdhe8192", "770b14efaf6f049929c523113b3fa99a8d11dab1b18af3609590122075d19833"),
    ("modp_1536", "64fcc83ec403930bf18393dbc883ccaa1fbb08ac876f77f7aa99748ca945019b"),
    ("modp_2048", "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e"),
    ("modp_3072", "48cf8b092fbce4359d9871abf74f98e25b6163379eaa15cd9087e800c6d1c55c"),
    ("modp_4096", "4ee95187682bcb230ad26a95205f6920e84708f6251b3894329b09ec23919e33"),
    ("modp_6144", "d1bfe6d0925ce7e4da262b62861514a7755e35831e429f343e7b864848657efd"),
    ("modp_8192", "39ab4feab950a3128fb71accb9fc3965d857012e081998a85996e3ea8b3c3bcf"),
];

impl Prime {
    fn new(prime: &[u8], generator: &[u8]) -> Self {
        let strip = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        Self { bytes: strip(prime), generator: strip(generator) }
    }

    /// Its size.
    pub fn bits(&self) -> usize {
        let unused = self.bytes.first().map_or(0, |first| first.leading_zeros() as usize);
        self.bytes.len() * 8 - unused
    }

    /// The name of the group, if a standard has it: `ffdhe2048` … (RFC 7919), `modp_2048` … (RFC 3526).
    pub fn name(&self) -> Option<&'static str> {
        let digest = digest::digest(&digest::SHA256, &self.bytes);
        let found: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        KNOWN_PRIMES.iter().find(|(_, known)| *known == found).map(|(name, _)| *name)
    }
}

/// How keys are agreed on, from the ServerKeyExchange message of TLS 1.2 and earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShare {
    /// The named curve.
    pub group: Option<u16>,
    /// The parameters of finite-field Diffie-Hellman.
    pub prime: Option<Prime>,
    /// The scheme of the signature over it (TLS 1.2).
    pub signature: Option<u16>,
}

impl KeyShare {
    /// `None` for a key exchange that has no parameters to read.
    pub(super) fn parse(
        body: &[u8],
        exchange: Option<KeyExchange>,
        version: Option<Version>,
    ) -> Result<Option<Self>, Malformed> {
        let mut cursor = Cursor::new(body, "ServerKeyExchange");
        let (group, prime) = match exchange {
            Some(KeyExchange::Ecdhe) => {
                // RFC 8422 section 5.4: 3 is a named curve; the others are gone since.
                if cursor.u8()? != 3 {
                    return Ok(Some(Self { group: None, prime: None, signature: None }));
                }
                let group = cursor.u16()?;
                cursor.field(1)?;
                (Some(group), None)
            }
            Some(KeyExchange::Dhe) => {
                let (prime, generator) = (cursor.field(2)?, cursor.field(2)?);
                cursor.field(2)?;
                (None, Some(Prime::new(prime, generator)))
            }
            _ => return Ok(None),
        };
        // An anonymous exchange ends here.
        let signed = version == Some(Version::Tls12) && !cursor.is_empty();
        let signature = if signed { Some(cursor.u16()?) } else { None };
        Ok(Some(Self { group, prime, signature }))
    }
}

/// The response of a CertificateStatus message (RFC 6066 section 8).
pub(super) fn staple(body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut cursor = Cursor::new(body, "CertificateStatus");
    cursor.u8()?;
    Ok(cursor.field(3)?.to_vec())
}
