//! What a TLS server accepts, found out by hellos that offer less each time, on one address. Sees
//! what the library cannot: old versions, suites without forward secrecy, finite fields. No
//! handshake is finished, so that nothing is ever encrypted, and the chains seen are not trusted.
//!
//! Not found out: renegotiation that a client asks for, early data, tickets of TLS 1.3 (all three
//! need a finished handshake), signature schemes of TLS 1.3 (sent encrypted; ask
//! [`Net::handshake`] by key type), SSL 2.0.

mod clear;
mod offers;
mod scan;
#[cfg(test)]
mod tests;

pub use self::clear::ClearHandshake;
use self::clear::say_over;
use self::scan::Scanner;
use super::handshake::TlsTarget;
use super::{Net, TransportError};
use crate::formats::tls::{Certificates, Prime, Version};

/// Bounds of a scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// Connections in all. A usual server needs 40 to 80.
    pub connections: usize,
    /// Connections open at a time, beside the limits of [`Net`].
    pub at_once: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { connections: 250, at_once: 2 }
    }
}

/// What one address accepts.
#[derive(Clone, Debug)]
pub struct TlsScan {
    /// One entry for each version, oldest first.
    pub versions: Vec<VersionScan>,
    /// RFC 7507: a needless fallback to an older version is refused. `None` where there is none to
    /// fall back to, or it could not be found out.
    pub fallback_scsv: Option<bool>,
    /// How many connections it took.
    pub connections: usize,
    /// Why something was left out: the connections were used up, or one failed on the way.
    pub incomplete: Option<String>,
}

/// Whether a version is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is.
    Yes,
    /// The server refuses: the alert's name, or what it did.
    No(String),
    /// Could not be measured.
    Unknown(TransportError),
    /// The connections were used up before.
    NotAsked,
}

/// What is accepted with one version.
#[derive(Clone, Debug)]
pub struct VersionScan {
    /// The version.
    pub version: Version,
    /// Whether it is accepted; if not, nothing below is filled in.
    pub accepted: Acceptance,
    /// The suites accepted, in the order in which the server chose among those left.
    pub suites: Vec<u16>,
    /// Whether the server's order of suites counts, not the client's.
    pub server_preference: Option<bool>,
    /// The groups accepted: all of them for TLS 1.3 and for the highest version below; those that
    /// were chosen along the way for others.
    pub groups: Vec<u16>,
    /// The primes of finite-field Diffie-Hellman (TLS 1.2 and earlier), at most eight.
    pub primes: Vec<Prime>,
    /// The signature schemes accepted (TLS 1.2 alone).
    pub signatures: Vec<u16>,
    /// It compresses (tried with the highest version below TLS 1.3).
    pub compression: Option<bool>,
    /// RFC 5746 (TLS 1.2 and earlier).
    pub secure_renegotiation: Option<bool>,
    /// RFC 7627 (TLS 1.0 to 1.2).
    pub extended_master_secret: Option<bool>,
    /// Session tickets (TLS 1.0 to 1.2).
    pub tickets: Option<bool>,
    /// It asks for a client certificate (TLS 1.2 and earlier).
    pub wants_client: Option<bool>,
    /// The chains sent, one for each leaf, at most four (TLS 1.2 and earlier).
    pub chains: Vec<Certificates>,
    /// The stapled OCSP response, DER (TLS 1.0 to 1.2).
    pub staple: Option<Vec<u8>>,
    /// The SignedCertificateTimestampList of the TLS extension (TLS 1.0 to 1.2).
    pub timestamps: Option<Vec<u8>>,
}

impl VersionScan {
    fn new(version: Version, accepted: Acceptance) -> Self {
        Self {
            version,
            accepted,
            suites: Vec::new(),
            server_preference: None,
            groups: Vec::new(),
            primes: Vec::new(),
            signatures: Vec::new(),
            compression: None,
            secure_renegotiation: None,
            extended_master_secret: None,
            tickets: None,
            wants_client: None,
            chains: Vec::new(),
            staple: None,
            timestamps: None,
        }
    }

    /// Whether it is accepted.
    pub fn is_accepted(&self) -> bool {
        self.accepted == Acceptance::Yes
    }
}

impl TlsScan {
    /// The entry of one version.
    pub fn version(&self, version: Version) -> Option<&VersionScan> {
        self.versions.iter().find(|scan| scan.version == version)
    }
}

impl Net {
    /// Says hello once, as a client of TLS 1.2 and earlier, and reads what comes in the clear: the
    /// chain, the staple, the SCTs, the parameters of the key exchange. For servers that
    /// [`Net::handshake`] cannot speak to. `Err` when no answer of TLS came.
    pub async fn hello_in_clear(&self, target: &TlsTarget) -> Result<ClearHandshake, TransportError> {
        let opened = self.open_for_tls(target).await?;
        say_over(opened, target, &offers::broad(Version::Tls12)?).await
    }

    /// Finds out what one address accepts. `Err` when not even one version could be tried; a
    /// version that could not be is [`Acceptance::Unknown`]. The timeout of the target bounds each
    /// connection, [`ScanOptions::connections`] their number.
    pub async fn scan_tls(
        &self,
        target: &TlsTarget,
        options: ScanOptions,
    ) -> Result<TlsScan, TransportError> {
        Scanner::new(self, target, options).scan().await
    }
}
