//! The ClientHello, byte by byte: it may offer what no library would.

use super::Version;

/// RFC 7507: this is a retry with a lower version than the client's best.
pub const DOWNGRADE_SCSV: u16 = 0x5600;
/// RFC 5746 section 3.3: the client knows secure renegotiation, said without an extension.
const RENEGOTIATION_SCSV: u16 = 0x00ff;

/// What a client offers.
#[derive(Clone, Debug)]
pub struct ClientHello<'a> {
    /// The highest version offered; below TLS 1.3 it is the only thing said about versions.
    pub version: Version,
    /// 32 bytes that nobody can foresee.
    pub random: [u8; 32],
    /// The suites, the favourite first.
    pub suites: &'a [u16],
    /// Offer DEFLATE beside no compression (RFC 3749). Never with TLS 1.3.
    pub compression: bool,
    /// The name asked for (RFC 6066 section 3).
    pub server_name: Option<&'a str>,
    /// The groups, the favourite first.
    pub groups: &'a [u16],
    /// The signature schemes (TLS 1.2 and later).
    pub signatures: &'a [u16],
    /// A share for one of the groups (TLS 1.3). Without one a server asks for the group it wants
    /// (RFC 8446 section 4.2.8), which tells all that is to be known and costs it no computation.
    pub key_share: Option<(u16, &'a [u8])>,
}

impl ClientHello<'_> {
    /// The whole record. A field that would not fit its length is cut off at what fits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(512);
        // RFC 8446 section 4.1.2: TLS 1.3 calls itself 1.2 here.
        put16(&mut body, self.version.min(Version::Tls12).number());
        body.extend_from_slice(&self.random);
        // RFC 8446 appendix D.4: a session id makes TLS 1.3 look like a resumption to boxes between.
        let session: &[u8] = if self.version == Version::Tls13 { &self.random } else { &[] };
        field(&mut body, 1, |body| body.extend_from_slice(session));
        field(&mut body, 2, |body| {
            self.suites.iter().for_each(|suite| put16(body, *suite));
            if self.version == Version::Ssl3 {
                put16(body, RENEGOTIATION_SCSV);
            }
        });
        field(&mut body, 1, |body| body.extend_from_slice(if self.compression { &[1, 0] } else { &[0] }));
        // SSL 3.0 knows no extensions, and some of its servers refuse them.
        if self.version > Version::Ssl3 {
            field(&mut body, 2, |body| self.extensions(body));
        }
        let mut message = vec![1];
        field(&mut message, 3, |message| message.extend_from_slice(&body));
        let mut record = vec![22];
        put16(&mut record, self.version.min(Version::Tls10).number());
        field(&mut record, 2, |record| record.extend_from_slice(&message));
        record
    }

    fn extensions(&self, out: &mut Vec<u8>) {
        if let Some(name) = self.server_name {
            extension(out, 0, |out| {
                field(out, 2, |out| {
                    out.push(0);
                    field(out, 2, |out| out.extend_from_slice(name.as_bytes()));
                });
            });
        }
        // status_request for OCSP (RFC 6066 section 8), without responders and extensions.
        extension(out, 5, |out| out.extend_from_slice(&[1, 0, 0, 0, 0]));
        if !self.groups.is_empty() {
            extension(out, 10, |out| {
                field(out, 2, |out| self.groups.iter().for_each(|group| put16(out, *group)));
            });
            // ec_point_formats (RFC 8422 section 5.1.2): uncompressed.
            extension(out, 11, |out| out.extend_from_slice(&[1, 0]));
        }
        if self.version >= Version::Tls12 && !self.signatures.is_empty() {
            extension(out, 13, |out| {
                field(out, 2, |out| self.signatures.iter().for_each(|scheme| put16(out, *scheme)));
            });
        }
        // signed_certificate_timestamp (RFC 6962), extended_master_secret (RFC 7627), session_ticket
        // (RFC 5077), all asked for by an empty extension.
        extension(out, 18, |_| {});
        extension(out, 23, |_| {});
        extension(out, 35, |_| {});
        if self.version == Version::Tls13 {
            extension(out, 43, |out| field(out, 1, |out| put16(out, Version::Tls13.number())));
            extension(out, 45, |out| out.extend_from_slice(&[1, 1]));
            extension(out, 51, |out| {
                field(out, 2, |out| {
                    if let Some((group, share)) = self.key_share {
                        put16(out, group);
                        field(out, 2, |out| out.extend_from_slice(share));
                    }
                });
            });
        }
        // renegotiation_info of a first handshake (RFC 5746 section 3.5).
        extension(out, 0xff01, |out| out.push(0));
    }
}

fn put16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Writes a field with its length in front.
fn field(out: &mut Vec<u8>, length_bytes: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    let most = (1_usize << (8 * length_bytes)) - 1;
    inner.truncate(most);
    let length = inner.len().to_be_bytes();
    let skip = length.len().saturating_sub(length_bytes as usize);
    out.extend(length.iter().skip(skip));
    out.append(&mut inner);
}

fn extension(out: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    put16(out, kind);
    field(out, 2, write);
}
