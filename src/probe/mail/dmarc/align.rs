//! Identifier alignment (RFC 9989 section 4.4).

use crate::formats::dmarc::Alignment;

/// Whether an authenticated domain is near enough to that of `From`. `organizational` says which domain
/// stands for the organization of another ([`super::walk::Walked::organizational`]).
pub fn aligned(
    from: &str,
    authenticated: &str,
    mode: Alignment,
    organizational: &dyn Fn(&str) -> String,
) -> bool {
    let (Some(from), Some(authenticated)) = (plain(from), plain(authenticated)) else { return false };
    match mode {
        _ if from == authenticated => true,
        Alignment::Strict => false,
        Alignment::Relaxed => organizational(&from) == organizational(&authenticated),
    }
}

/// In lower case, without dots at its ends; none if labels are empty.
fn plain(domain: &str) -> Option<String> {
    let domain = domain.trim_matches('.').to_ascii_lowercase();
    (!domain.is_empty() && domain.split('.').all(|label| !label.is_empty())).then_some(domain)
}
