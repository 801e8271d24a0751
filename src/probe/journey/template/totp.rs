//! One-time codes (RFC 6238) as authenticator apps make them: SHA-1, six digits, 30 seconds.

use jiff::Timestamp;
use totp_rs::{Algorithm, Builder, Secret};

use crate::model::totp_key;

/// Seconds for which a code is valid.
const STEP: u64 = 30;

/// What is said of a secret that cannot be read; the secret itself is never shown.
const NO_BASE32: &str = "the TOTP secret is no base32 (letters A to Z, digits 2 to 7); copy it from where the portal shows it as text";

/// The time step that a code belongs to: portals accept a code once, so whoever signs in twice within
/// a step waits for the next.
pub fn totp_step(at: Timestamp) -> u64 {
    seconds(at) / STEP
}

/// The codes that a run may have shown in the window and the one after it.
pub fn shown_codes(secret: &str, window: u64) -> Vec<String> {
    let starts = [window, window + 1].map(|window| i64::try_from(window.saturating_mul(STEP)).ok());
    let starts = starts.into_iter().flatten().filter_map(|start| Timestamp::from_second(start).ok());
    starts.filter_map(|start| code(secret, start).ok()).collect()
}

/// The code of an instant.
pub(super) fn code(secret: &str, at: Timestamp) -> Result<String, String> {
    // Secrets shorter than the RFC asks for are in use, and the portal chose it, not we.
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(STEP)
        .with_secret(totp_key(secret).map(Secret::from).ok_or(NO_BASE32)?)
        .build_noncompliant();
    Ok(totp.generate(seconds(at)).to_string())
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}
