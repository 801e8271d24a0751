//! Whether a chain that was seen elsewhere verifies: the library's opinion, without a connection.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::{FailReason, Net, TlsOptions, tls};

impl Net {
    /// Verifies a chain, the server's own certificate first, for a name at an instant, against the usual
    /// roots and those of `options`. Revocation is not checked.
    ///
    /// # Errors
    /// Why it does not verify, in words (`expired on …`, `not valid for name …`).
    pub fn verify_chain(
        &self,
        chain: &[Vec<u8>],
        name: &str,
        options: &TlsOptions,
        at: Timestamp,
    ) -> Result<(), String> {
        verify(chain, name, tls::roots(options)?, at)
    }

    /// The same against one trust anchor alone, as DANE names one (RFC 7671 section 5.2).
    ///
    /// # Errors
    /// Why it does not verify, in words.
    pub fn verify_below(
        &self,
        chain: &[Vec<u8>],
        name: &str,
        anchor: &[u8],
        at: Timestamp,
    ) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        let anchor = CertificateDer::from(anchor.to_vec());
        roots.add(anchor).map_err(|why| format!("the trust anchor cannot be used: {why}"))?;
        verify(chain, name, Arc::new(roots), at)
    }
}

fn verify(chain: &[Vec<u8>], name: &str, roots: Arc<RootCertStore>, at: Timestamp) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|why| format!("it cannot be verified: {why}"))?;
    let name = tls::server_name(name)?;
    let ders: Vec<CertificateDer<'_>> =
        chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let Some((leaf, rest)) = ders.split_first() else { return Err("no certificate was shown".to_owned()) };
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    match verifier.verify_server_cert(leaf, rest, &name, &[], now) {
        Ok(_) => Ok(()),
        Err(why) => Err(match tls::explain(&why) {
            FailReason::Certificate(words) => words,
            other => other.to_string(),
        }),
    }
}
