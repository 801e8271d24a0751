//! Building paths from a leaf to what is trusted (RFC 4158). Faults do not end a path here: a chain
//! is followed through expired and misused certificates, so that all that is wrong can be told. Only
//! a signature that does not hold does.

use std::collections::HashMap;

use super::anchors::{Anchor, Anchors};
use super::signature::{self, Check};
use crate::formats::x509::Certificate;

/// A path from the leaf upwards.
#[derive(Clone, Debug)]
pub struct Path<'a> {
    /// The leaf and the intermediate certificates above it.
    pub certificates: Vec<&'a Certificate>,
    /// What of each one's signature was found; as many as certificates for a whole path, one less
    /// where nothing above the last is known.
    pub signatures: Vec<Check>,
    /// What it ends at.
    pub anchor: Option<&'a Anchor>,
}

impl<'a> Path<'a> {
    /// The certificates with that of the root, where there is one that is not the leaf itself.
    pub fn with_root(&self) -> Vec<&'a Certificate> {
        let mut all = self.certificates.clone();
        let root = self.anchor.and_then(|anchor| anchor.certificate.as_ref());
        all.extend(
            root.filter(|root| self.certificates.last().is_none_or(|last| last.sha256 != root.sha256)),
        );
        all
    }

    /// The position of the root in [`Path::with_root`], where it is there.
    pub fn root_position(&self) -> Option<usize> {
        (self.with_root().len() > self.certificates.len()).then_some(self.certificates.len())
    }
}

/// Bounds on the search: hostile chains make it grow without end (Go CVE-2018-16875). As many
/// signatures as the larger of the common libraries verify.
const SIGNATURES: usize = 100;
const STEPS: usize = 20_000;
const PATHS: usize = 32;
const LONGEST: usize = 24;

/// What the search is left with when no path pleases.
pub struct Searched<'a> {
    /// The longest run of certificates that ends at nothing trusted.
    pub longest: Path<'a>,
    /// A certificate whose only issuers did not sign it.
    pub forged: Option<&'a Certificate>,
    /// The bounds were reached.
    pub exhausted: bool,
}

struct Search<'a, 'f> {
    sent: &'a [Certificate],
    anchors: &'a Anchors,
    at: i64,
    visit: &'f mut dyn FnMut(&Path<'a>) -> bool,
    seen: HashMap<(usize, usize), Check>,
    signatures: usize,
    steps: usize,
    paths: usize,
    done: bool,
    result: Searched<'a>,
}

/// Shows each path to `visit` until it says that one will do.
pub fn search<'a>(
    leaf: &'a Certificate,
    sent: &'a [Certificate],
    anchors: &'a Anchors,
    at: i64,
    visit: &mut dyn FnMut(&Path<'a>) -> bool,
) -> Searched<'a> {
    let path = Path { certificates: vec![leaf], signatures: Vec::new(), anchor: None };
    let mut search = Search {
        sent,
        anchors,
        at,
        visit,
        seen: HashMap::new(),
        signatures: SIGNATURES,
        steps: STEPS,
        paths: PATHS,
        done: false,
        result: Searched { longest: path.clone(), forged: None, exhausted: false },
    };
    search.extend(path, 0);
    search.result
}

impl<'a> Search<'a, '_> {
    /// Follows a path on from its last certificate, which has this number: 0 is the leaf, then what
    /// was sent in its order.
    fn extend(&mut self, path: Path<'a>, number: usize) {
        let Some(last) = path.certificates.last().copied() else { return };
        if path.certificates.len() > self.result.longest.certificates.len() {
            self.result.longest = path.clone();
        }
        let mut forged = false;
        let mut signed = false;
        for (index, anchor) in self.anchors.iter().enumerate() {
            if anchor.name != last.issuer {
                continue;
            }
            match self.check(last, number, self.sent.len() + 1 + index, &anchor.spki) {
                None => return,
                Some(Check::Bad) => forged = true,
                Some(check) => {
                    signed = true;
                    let mut whole = path.clone();
                    whole.signatures.push(check);
                    whole.anchor = Some(anchor);
                    self.show(&whole);
                }
            }
            if self.done {
                return;
            }
        }
        if path.certificates.len() < LONGEST {
            for index in self.candidates(last, &path) {
                let Some(issuer) = self.sent.get(index) else { continue };
                match self.check(last, number, index + 1, issuer.spki()) {
                    None => return,
                    Some(Check::Bad) => forged = true,
                    Some(check) => {
                        signed = true;
                        let mut longer = path.clone();
                        longer.signatures.push(check);
                        longer.certificates.push(issuer);
                        self.extend(longer, index + 1);
                    }
                }
                if self.done {
                    return;
                }
            }
        }
        if forged && !signed {
            self.result.forged = Some(last);
        }
    }

    fn show(&mut self, path: &Path<'a>) {
        self.paths = self.paths.saturating_sub(1);
        let pleased = (self.visit)(path);
        self.result.exhausted |= !pleased && self.paths == 0;
        self.done |= pleased || self.paths == 0;
    }

    /// What was sent and may have issued a certificate, the likeliest first.
    fn candidates(&self, last: &Certificate, path: &Path<'a>) -> Vec<usize> {
        let used = |other: &Certificate| path.certificates.iter().any(|own| own.sha256 == other.sha256);
        let fits = |other: &Certificate| other.subject == last.issuer && !used(other);
        let numbered = self.sent.iter().enumerate().filter(|(_, other)| fits(other));
        let mut fitting: Vec<(bool, bool, usize)> = numbered
            .map(|(index, other)| (!keys_match(last, other), !is_current(other, self.at), index))
            .collect();
        fitting.sort_unstable();
        fitting.into_iter().map(|(.., index)| index).collect()
    }

    /// `None` when the bounds are reached.
    fn check(&mut self, certificate: &Certificate, number: usize, by: usize, spki: &[u8]) -> Option<Check> {
        self.steps = self.steps.saturating_sub(1);
        if let Some(known) = self.seen.get(&(number, by))
            && self.steps > 0
        {
            return Some(*known);
        }
        if self.steps == 0 || self.signatures == 0 {
            self.result.exhausted = true;
            self.done = true;
            return None;
        }
        self.signatures -= 1;
        let check = signature::of_certificate(certificate, spki);
        self.seen.insert((number, by), check);
        Some(check)
    }
}

/// Whether the key identifiers say that one issued the other; true where they say nothing.
pub fn keys_match(certificate: &Certificate, issuer: &Certificate) -> bool {
    let wanted = certificate.extensions.aki.as_ref().and_then(|aki| aki.key.as_ref());
    match (wanted, &issuer.extensions.ski) {
        (Some(wanted), Some(own)) => wanted == own,
        _ => true,
    }
}

fn is_current(certificate: &Certificate, at: i64) -> bool {
    certificate.not_before.seconds.is_some_and(|from| from <= at)
        && certificate.not_after.seconds.is_some_and(|until| at <= until)
}
