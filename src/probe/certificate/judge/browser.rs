//! Whether common clients accept the chain: webpki, the verifier behind rustls, kin to that of
//! Firefox. It is more lenient than the standards, and stops at the first thing it dislikes; what is
//! wrong in detail the other judges tell.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use super::name::Wanted;
use super::{Purpose, Question};

/// Asks webpki, revocation left out.
///
/// # Errors
/// It refuses: its words.
pub fn accepts(question: &Question<'_>) -> Result<(), String> {
    let words = |error: webpki::Error| error.to_string();
    let leaf = CertificateDer::from(question.leaf.der());
    let sent: Vec<CertificateDer<'_>> =
        question.sent.iter().map(|certificate| CertificateDer::from(certificate.der())).collect();
    let usage = match question.purpose {
        Purpose::Server => KeyUsage::server_auth(),
        Purpose::Client => KeyUsage::client_auth(),
    };
    // Before 1970 there is no time that webpki takes; nothing was valid then.
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(question.at).unwrap_or(0)));
    let leaf = EndEntityCert::try_from(&leaf).map_err(words)?;
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, question.anchors.webpki(), &sent, at, usage, None, None)
        .map_err(words)?;
    let name = match question.name {
        Some(Wanted::Host(host)) => ServerName::try_from(host.as_str()).map_err(|error| error.to_string())?,
        Some(Wanted::Ip(ip)) => ServerName::from(*ip),
        Some(Wanted::Mailbox(_)) | None => return Ok(()),
    };
    leaf.verify_is_valid_for_subject_name(&name).map_err(words)
}
