//! Whether the TLS settings of a check can be used.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::net::TlsOptions;

/// What is wrong with them.
pub fn faults(options: &TlsOptions) -> impl Iterator<Item = String> {
    let readable = |pem: &str| {
        let mut some = false;
        let good = CertificateDer::pem_slice_iter(pem.as_bytes()).all(|found| {
            some = true;
            found.is_ok()
        });
        some && good
    };
    let ca = options.ca_pem.as_ref().filter(|pem| !readable(pem)).map(|_| {
        "tls: ca_file holds no PEM certificate that can be read; it begins with -----BEGIN CERTIFICATE-----"
    });
    let client = options.client.as_ref();
    let chain = client
        .filter(|(chain, _)| !readable(chain))
        .map(|_| "tls: the client certificate holds no PEM certificate that can be read");
    let key = client
        .filter(|(_, key)| PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).is_err())
        .map(|_| "tls: the client key is no PEM private key (PKCS#8, PKCS#1 or SEC1, without a passphrase)");
    let name = options
        .server_name
        .as_ref()
        .filter(|name| rustls::pki_types::ServerName::try_from(name.as_str()).is_err())
        .map(|_| "tls: server_name is no host name");
    [ca, chain, key, name].into_iter().flatten().map(str::to_owned)
}
