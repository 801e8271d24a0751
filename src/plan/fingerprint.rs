//! By what a reload knows that a check's settings changed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::config::settings;
use crate::formats::yaml::Value;
use crate::model::Secret;
use crate::net::TlsOptions;
use crate::probe::Scope;

/// What of a check decides whether something learned under other settings still holds: what its kind
/// reads, where it goes and as whom. How often and how patiently it looks is no part of it. `identity`
/// is what is written of its identity; `secrets` are all that it uses.
pub(super) fn fingerprint(
    check: &settings::Check,
    scope: &Scope,
    identity: Option<&Value>,
    secrets: &[Secret],
) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&check.kind, &scope.portal.url, &scope.portal.hosts, scope.portal.private).hash(&mut hasher);
    (&check.spec.value, identity).hash(&mut hasher);
    secrets.iter().for_each(|secret| secret.expose().hash(&mut hasher));
    tls(&scope.tls).hash(&mut hasher);
    hasher.finish()
}

/// TLS settings with the content of their files.
pub(super) fn tls(options: &TlsOptions) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&options.ca_pem, &options.server_name).hash(&mut hasher);
    if let Some((cert, key)) = &options.client {
        (cert, key.expose()).hash(&mut hasher);
    }
    hasher.finish()
}
