//! Certificate timestamps (RFC 6962): whether browsers count enough of them.
//!
//! The policies of Chrome and Safari are held to: two timestamps inside a certificate that lives up to
//! 180 days and three in others, or two by the TLS extension and the stapled OCSP response; of
//! different logs, and of two operators at least. Signatures are verified. What browsers ask beyond
//! that, such as that one log be in use still, is not.
//!
//! `logs.tsv` holds facts about the logs: operator, name, the point of the key on P-256, and from when
//! on a log's timestamps no longer count. They are those that Chromium 156 has built in (Debian's
//! package 156.0.8078.79, November 2026). Logs come and go within months, so a timestamp of a log that
//! is not among them counts neither for nor against a certificate.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::formats::x509::sct::{self, Entry, Stamp};
use crate::formats::x509::{Certificate, Malformed};

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Who runs it.
    pub operator: String,
    /// Its name, by its operator's.
    pub name: String,
    /// From when on its timestamps no longer count, in milliseconds since 1970.
    pub until_ms: Option<u64>,
    point: Vec<u8>,
}

/// Logs by the SHA-256 of their keys.
#[derive(Debug, Default)]
pub struct Logs(HashMap<[u8; 32], Log>);

impl Logs {
    /// Those that are built in.
    pub fn known() -> &'static Self {
        // A test holds that each line can be read.
        static KNOWN: LazyLock<Logs> =
            LazyLock::new(|| Logs(include_str!("logs.tsv").lines().filter_map(line).collect()));
        &KNOWN
    }
}

fn line(line: &str) -> Option<([u8; 32], Log)> {
    let mut fields = line.split('\t');
    let (operator, name, point) = (fields.next()?, fields.next()?, fields.next()?);
    let until = match fields.next() {
        Some(until) => Some(u64::try_from(until.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok()?),
        None => None,
    };
    let point = STANDARD.decode(point).ok()?;
    let log = Log { operator: operator.to_owned(), name: name.to_owned(), until_ms: until, point };
    Some((log.id(), log))
}

impl Log {
    /// SHA-256 of its key.
    fn id(&self) -> [u8; 32] {
        /// A key on P-256 up to its point (RFC 5480).
        const BEFORE_POINT: &[u8] =
            b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
        sha256(&[BEFORE_POINT, &self.point].concat())
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// What is thought of one timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing<'l> {
    /// It counts.
    Good(&'l Log),
    /// It is of a log that is not known.
    Unknown([u8; 32]),
    /// It does not count: why.
    Bad(&'l Log, &'static str),
}

/// What is asked of.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The logs.
    pub logs: &'a Logs,
    /// The certificate.
    pub leaf: &'a Certificate,
    /// The key of its issuer (`SubjectPublicKeyInfo`), which logs sign beside what is inside it.
    pub issuer_spki: &'a [u8],
    /// Timestamps that came beside it: by the TLS extension, in the stapled OCSP response.
    pub beside: &'a [Stamp],
    /// When, in seconds since 1970.
    pub at: i64,
}

/// What is thought of a certificate's timestamps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opinion {
    /// Whether browsers have enough of them; `None` where that rests on logs that are not known.
    pub enough: Option<bool>,
    /// The logs of those that count, by name.
    pub good: BTreeSet<String>,
    /// The operators of these logs.
    pub operators: BTreeSet<String>,
    /// How many are of logs that are not known.
    pub unknown: usize,
    /// Those that do not count: the log's name, and why.
    pub bad: Vec<(String, &'static str)>,
    /// How many must be inside the certificate.
    pub needed: usize,
}

/// Judges the timestamps of a certificate.
///
/// # Errors
/// Those inside it cannot be read.
pub fn judge(question: &Question<'_>) -> Result<Opinion, Malformed> {
    let inside = sct::embedded(question.leaf)?;
    let tbs = sct::without_timestamps(question.leaf.tbs())?;
    let issuer = sha256(question.issuer_spki);
    let precertificate = Entry::Precertificate { issuer, tbs: &tbs };
    let inside = standings(&inside, precertificate, question);
    let beside = standings(question.beside, Entry::Certificate(question.leaf.der()), question);
    let needed = needed(question.leaf);
    let enough = match (enough(&inside, needed), enough(&beside, 2)) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (None, _) | (_, None) => None,
        (Some(false), Some(false)) => Some(false),
    };
    let mut opinion = Opinion { enough, needed, ..Opinion::default() };
    for standing in inside.into_iter().chain(beside) {
        match standing {
            Standing::Good(log) => {
                opinion.good.insert(log.title());
                opinion.operators.insert(log.operator.clone());
            }
            Standing::Unknown(_) => opinion.unknown += 1,
            Standing::Bad(log, why) => opinion.bad.push((log.title(), why)),
        }
    }
    Ok(opinion)
}

impl Log {
    fn title(&self) -> String {
        format!("{} {}", self.operator, self.name)
    }
}

/// How many timestamps browsers want inside a certificate.
fn needed(leaf: &Certificate) -> usize {
    const DAYS_180: i64 = 180 * 86_400;
    let ends = leaf.not_before.seconds.zip(leaf.not_after.seconds);
    let long = ends.is_some_and(|(from, until)| until.saturating_sub(from) > DAYS_180);
    if long { 3 } else { 2 }
}

/// What clocks may differ by, in seconds.
const SKEW: i64 = 300;

fn standings<'l>(stamps: &[Stamp], entry: Entry<'_>, question: &Question<'l>) -> Vec<Standing<'l>> {
    stamps.iter().map(|stamp| standing(stamp, entry, question.logs, question.at)).collect()
}

fn standing<'l>(stamp: &Stamp, entry: Entry<'_>, logs: &'l Logs, at: i64) -> Standing<'l> {
    /// SHA-256 and ECDSA (RFC 5246 section 7.4.1.4.1), the signature of all keys on P-256.
    const ALGORITHM: [u8; 2] = [4, 3];
    let Some(log) = logs.0.get(&stamp.log) else { return Standing::Unknown(stamp.log) };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &log.point);
    if stamp.algorithm != ALGORITHM || key.verify(&stamp.signed(entry), &stamp.signature).is_err() {
        return Standing::Bad(log, "its signature does not hold");
    }
    let latest = at.saturating_add(SKEW).saturating_mul(1_000);
    if i64::try_from(stamp.timestamp_ms).map_or(true, |made| made > latest) {
        return Standing::Bad(log, "it is of the future");
    }
    if log.until_ms.is_some_and(|until| stamp.timestamp_ms >= until) {
        return Standing::Bad(log, "its log no longer counted when it was made");
    }
    Standing::Good(log)
}

/// Whether these are of enough logs and of two operators; each unknown log may be anyone's.
fn enough(standings: &[Standing<'_>], needed: usize) -> Option<bool> {
    let (mut logs, mut operators, mut unknown) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for standing in standings {
        match standing {
            Standing::Good(log) => {
                logs.insert(&log.point);
                operators.insert(&log.operator);
            }
            Standing::Unknown(id) => {
                unknown.insert(id);
            }
            Standing::Bad(..) => {}
        }
    }
    let with = |unknown: usize| logs.len() + unknown >= needed && operators.len() + unknown >= 2;
    match (with(0), with(unknown.len())) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    }
}

#[cfg(test)]
pub(in crate::probe::certificate) mod tests;
