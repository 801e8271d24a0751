//! The order in which a server is asked.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::clear::{ClearHandshake, say_over};
use super::offers::{Offer, X25519, all_but_suites, suites};
use super::{Acceptance, ScanOptions, TlsScan, VersionScan};
use crate::formats::tls::names::{GROUPS, KeyExchange, key_exchange};
use crate::formats::tls::{Answer, DOWNGRADE_SCSV, ServerHello, Version};
use crate::net::handshake::TlsTarget;
use crate::net::{FailReason, Net, TransportError};

/// The most primes and chains kept of one version.
const PRIMES: usize = 8;
const CHAINS: usize = 4;

pub(super) struct Scanner<'a> {
    net: &'a Net,
    target: &'a TlsTarget,
    at_once: Semaphore,
    most: usize,
    used: AtomicUsize,
    incomplete: Mutex<Option<String>>,
}

/// What came of one hello.
enum Heard {
    /// The server chose among what was offered, with the version asked for.
    Chose(Box<Answer>, ServerHello),
    /// It refuses: the alert or what it did.
    Refused(String),
    /// Nothing can be said.
    Failed(TransportError),
}

impl<'a> Scanner<'a> {
    pub(super) fn new(net: &'a Net, target: &'a TlsTarget, options: ScanOptions) -> Self {
        Self {
            net,
            target,
            at_once: Semaphore::new(options.at_once.clamp(1, 64)),
            most: options.connections.max(1),
            used: AtomicUsize::new(0),
            incomplete: Mutex::default(),
        }
    }

    pub(super) async fn scan(self) -> Result<TlsScan, TransportError> {
        let scans = join_all(Version::ALL.map(|version| self.version(version))).await;
        let mut versions = Vec::with_capacity(scans.len());
        for scan in scans {
            versions.push(scan?);
        }
        let unknown = |scan: &VersionScan| match &scan.accepted {
            Acceptance::Unknown(error) => Some(error.clone()),
            _ => None,
        };
        let errors: Vec<TransportError> = versions.iter().filter_map(unknown).collect();
        if let Some(error) = errors.first()
            && errors.len() == versions.len()
        {
            return Err(error.clone());
        }
        if let Some(top) = versions.iter_mut().rfind(|scan| is_legacy(scan)) {
            self.compression(top).await?;
            self.legacy_groups(top).await?;
        }
        let fallback_scsv = self.fallback(&versions).await?;
        Ok(TlsScan {
            versions,
            fallback_scsv,
            connections: self.used.load(Ordering::Relaxed).min(self.most),
            incomplete: self.incomplete.into_inner().unwrap_or_else(PoisonError::into_inner),
        })
    }

    fn leave_out(&self, why: String) {
        self.incomplete.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    /// Says hello, within the bounds. `None` when the connections are used up.
    async fn ask(&self, offer: &Offer) -> Option<Heard> {
        // The semaphore is never closed; an error would only lift the limit.
        let _place = self.at_once.acquire().await.ok();
        if self.used.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.leave_out(format!("{} connections are used up", self.most));
            return None;
        }
        // What ends before the hello says nothing about what was offered.
        let opened = match self.net.open_for_tls(self.target).await {
            Ok(opened) => opened,
            Err(error) => return Some(Heard::Failed(error)),
        };
        let heard = match say_over(opened, self.target, offer).await {
            Ok(ClearHandshake { mut answer, stopped, .. }) => match answer.hello.take() {
                Some(hello) if hello.version != offer.version.number() => {
                    let version = Version::of(hello.version);
                    Heard::Refused(
                        version.map_or("another version".into(), |version| format!("answers {version}")),
                    )
                }
                Some(hello) if !offer.suites.contains(&hello.suite) => {
                    Heard::Refused("answers with a suite that was not offered".into())
                }
                Some(hello) => Heard::Chose(Box::new(answer), hello),
                None => Heard::Refused(stopped.map_or_else(String::new, |error| alert_of(&error))),
            },
            // Many a server closes instead of sending an alert.
            Err(error) => match error.reason {
                FailReason::Closed => Heard::Refused("closes the connection".into()),
                FailReason::Reset => Heard::Refused("resets the connection".into()),
                _ => Heard::Failed(error),
            },
        };
        Some(heard)
    }

    /// Asks where the answer is one of many: a failure leaves it out.
    async fn ask_on(&self, offer: &Offer) -> Option<(Answer, ServerHello)> {
        match self.ask(offer).await? {
            Heard::Chose(answer, hello) => Some((*answer, hello)),
            Heard::Refused(_) => None,
            Heard::Failed(error) => {
                self.leave_out(error.to_string());
                None
            }
        }
    }

    /// Whether a version is accepted, and with what.
    async fn version(&self, version: Version) -> Result<VersionScan, TransportError> {
        let mut scan = VersionScan::new(version, Acceptance::NotAsked);
        let mut share = false;
        for portion in suites(version) {
            let mut offer = all_but_suites(version, &portion)?;
            offer.share = share;
            self.suites(&mut scan, &mut offer).await;
            share = offer.share;
            if other_suites_would_not_help(&scan.accepted) {
                break;
            }
        }
        if scan.is_accepted() {
            self.preference(&mut scan, share).await?;
            match version {
                Version::Tls13 => self.groups(&mut scan, share).await?,
                Version::Tls12 => self.signatures(&mut scan).await?,
                _ => {}
            }
        }
        Ok(scan)
    }

    /// Which of the suites offered are accepted; each is offered until it was chosen.
    async fn suites(&self, scan: &mut VersionScan, offer: &mut Offer) {
        while !offer.suites.is_empty() {
            let first = scan.suites.is_empty();
            match self.ask_for_suite(offer, first).await {
                Some(Heard::Chose(answer, hello)) => {
                    scan.accepted = Acceptance::Yes;
                    offer.suites.retain(|suite| *suite != hello.suite);
                    scan.suites.push(hello.suite);
                    note(scan, *answer, &hello);
                }
                Some(Heard::Refused(why)) => {
                    if scan.accepted == Acceptance::NotAsked {
                        scan.accepted = Acceptance::No(why);
                    }
                    return;
                }
                Some(Heard::Failed(error)) => {
                    if first {
                        scan.accepted = Acceptance::Unknown(error);
                    } else {
                        self.leave_out(error.to_string());
                    }
                    return;
                }
                None => return,
            }
        }
    }

    /// Asks; the first time in TLS 1.3 also with a share, if it is refused without one.
    async fn ask_for_suite(&self, offer: &mut Offer, first: bool) -> Option<Heard> {
        let heard = self.ask(offer).await;
        let may_want_share = first && offer.version == Version::Tls13 && !offer.share;
        if may_want_share && matches!(heard, Some(Heard::Refused(_))) {
            offer.share = true;
            return self.ask(offer).await;
        }
        heard
    }

    /// Offers two accepted suites in both orders.
    async fn preference(&self, scan: &mut VersionScan, share: bool) -> Result<(), TransportError> {
        let [first, second, ..] = scan.suites.as_slice() else { return Ok(()) };
        let mut offer = all_but_suites(scan.version, &[*second, *first])?;
        offer.share = share;
        let Some((_, backward)) = self.ask_on(&offer).await else { return Ok(()) };
        offer.suites.reverse();
        let Some((_, forward)) = self.ask_on(&offer).await else { return Ok(()) };
        scan.server_preference = Some(backward.suite == forward.suite);
        Ok(())
    }

    /// The groups of TLS 1.3.
    async fn groups(&self, scan: &mut VersionScan, share: bool) -> Result<(), TransportError> {
        let mut offer = all_but_suites(scan.version, &scan.suites)?;
        offer.share = share;
        scan.groups.clear();
        while !offer.groups.is_empty() {
            let Some((_, hello)) = self.ask_on(&offer).await else { break };
            let Some(group) = hello.group.filter(|group| offer.groups.contains(group)) else { break };
            scan.groups.push(group);
            offer.groups.retain(|offered| *offered != group);
            // A share needs its group to be offered.
            offer.share &= offer.groups.contains(&X25519);
        }
        Ok(())
    }

    /// The curves of the versions before, and the prime that a client gets who names no group.
    async fn legacy_groups(&self, scan: &mut VersionScan) -> Result<(), TransportError> {
        let of = |wanted| {
            let fits = |suite: &&u16| key_exchange(**suite) == Some(wanted);
            scan.suites.iter().filter(fits).copied().collect::<Vec<u16>>()
        };
        let (curves, fields) = (of(KeyExchange::Ecdhe), of(KeyExchange::Dhe));
        if !fields.is_empty() {
            let mut offer = all_but_suites(scan.version, &fields)?;
            offer.groups.retain(|group| !(0x0100..0x0200).contains(group));
            if let Some((answer, hello)) = self.ask_on(&offer).await {
                note(scan, answer, &hello);
            }
        }
        if curves.is_empty() { Ok(()) } else { self.curves(scan, &curves).await }
    }

    /// The curves, by suites that use them. A server with an ECDSA certificate may refuse whoever does not
    /// offer the certificate's curve (RFC 4492 section 5.1): when that curve was taken away, it is offered
    /// again as the least wanted.
    async fn curves(&self, scan: &mut VersionScan, suites: &[u16]) -> Result<(), TransportError> {
        let mut offer = all_but_suites(scan.version, suites)?;
        let mut offered_again = None;
        scan.groups.clear();
        while !offer.groups.is_empty() {
            let heard = self.ask_on(&offer).await;
            let chosen = heard.and_then(|(answer, _)| answer.key?.group);
            let is_found = |group: &u16| offer.groups.contains(group) && Some(*group) != offered_again;
            match (chosen.filter(is_found), scan.groups.last()) {
                (Some(group), _) => {
                    scan.groups.push(group);
                    offer.groups.retain(|offered| *offered != group);
                }
                (None, Some(last)) if offered_again.is_none() => {
                    offered_again = Some(*last);
                    offer.groups.push(*last);
                }
                (None, _) => break,
            }
        }
        Ok(())
    }

    /// The signature schemes of TLS 1.2.
    async fn signatures(&self, scan: &mut VersionScan) -> Result<(), TransportError> {
        let signed =
            |suite: &&u16| matches!(key_exchange(**suite), Some(KeyExchange::Ecdhe | KeyExchange::Dhe));
        let suites: Vec<u16> = scan.suites.iter().filter(signed).copied().collect();
        if suites.is_empty() {
            return Ok(());
        }
        let mut offer = all_but_suites(scan.version, &suites)?;
        scan.signatures.clear();
        while !offer.signatures.is_empty() {
            let Some((answer, _)) = self.ask_on(&offer).await else { break };
            // A server may sign with what was not offered; then nothing more can be told.
            let chosen = answer.key.and_then(|key| key.signature);
            let Some(scheme) = chosen.filter(|scheme| offer.signatures.contains(scheme)) else { break };
            scan.signatures.push(scheme);
            offer.signatures.retain(|offered| *offered != scheme);
        }
        Ok(())
    }

    async fn compression(&self, scan: &mut VersionScan) -> Result<(), TransportError> {
        let mut offer = all_but_suites(scan.version, &scan.suites)?;
        offer.compression = true;
        scan.compression = self.ask_on(&offer).await.map(|(_, hello)| hello.compression != 0);
        Ok(())
    }

    /// Falls back to the second-best version although the best is spoken, with suites that were
    /// accepted: a refusal can only mean the fallback.
    async fn fallback(&self, versions: &[VersionScan]) -> Result<Option<bool>, TransportError> {
        let mut accepted = versions.iter().rev().filter(|scan| scan.is_accepted());
        let (Some(_best), Some(second)) = (accepted.next(), accepted.next()) else { return Ok(None) };
        let mut offer = all_but_suites(second.version, &second.suites)?;
        offer.suites.push(DOWNGRADE_SCSV);
        Ok(match self.ask(&offer).await {
            Some(Heard::Refused(_)) => Some(true),
            Some(Heard::Chose(..)) => Some(false),
            Some(Heard::Failed(error)) => {
                self.leave_out(error.to_string());
                None
            }
            None => None,
        })
    }
}

fn is_legacy(scan: &VersionScan) -> bool {
    scan.version < Version::Tls13 && scan.is_accepted()
}

fn alert_of(error: &TransportError) -> String {
    match &error.reason {
        FailReason::TlsAlert(alert) => alert.clone(),
        other => other.to_string(),
    }
}

fn other_suites_would_not_help(accepted: &Acceptance) -> bool {
    match accepted {
        Acceptance::Unknown(_) => true,
        Acceptance::No(why) => why == "protocol_version" || why.starts_with("answers "),
        Acceptance::Yes | Acceptance::NotAsked => false,
    }
}

/// Adds what one answer says beside its suite.
fn note(scan: &mut VersionScan, answer: Answer, hello: &ServerHello) {
    if let Some(key) = answer.key {
        add(&mut scan.groups, key.group, GROUPS.len());
        add(&mut scan.primes, key.prime, PRIMES);
        add(&mut scan.signatures, key.signature, 64);
    }
    add(&mut scan.groups, hello.group, GROUPS.len());
    if let Some(chain) = answer.certificates
        && scan.chains.len() < CHAINS
        && scan.chains.iter().all(|known| known.ders.first() != chain.ders.first())
    {
        scan.chains.push(chain);
    }
    scan.staple = scan.staple.take().or(answer.staple);
    scan.timestamps = scan.timestamps.take().or_else(|| hello.timestamps.clone());
    if scan.version < Version::Tls13 {
        let so_far = |told: Option<bool>, present: bool| Some(told.unwrap_or(false) || present);
        scan.secure_renegotiation = so_far(scan.secure_renegotiation, hello.secure_renegotiation);
        scan.wants_client = so_far(scan.wants_client, answer.wants_client);
        if scan.version > Version::Ssl3 {
            scan.extended_master_secret = so_far(scan.extended_master_secret, hello.extended_master_secret);
            scan.tickets = so_far(scan.tickets, hello.ticket);
        }
    }
}

fn add<T: PartialEq>(known: &mut Vec<T>, found: Option<T>, most: usize) {
    if let Some(found) = found
        && known.len() < most
        && !known.contains(&found)
    {
        known.push(found);
    }
}
