//! One client connection of the library, of which only the handshake can be had.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, SupportedProtocolVersion, version};

use super::recorder::{Client, Recorder, kit};
use super::{Handshake, Handshaken, TlsVersions};
use crate::formats::tls::Version;
use crate::model::Timings;
use crate::net::tls::{client_pair, server_name};

/// A handshake with whoever answers. No method writes application data, and none gives the
/// connection away.
pub(super) struct Session {
    connection: ClientConnection,
    recorder: Arc<Recorder>,
    client: Arc<Client>,
    heard: bool,
}

impl Session {
    /// `Err` says what is wrong with the name or the client certificate.
    #[expect(clippy::disallowed_methods, reason = "the one place that looks without verifying")]
    pub(super) fn new(wanted: &Handshake) -> Result<Self, String> {
        let kit = kit(wanted.key_type);
        let recorder = Arc::new(Recorder::new(kit));
        let client = Arc::new(match &wanted.client {
            None => Client::default(),
            Some((chain, key)) => Client::with(client_pair(chain, key)?, kit)?,
        });
        let name = match &wanted.target.server_name {
            Some(name) => server_name(name)?,
            None => ServerName::IpAddress(wanted.target.address.ip().into()),
        };
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&kit.provider))
            .with_protocol_versions(offered(wanted.versions))
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recorder) as _)
            .with_client_cert_resolver(Arc::clone(&client) as _);
        // A resumed session does not send the chain again.
        config.resumption = Resumption::disabled();
        config.enable_sni = wanted.target.server_name.is_some();
        config.alpn_protocols = wanted.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connection = ClientConnection::new(Arc::new(config), name)
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        Ok(Self { connection, recorder, client, heard: false })
    }

    /// Whether the handshake is not over.
    pub(super) fn goes_on(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether nothing has been read so far.
    pub(super) const fn heard_nothing(&self) -> bool {
        !self.heard
    }

    /// Whether the server was asked nothing more but still has to judge a client certificate
    /// (RFC 8446 section 4.4.2.4).
    pub(super) fn verdict_is_due(&self) -> bool {
        self.client.was_asked() && self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// What is to be sent; with `close`, also that nothing follows.
    pub(super) fn outgoing(&mut self, close: bool) -> io::Result<Vec<u8>> {
        if close {
            self.connection.send_close_notify();
        }
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Takes what was read. Application data of the server is thrown away.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), rustls::Error> {
        self.heard = true;
        while !bytes.is_empty() {
            let taken = self.connection.read_tls(&mut bytes);
            self.connection.process_new_packets()?;
            if !taken.is_ok_and(|taken| taken > 0) {
                break;
            }
        }
        Ok(())
    }

    /// What was seen; times and what came before are left to be filled in.
    pub(super) fn finish(self) -> Handshaken {
        let record = self.recorder.take();
        let connection = &self.connection;
        let version = connection.protocol_version().map(u16::from);
        Handshaken {
            chain: record.chain,
            staple: record.staple,
            version: version.and_then(Version::of),
            suite: connection.negotiated_cipher_suite().map(|suite| suite.suite().into()),
            group: connection.negotiated_key_exchange_group().map(|group| group.name().into()),
            alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            wants_client: self.client.was_asked(),
            signature: record.signature,
            injected: 0,
            starttls: None,
            timings: Timings::default(),
            stopped: None,
        }
    }
}

static BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
static TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
static TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

fn offered(versions: TlsVersions) -> &'static [&'static SupportedProtocolVersion] {
    match versions {
        TlsVersions::Both => BOTH,
        TlsVersions::Tls12 => TLS12,
        TlsVersions::Tls13 => TLS13,
    }
}
