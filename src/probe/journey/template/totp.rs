//! One-time codes (RFC 6238) as authenticator apps make them: SHA-1, six digits, 30 seconds.

use jiff::Timestamp;
use totp_rs::{Algorithm, Builder, Secret};

/// Seconds for which a code is valid.
const STEP: u64 = 30;

/// What is said of a secret that cannot be read; the secret itself is never shown.
const NO_BASE32: &str = "the TOTP secret is no base32 (letters A to Z, digits 2 to 7); copy it from where the portal shows it as text";

/// The time step that a code belongs to: portals accept a code once, so whoever signs in twice within
/// a step waits for the next.
pub fn totp_step(at: Timestamp) -> u64 {
    seconds(at) / STEP
}

/// Checks that a TOTP secret is base32. Spaces, hyphens, lower case and missing padding are fine.
///
/// # Errors
/// That it is none, without the secret.
pub fn check_totp_secret(secret: &str) -> Result<(), String> {
    read(secret).map(drop)
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
        .with_secret(read(secret)?)
        .build_noncompliant();
    Ok(totp.generate(seconds(at)).to_string())
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

fn read(secret: &str) -> Result<Secret, String> {
    let mut letters: String =
        secret.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
    letters.make_ascii_uppercase();
    let letters = letters.trim_end_matches('=');
    // Five bits a letter: these numbers of letters end in the midst of a byte.
    let cut = matches!(letters.len() % 8, 1 | 3 | 6);
    if letters.is_empty() || cut || !letters.bytes().all(|letter| matches!(letter, b'A'..=b'Z' | b'2'..=b'7'))
    {
        return Err(NO_BASE32.into());
    }
    Secret::try_from_base32(letters).map_err(|_| NO_BASE32.into())
}
