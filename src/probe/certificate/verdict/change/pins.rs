//! Pins: the public keys of which a leaf must have one.

use base64::Engine as _;

use super::super::{Case, Note, leaves};
use super::short;
use crate::model::Finding;
use crate::probe::certificate::docs::change as docs;

/// The SHA-256 that a pin writes in hex or base64, in lower-case hex.
///
/// # Errors
/// It is neither.
pub fn digest(pin: &str) -> Result<String, String> {
    const BYTES: usize = 32;
    let bare = pin.trim();
    let bare = bare.strip_prefix("sha256/").unwrap_or(bare);
    let hex: String = bare.chars().filter(|c| *c != ':').collect();
    if hex.len() == BYTES * 2 && hex.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(hex.to_ascii_lowercase());
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(bare).ok();
    bytes
        .filter(|bytes| bytes.len() == BYTES)
        .map(|bytes| crate::formats::x509::hex(&bytes))
        .ok_or_else(|| format!("{pin:?} is no SHA-256 of a public key; write its 32 bytes in hex or base64"))
}

/// Leaves whose key is none of the pins.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let pins: Vec<String> = case.spec.pins.iter().filter_map(|pin| digest(pin).ok()).collect();
    if pins.is_empty() {
        return Vec::new();
    }
    let mut notes = Vec::new();
    for host in &case.facts.hosts {
        let leaves = leaves::of_host(case, host);
        for (kind, leaf) in leaves.iter().flat_map(|(kind, all)| all.iter().map(move |leaf| (kind, leaf))) {
            let key = &leaf.certificate.spki_sha256;
            if pins.contains(key) {
                continue;
            }
            let summary = format!("its public key (SHA-256 {}) is none of the pins", short(key));
            let finding = Finding::of(&docs::PIN, leaves::part(kind, leaves.len()), summary)
                .with("spki_sha256", key.as_str());
            notes.push(Note { host, address: Some(leaf.address), finding });
        }
    }
    notes
}
