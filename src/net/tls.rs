//! TLS: client settings built once per distinct need, handshakes, and their failures in words.
//! Verification is the library's, against the system's roots and the extra ones of
//! [`TlsOptions::ca_pem`]; nothing here can turn it off. Revocation is not checked. What is to be seen
//! of servers that do not verify is seen by `handshake`, over which nothing can be sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{Fault, one_line, tidy};
use super::{FailReason, HttpVersion, TlsInfo, TlsOptions};
use crate::formats::tls::names;
use crate::model::{Phase, Secret};

/// Makes aws-lc-rs the process's TLS provider, unless one is installed.
pub(super) fn install_provider() {
    // The error says that one is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The protocols offered in ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Alpn {
    /// No ALPN: protocols other than HTTP.
    None,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
    /// HTTP/2, then HTTP/1.1.
    Both,
}

impl From<HttpVersion> for Alpn {
    fn from(version: HttpVersion) -> Self {
        match version {
            HttpVersion::Auto => Self::Both,
            HttpVersion::Http1 => Self::Http1,
            HttpVersion::Http2 => Self::Http2,
        }
    }
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        let (h2, http1) = (b"h2".to_vec(), b"http/1.1".to_vec());
        match self {
            Self::None => Vec::new(),
            Self::Http1 => vec![http1],
            Self::Http2 => vec![h2],
            Self::Both => vec![h2, http1],
        }
    }
}

/// A digest of the PEM texts, so that a key holds neither texts nor secrets.
type Key = (Option<[u8; 32]>, Alpn);

/// Above this many distinct settings the cache starts over; reloads may leave old ones behind.
const CACHED: usize = 1024;

/// Client settings, built once per distinct need.
#[derive(Default)]
pub(super) struct TlsCache {
    configs: Mutex<HashMap<Key, Arc<ClientConfig>>>,
}

impl TlsCache {
    /// The settings for a destination; `Err` says what is wrong with the PEM texts.
    pub(super) fn config(&self, options: &TlsOptions, alpn: Alpn) -> Result<Arc<ClientConfig>, String> {
        let key = (digest(options), alpn);
        if let Some(config) = self.lock().get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(build(options, alpn)?);
        let mut configs = self.lock();
        if configs.len() >= CACHED {
            configs.clear();
        }
        configs.insert(key, Arc::clone(&config));
        Ok(config)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<ClientConfig>>> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` for the usual roots without a client certificate, which most destinations have.
fn digest(options: &TlsOptions) -> Option<[u8; 32]> {
    if options.ca_pem.is_none() && options.client.is_none() {
        return None;
    }
    let client = options.client.as_ref();
    let parts = [
        options.ca_pem.as_deref().unwrap_or_default(),
        client.map(|(chain, _)| &**chain).unwrap_or_default(),
        client.map(|(_, key)| key.expose()).unwrap_or_default(),
    ];
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().try_into().ok()
}

impl TlsOptions {
    /// Whether the settings can be used: the PEM texts parse, the key fits the certificate, the
    /// server name is one. `Err` says what is wrong and the way out.
    pub fn check(&self) -> Result<(), String> {
        if let Some(name) = &self.server_name {
            server_name(name)?;
        }
        build(self, Alpn::None).map(drop)
    }
}

pub(super) fn build(options: &TlsOptions, alpn: Alpn) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots(options)?);
    let mut config = match &options.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let (chain, key) = client_pair(chain, key)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate and its key cannot be used: {error}"))?
        }
    };
    config.alpn_protocols = alpn.protocols();
    // A measured handshake is a whole one.
    config.resumption = Resumption::disabled();
    Ok(config)
}

pub(super) fn roots(options: &TlsOptions) -> Result<Arc<RootCertStore>, String> {
    let usual = usual_roots();
    let Some(pem) = &options.ca_pem else { return Ok(usual) };
    let mut store = RootCertStore::clone(&usual);
    let certificates = certificates(pem, "the CA file")?;
    for certificate in certificates {
        store
            .add(certificate)
            .map_err(|error| format!("the CA file holds an unusable certificate: {error}"))?;
    }
    Ok(Arc::new(store))
}

/// The system's roots, read once; where the system has none, Mozilla's as compiled in.
fn usual_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(system_roots().iter().cloned());
        if store.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(store)
    };
    Arc::clone(ROOTS.get_or_init(load))
}

/// The roots of the system's store, DER, read once; none where it has no store.
pub fn system_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}

fn certificates(pem: &str, place: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{place} is not valid PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("{place} holds no certificate; it must be PEM (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(certificates)
}

pub(super) type ClientPair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub(super) fn client_pair(chain: &str, key: &Secret) -> Result<ClientPair, String> {
    let chain = certificates(chain, "the client certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| {
        format!(
            "the client key ({}) is not an unencrypted PEM private key (PKCS #8, PKCS #1 or SEC 1)",
            key.shown()
        )
    })?;
    Ok((chain, key))
}

pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare.to_owned()).map_err(|_| format!("`{}` cannot be a TLS server name", tidy(name)))
}

/// Shakes hands over an open stream. `host` is verified unless the options name another.
pub(super) async fn handshake<S>(
    stream: S,
    config: Arc<ClientConfig>,
    host: &str,
    deadline: Instant,
) -> Result<TlsStream<S>, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = server_name(host).map_err(|why| Fault::protocol(Phase::Tls, why))?;
    match timeout_at(deadline, TlsConnector::from(config).connect(name, stream)).await {
        Err(_) => Err(Fault::new(Phase::Tls, FailReason::Timeout)),
        Ok(Err(error)) => Err(Fault::from_error(Phase::Tls, &error)),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// What the handshake agreed on.
pub(super) fn info(session: &ClientConnection) -> TlsInfo {
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    let cipher = suite.and_then(|suite| suite.as_str()).unwrap_or_default();
    TlsInfo {
        version: version.replace('_', "."),
        // The library names the suites of TLS 1.3 apart; IANA does not.
        cipher: cipher.replacen("TLS13_", "TLS_", 1),
        alpn: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        not_after: session.peer_certificates().and_then(|chain| chain.first()).and_then(not_after),
    }
}

fn not_after(leaf: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// A TLS error as a reason.
pub(super) fn explain(error: &rustls::Error) -> FailReason {
    match error {
        rustls::Error::AlertReceived(alert) => FailReason::TlsAlert(names::alert(u8::from(*alert))),
        rustls::Error::InvalidCertificate(why) => FailReason::Certificate(certificate_words(why)),
        rustls::Error::NoCertificatesPresented => FailReason::Certificate("not presented".into()),
        other => FailReason::Protocol(one_line(other)),
    }
}

fn certificate_words(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired => "expired".into(),
        CertificateError::ExpiredContext { not_after, .. } => format!("expired on {}", date(*not_after)),
        CertificateError::NotValidYet => "not yet valid".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("not yet valid, it starts on {}", date(*not_before))
        }
        CertificateError::Revoked => "revoked".into(),
        CertificateError::UnknownIssuer => "from an unknown issuer".into(),
        CertificateError::NotValidForName => "not valid for the name".into(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            not_for_name(&expected.to_str(), presented)
        }
        CertificateError::BadSignature => "with a bad signature".into(),
        CertificateError::BadEncoding => "not well encoded".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "not meant for servers (extended key usage)".into()
        }
        other => format!("not acceptable: {}", tidy(&other.to_string())),
    }
}

fn not_for_name(expected: &str, presented: &[String]) -> String {
    if presented.is_empty() {
        return format!("not valid for name {expected}, it names none");
    }
    // Names come as `DnsName("a.example")`; the quoted part is what a person reads.
    let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let shown: Vec<String> = presented.iter().take(5).map(bare).collect();
    let more = presented.len().saturating_sub(shown.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("not valid for name {expected}, it is for {}{more}", tidy(&shown.join(", ")))
}

fn date(time: UnixTime) -> String {
    let instant = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    instant.map_or_else(|| "a date out of range".into(), |instant| instant.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_named_as_the_standard_names_them() {
        use rustls::AlertDescription;
        for (alert, name) in [
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::UnrecognisedName, "unrecognized_name"),
            (AlertDescription::Unknown(200), "200"),
        ] {
            let error = rustls::Error::AlertReceived(alert);
            assert_eq!(explain(&error), FailReason::TlsAlert(name.into()));
        }
    }

    #[test]
    fn bad_pem_is_found_before_the_first_handshake() {
        let with_ca = |pem: &str| TlsOptions { ca_pem: Some(pem.into()), ..TlsOptions::default() };
        assert!(TlsOptions::default().check().is_ok());
        assert!(with_ca("").check().unwrap_err().contains("holds no certificate"));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(with_ca(garbage).check().is_err());

        let issued = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        assert_eq!(with_ca(&issued.cert.pem()).check(), Ok(()));
        let client = |key: &str| TlsOptions {
            client: Some((issued.cert.pem().into(), Secret::new(key, "file:key.pem"))),
            ..TlsOptions::default()
        };
        assert_eq!(client(&issued.signing_key.serialize_pem()).check(), Ok(()));
        let why = client("not a key").check().unwrap_err();
        assert!(why.contains("file:key.pem") && !why.contains("not a key"), "{why}");
        let other = rcgen::generate_simple_self_signed(["b.example".to_owned()]).unwrap();
        assert!(client(&other.signing_key.serialize_pem()).check().is_err());

        let named = |name: &str| TlsOptions { server_name: Some(name.into()), ..TlsOptions::default() };
        assert_eq!(named("a.example").check(), Ok(()));
        assert!(named("a b").check().is_err());
    }

    #[test]
    fn settings_are_built_once_and_never_mixed_up() {
        let cache = TlsCache::default();
        let plain = TlsOptions::default();
        let first = cache.config(&plain, Alpn::Both).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.config(&plain, Alpn::Both).unwrap()));
        assert!(!Arc::ptr_eq(&first, &cache.config(&plain, Alpn::Http1).unwrap()));
        let issued = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let private = TlsOptions { ca_pem: Some(issued.cert.pem().into()), ..TlsOptions::default() };
        assert!(!Arc::ptr_eq(&first, &cache.config(&private, Alpn::Both).unwrap()));
    }
}
