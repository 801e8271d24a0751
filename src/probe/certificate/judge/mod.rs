//! Judging a chain of certificates at an instant. Pure.
//!
//! Two answers are given, and told apart: whether common clients accept the chain (`browser`), and
//! whether a client that holds it to all of RFC 5280 and of the CA/Browser Forum's baseline
//! requirements does. Everything that is wrong is told at once, not the first thing: paths are built
//! through faulty certificates (`path`), and each rule (`rules`, `lint`) looks by itself.
//! Where standards differ (an authority as a leaf, name constraints that are not critical), the Web
//! PKI's reading is taken.

mod anchors;
mod browser;
mod constraints;
pub(in crate::probe::certificate) mod docs;
pub mod expiry;
mod fault;
mod lint;
mod name;
mod order;
mod path;
mod policy;
pub mod revocation;
mod rules;
pub mod signature;
pub mod staple;
#[cfg(test)]
mod tests;
pub mod timestamps;

use serde::Serialize;

pub use self::anchors::{Anchor, Anchors};
pub use self::docs::ALL as FINDINGS;
pub use self::fault::Fault;
pub use self::name::{Wanted, covering};
use self::path::{Path, Searched};
use self::signature::Check;
use crate::formats::x509::{Certificate, Crl, Malformed};
use crate::model::{Finding, FindingDoc, Severity};

/// What the leaf is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A TLS server.
    #[default]
    Server,
    /// A TLS client.
    Client,
}

impl Purpose {
    /// The extended key usage that allows it.
    pub const fn oid(self) -> &'static str {
        match self {
            Self::Server => "1.3.6.1.5.5.7.3.1",
            Self::Client => "1.3.6.1.5.5.7.3.2",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Server => "serverAuth",
            Self::Client => "clientAuth",
        }
    }
}

/// What is to be judged; `C` is how certificates are given: read, or as their encoding.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a, C = Certificate> {
    /// The certificate itself.
    pub leaf: &'a C,
    /// What was sent with it, in its order.
    pub sent: &'a [C],
    /// What is trusted.
    pub anchors: &'a Anchors,
    /// Revocation lists; without one of its authority a certificate's revocation is not looked at.
    pub crls: &'a [Crl],
    /// What for.
    pub purpose: Purpose,
    /// For whom; `None` leaves the name out.
    pub name: Option<&'a Wanted>,
    /// When, in seconds since 1970.
    pub at: i64,
    /// At most so many intermediate certificates, self-issued ones not counted.
    pub max_depth: Option<usize>,
}

/// Whether and why the chain is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// A path to a trusted root holds.
    Trusted,
    /// The leaf is signed by itself, and not trusted.
    SelfSigned,
    /// No path leads to a trusted root.
    UnknownIssuer,
    /// The leaf's issuer is neither sent nor trusted, but the leaf says where its certificate is.
    Incomplete,
    /// A path leads to a trusted root, but a rule is broken on it: the findings say which.
    Untrusted,
    /// What should have signed the leaf, or a certificate above it, did not.
    BadSignature,
    /// So many paths are possible that the search was given up.
    TooComplex,
    /// The leaf is no certificate that can be read.
    Unreadable,
}

/// A certificate of the path that was used.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    /// Its number; 0 is the leaf.
    pub position: usize,
    /// Its place: `leaf`, `intermediate` or `root`.
    pub role: &'static str,
    /// Whole days until its end; negative after it.
    pub days_left: Option<i64>,
    /// The share of its lifetime that is left.
    pub share_left: Option<f64>,
    /// What it says.
    #[serde(flatten)]
    pub certificate: Certificate,
}

/// What is thought of a chain.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// Whether a strict client accepts it.
    pub valid: bool,
    /// Whether and why it is trusted, its name and its revocation left out.
    pub trust: Trust,
    /// Whether it is for the name; `None` where none was asked for.
    pub name_matches: Option<bool>,
    /// Whether common clients accept it: webpki's opinion.
    pub browser: Browser,
    /// The path that was used, or as far as one leads; the root where its certificate is known.
    pub chain: Vec<Link>,
    /// Whether the path that was used ends at a root of Mozilla's store.
    #[serde(skip)]
    pub public: bool,
    /// All that is wrong or worth a word.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Webpki's opinion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Browser {
    /// Whether it accepts the chain and the name.
    pub accepts: bool,
    /// Why not, in its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A path and what is wrong with it.
struct Weighed<'a> {
    path: Path<'a>,
    faults: Vec<Fault>,
}

impl Weighed<'_> {
    /// Fewer is better: first what stops clients, then what stops strict ones.
    fn badness(&self) -> (usize, usize) {
        let strict = || self.faults.iter().filter(|fault| fault.strict);
        (strict().filter(|fault| fault.doc.broken).count(), strict().count())
    }
}

/// Judges a chain as it came from the wire or from a file, DER by DER.
pub fn judge_encoded(question: &Question<'_, Vec<u8>>) -> Judged {
    let leaf = Certificate::parse(question.leaf);
    let sent: Vec<_> = question.sent.iter().map(|der| Certificate::parse(der)).collect();
    let sent: Vec<_> = sent.iter().collect();
    let Question { anchors, crls, purpose, name, at, max_depth, .. } = *question;
    judge_read(&Question { leaf: &&leaf, sent: &sent, anchors, crls, purpose, name, at, max_depth })
}

/// Judges a chain of which some certificates may be unreadable.
pub fn judge_read(question: &Question<'_, &Result<Certificate, Malformed>>) -> Judged {
    let leaf = match question.leaf {
        Ok(leaf) => leaf,
        Err(why) => return unreadable(why),
    };
    let mut faults = Vec::new();
    let mut sent = Vec::new();
    for (number, reading) in (1..).zip(question.sent) {
        match reading {
            Ok(certificate) => sent.push(certificate.clone()),
            Err(why) => {
                let summary = format!("certificate {number} after the leaf cannot be read: {why}");
                faults.push(Fault {
                    severity: Severity::Warning,
                    ..Fault::note(&docs::UNREADABLE, None, summary)
                });
            }
        }
    }
    let Question { anchors, crls, purpose, name, at, max_depth, .. } = *question;
    let mut judged = judge(&Question { leaf, sent: &sent, anchors, crls, purpose, name, at, max_depth });
    // An unreadable certificate breaks only what needs it, and that is told by itself.
    judged.findings.extend(findings(&faults, &[], true));
    sort(&mut judged.findings);
    judged
}

fn unreadable(why: &Malformed) -> Judged {
    let summary = format!("the certificate cannot be read: {why}");
    Judged {
        valid: false,
        trust: Trust::Unreadable,
        name_matches: None,
        browser: Browser { accepts: false, why: Some(summary.clone()) },
        chain: Vec::new(),
        public: false,
        findings: findings(&[Fault::strict(&docs::UNREADABLE, 0, summary)], &[], false),
    }
}

/// Judges a chain.
pub fn judge(question: &Question<'_>) -> Judged {
    let mut best: Option<Weighed<'_>> = None;
    let searched = path::search(question.leaf, question.sent, question.anchors, question.at, &mut |path| {
        let weighed = Weighed { path: path.clone(), faults: of_path(path, question) };
        let pleases = weighed.badness() == (0, 0);
        if best.as_ref().is_none_or(|best| weighed.badness() < best.badness()) {
            best = Some(weighed);
        }
        pleases
    });
    let (trust, weighed) = match best {
        Some(weighed) => {
            let broken = weighed.faults.iter().any(|fault| fault.strict && breaks_trust(fault.doc));
            (if broken { Trust::Untrusted } else { Trust::Trusted }, weighed)
        }
        None => untrusted(&searched, question),
    };
    let name = question.name.map(|wanted| name::covering(question.leaf, wanted));
    conclude(question, trust, weighed, name.map(|name| name.map(|_| ())))
}

/// Whether a certificate is signed by its own key, under its own name.
pub fn is_self_signed(certificate: &Certificate) -> bool {
    let check = || signature::of_certificate(certificate, certificate.spki());
    certificate.self_issued && matches!(check(), Check::Good | Check::Weak)
}

/// Whether a certificate is for a name, by its alternative names.
pub fn name_covered(certificate: &Certificate, wanted: &Wanted) -> bool {
    name::covering(certificate, wanted).is_ok()
}

/// A broken path; lints and revocation are told beside it.
fn breaks_trust(doc: &FindingDoc) -> bool {
    doc.broken && doc.id != docs::REVOKED.id
}

fn of_path(path: &Path<'_>, question: &Question<'_>) -> Vec<Fault> {
    let mut faults = rules::faults(path, question);
    faults.extend(lint::faults(path, question.purpose));
    faults.extend(revocation::faults(path, question.crls, question.at));
    faults
}

/// What is thought where no path leads to a trusted root.
fn untrusted<'a>(searched: &Searched<'a>, question: &Question<'_>) -> (Trust, Weighed<'a>) {
    let path = searched.longest.clone();
    let last = path.certificates.len().saturating_sub(1);
    let top = path.certificates.last().copied();
    let self_issued = top.is_some_and(|top| top.self_issued);
    // Above an intermediate certificate mostly a root is missing, and that is not sent anyway.
    let fetchable =
        last == 0 && top.is_some_and(|top| !top.self_issued && !top.extensions.ca_issuers.is_empty());
    let issuer = top.map(|top| top.issuer.to_string()).unwrap_or_default();
    let (trust, fault) = if searched.exhausted {
        let summary = "so many paths are possible that the search for one was given up";
        (Trust::TooComplex, Fault::strict(&docs::UNKNOWN_ISSUER, None, summary))
    } else if let Some(forged) = searched.forged {
        let position = path.certificates.iter().position(|certificate| certificate.sha256 == forged.sha256);
        let summary = format!("is not signed by the key of {}", forged.issuer);
        (Trust::BadSignature, Fault::strict(&docs::SIGNATURE, position, summary))
    } else if last == 0 && top.is_some_and(is_self_signed) {
        (
            Trust::SelfSigned,
            Fault::strict(&docs::SELF_SIGNED, 0, "is signed by itself and not among the trusted roots"),
        )
    } else if fetchable {
        let summary = format!("the certificate of its issuer {issuer} is not sent, but can be fetched");
        (Trust::Incomplete, Fault::strict(&docs::INCOMPLETE, last, summary))
    } else if self_issued {
        (Trust::UnknownIssuer, Fault::strict(&docs::UNKNOWN_ISSUER, last, "is a root that is not trusted"))
    } else {
        let summary = format!("its issuer {issuer} is neither sent nor trusted");
        (Trust::UnknownIssuer, Fault::strict(&docs::UNKNOWN_ISSUER, last, summary))
    };
    let mut faults = vec![fault];
    faults.extend(of_path(&path, question));
    (trust, Weighed { path, faults })
}

fn conclude(
    question: &Question<'_>,
    trust: Trust,
    weighed: Weighed<'_>,
    name: Option<Result<(), String>>,
) -> Judged {
    let Weighed { path, mut faults } = weighed;
    if let Some(Err(why)) = &name {
        faults.push(Fault::strict(&docs::NAME, 0, why.as_str()));
    }
    let valid = !faults.iter().any(|fault| fault.strict);
    let browser = browser::accepts(question);
    if let Err(why) = &browser
        && !faults.iter().any(|fault| fault.broken)
    {
        let fault = Fault::note(&docs::BROWSER, None, format!("common clients refuse the chain: {why}"));
        // Webpki knows less than the standards (policy constraints, self-issued authorities): where
        // nothing is wrong by them, other clients do connect.
        faults.push(if valid {
            Fault { broken: false, severity: Severity::Warning, ..fault }
        } else {
            fault
        });
    }
    let used = path.with_root();
    faults.extend(expiry::faults(&used, question.at));
    faults.extend(order::faults(question.leaf, question.sent, &path));
    let findings = findings(&faults, &used, browser.is_ok());
    Judged {
        valid,
        trust,
        name_matches: name.map(|name| name.is_ok()),
        browser: Browser { accepts: browser.is_ok(), why: browser.err() },
        chain: links(&path, question.at),
        public: path.anchor.is_some_and(|anchor| anchor.public),
        findings,
    }
}

/// What browsers accept is not broken, whatever else it is; but a revoked certificate is to be
/// replaced now, and browsers were not asked about that.
fn findings(faults: &[Fault], used: &[&Certificate], accepted: bool) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for fault in faults {
        let certificate = fault.position.and_then(|position| used.get(position));
        let subject = match fault.position {
            None => "chain".to_owned(),
            Some(0) => "leaf".to_owned(),
            Some(position) => format!("issuer {position}"),
        };
        if let Some(same) =
            findings.iter_mut().find(|finding| finding.key() == (fault.doc.id, subject.as_str()))
        {
            same.severity = same.severity.max(fault.severity);
            same.summary = format!("{}; {}", same.summary, fault.summary);
            continue;
        }
        let summary = match certificate {
            Some(certificate) => format!("{}: {}", certificate.short_name(), fault.summary),
            None => fault.summary.clone(),
        };
        let mut finding = Finding::of(fault.doc, subject, summary).with("strict", fault.strict);
        if let Some(certificate) = certificate {
            finding = finding
                .with("subject", certificate.subject.to_string())
                .with("sha256", certificate.sha256.as_str())
                .with("position", fault.position);
        }
        finding.severity = fault.severity;
        finding.measured = fault.measured;
        finding.broken = fault.broken && (!accepted || fault.doc.id == docs::REVOKED.id);
        findings.push(finding);
    }
    sort(&mut findings);
    findings
}

/// The worst first.
fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.measured, finding.broken, finding.severity)));
}

fn links(path: &Path<'_>, at: i64) -> Vec<Link> {
    let root = path.root_position();
    let link = |(position, certificate): (usize, &Certificate)| Link {
        position,
        role: match position {
            0 => "leaf",
            _ if root == Some(position) => "root",
            _ => "intermediate",
        },
        days_left: certificate.not_after.seconds.map(|until| until.saturating_sub(at).div_euclid(86_400)),
        share_left: certificate.share_left(at),
        certificate: certificate.clone(),
    };
    path.with_root().into_iter().enumerate().map(link).collect()
}
