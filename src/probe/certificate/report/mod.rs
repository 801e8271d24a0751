//! What was seen together with what is thought of each chain, for those who ask for all of it: people
//! and programs that read what `inspect` prints. Pure: made of facts at an instant.

#[cfg(test)]
pub mod fakes;
mod posture;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

pub use self::posture::{PostureSeen, SuiteClass, VersionSeen};
use super::facts::{
    AskedKey, AskedVersions, Der, Endpoint, Facts, FetchedCrl, FetchedIssuer, HostFacts, Proof, Shown, View,
};
use super::judge::{Anchors, Browser, Judged, Link, Purpose, Question, Trust, Wanted, judge_encoded};
use super::pages::Pages;
use super::records::Records;
use crate::probe::web::facts::{Failure, Skipped};

/// Everything, judged.
#[derive(Clone, Debug, Serialize)]
pub struct Observation {
    /// One entry for each host.
    pub hosts: Vec<HostSeen>,
    /// One entry for each address of each host.
    pub endpoints: Vec<EndpointSeen>,
    /// Issuers' certificates that were fetched, by URL.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub issuers: BTreeMap<String, FetchedIssuer>,
    /// What revocation lists say, by URL.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub crls: BTreeMap<String, FetchedCrl>,
}

/// What is known of a host beside its addresses.
#[derive(Clone, Debug, Serialize)]
pub struct HostSeen {
    /// The name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name asked for (SNI) and verified.
    pub server_name: Option<String>,
    /// The protocol spoken before TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starttls: Option<String>,
    /// Why it has no addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why nothing could be seen of it, where that is our side's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
    /// Addresses that were not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<IpAddr>,
    /// What DNS says of its certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Records>,
    /// What plain HTTP and HTTPS say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<Pages>,
}

/// One address of a host.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointSeen {
    /// The host, as it was asked for.
    pub host: String,
    /// The port that was connected to.
    pub port: u16,
    /// The address.
    pub address: IpAddr,
    /// What the usual handshake showed; its fields are empty where nothing was.
    #[serde(flatten)]
    pub usual: Look,
    /// Why nothing was shown, or why the handshake ended early though something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why nothing could be seen, where that is our side's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
    /// The other handshakes.
    pub views: Vec<ViewSeen>,
    /// What it accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posture: Option<PostureSeen>,
}

/// What one handshake showed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Look {
    /// Whether and why the chain is trusted.
    pub trust: Option<Trust>,
    /// Whether the leaf is for the name.
    pub name_matches: Option<bool>,
    /// Whether common clients accept chain and name.
    pub browser: Option<Browser>,
    /// Whether a strict client does.
    pub valid: Option<bool>,
    /// The path that is used, or as far as one leads, leaf first.
    pub chain: Vec<LinkSeen>,
    /// What was sent, in its order: SHA-256 in hex.
    pub sent: Vec<String>,
    /// How many more certificates were sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// What was agreed on.
    pub tls: Option<TlsSeen>,
    /// It asked for a client certificate.
    pub wants_client: bool,
    /// Whether the server proved that it holds the leaf's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The stapled OCSP response, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staple: Option<Der>,
    /// The signed certificate timestamps of the TLS extension, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<Der>,
    /// Bytes slipped in between the go-ahead of STARTTLS and TLS.
    #[serde(skip_serializing_if = "is_zero")]
    pub injected: usize,
}

/// A certificate of the path.
#[derive(Clone, Debug, Serialize)]
pub struct LinkSeen {
    /// The certificate and its place.
    #[serde(flatten)]
    pub link: Link,
    /// Whether the server sent it; a root comes from what is trusted.
    pub sent: bool,
}

/// What a handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsSeen {
    /// `TLSv1.3`.
    pub version: Option<String>,
    /// The suite's IANA name.
    pub cipher: Option<String>,
    /// The group's IANA name.
    pub group: Option<String>,
    /// The protocol agreed on by ALPN.
    pub alpn: Option<String>,
}

/// One of the other handshakes.
#[derive(Clone, Debug, Serialize)]
pub struct ViewSeen {
    /// Whether a name was asked for.
    pub sni: bool,
    /// The kind of key asked for.
    pub key_type: AskedKey,
    /// The versions offered.
    pub versions: AskedVersions,
    /// Whether the same certificates were sent as in the usual one.
    pub same_chain: bool,
    /// What it showed.
    #[serde(flatten)]
    pub look: Look,
    /// Why nothing was shown, or why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Puts together what was seen and what is thought of it at an instant.
pub fn observation(facts: &Facts, now: Timestamp) -> Observation {
    let trusted = facts.trusted.iter().filter_map(|key| facts.certificates.get(key)?.read());
    let mut judges = Judges { facts, anchors: Anchors::mozilla_and(trusted), now, known: HashMap::new() };
    let each =
        facts.hosts.iter().flat_map(|host| host.endpoints.iter().map(move |endpoint| (host, endpoint)));
    Observation {
        endpoints: each.map(|(host, endpoint)| endpoint_seen(host, endpoint, &mut judges)).collect(),
        hosts: facts.hosts.iter().map(host_seen).collect(),
        issuers: facts.issuers.clone(),
        crls: facts.crls.clone(),
    }
}

fn host_seen(host: &HostFacts) -> HostSeen {
    HostSeen {
        host: host.host.clone(),
        port: host.port,
        server_name: host.server_name.clone(),
        starttls: host.starttls.clone(),
        failure: host.failure.clone(),
        unmeasured: host.unmeasured.clone(),
        left_out: host.left_out.clone(),
        dns: host.dns.clone(),
        web: host.web.clone(),
    }
}

fn endpoint_seen<'a>(host: &'a HostFacts, endpoint: &'a Endpoint, judges: &mut Judges<'a>) -> EndpointSeen {
    let usual = usual(host, endpoint);
    let shown = usual.and_then(|view| view.shown.as_ref());
    let others = endpoint.views.iter().filter(|view| !usual.is_some_and(|usual| std::ptr::eq(*view, usual)));
    let failed = || endpoint.views.iter().find_map(|view| view.failure.clone());
    EndpointSeen {
        host: host.host.clone(),
        port: endpoint.address.port(),
        address: endpoint.address.ip(),
        usual: shown.map(|shown| judges.look(host, shown)).unwrap_or_default(),
        failure: usual.map_or_else(failed, |view| view.failure.clone()),
        unmeasured: endpoint.unmeasured.clone(),
        views: others.map(|view| view_seen(host, view, shown, judges)).collect(),
        posture: endpoint.posture.as_ref().map(PostureSeen::of),
    }
}

/// The handshake that speaks for the address: the first that asks as browsers do and was shown
/// something.
fn usual<'a>(host: &HostFacts, endpoint: &'a Endpoint) -> Option<&'a View> {
    let asks = |view: &&View| view.sni || host.server_name.is_none();
    endpoint.views.iter().filter(asks).find(|view| view.shown.is_some())
}

fn view_seen<'a>(
    host: &'a HostFacts,
    view: &'a View,
    usual: Option<&Shown>,
    judges: &mut Judges<'a>,
) -> ViewSeen {
    let sent = |shown: &Shown| shown.chain.clone();
    ViewSeen {
        sni: view.sni,
        key_type: view.key_type,
        versions: view.versions,
        same_chain: view.shown.is_some() && view.shown.as_ref().map(sent) == usual.map(sent),
        look: view.shown.as_ref().map(|shown| judges.look(host, shown)).unwrap_or_default(),
        failure: view.failure.clone(),
    }
}

/// Judges each chain once: many handshakes show the same.
struct Judges<'a> {
    facts: &'a Facts,
    anchors: Anchors,
    now: Timestamp,
    known: HashMap<(&'a str, &'a [String]), Judged>,
}

impl<'a> Judges<'a> {
    fn look(&mut self, host: &'a HostFacts, shown: &'a Shown) -> Look {
        let judged = self.judged(host, shown);
        let sent = |link: &Link| shown.chain.contains(&link.certificate.sha256);
        let tls = TlsSeen {
            version: shown.version.clone(),
            cipher: shown.cipher.clone(),
            group: shown.group.clone(),
            alpn: shown.alpn.clone(),
        };
        let chain = judged.iter().flat_map(|judged| &judged.chain);
        Look {
            trust: judged.map(|judged| judged.trust),
            name_matches: judged.and_then(|judged| judged.name_matches),
            browser: judged.map(|judged| judged.browser.clone()),
            valid: judged.map(|judged| judged.valid),
            chain: chain.map(|link| LinkSeen { sent: sent(link), link: link.clone() }).collect(),
            sent: shown.chain.clone(),
            left_out: shown.left_out,
            tls: Some(tls),
            wants_client: shown.wants_client,
            proof: shown.proof.clone(),
            staple: shown.staple.clone(),
            timestamps: shown.timestamps.clone(),
            injected: shown.injected,
        }
    }

    fn judged(&mut self, host: &'a HostFacts, shown: &'a Shown) -> Option<&Judged> {
        let key = (host.server_name.as_deref().unwrap_or(&host.host), shown.chain.as_slice());
        if !self.known.contains_key(&key) {
            let ders = shown.chain.iter().filter_map(|sha256| self.facts.certificates.get(sha256));
            let mut ders = ders.map(|der| der.0.clone());
            let name = Wanted::parse(key.0).ok();
            let question = Question {
                leaf: &ders.next()?,
                sent: &ders.collect::<Vec<_>>(),
                anchors: &self.anchors,
                crls: &[],
                purpose: Purpose::Server,
                name: name.as_ref(),
                at: self.now.as_second(),
                max_depth: None,
            };
            self.known.insert(key, judge_encoded(&question));
        }
        self.known.get(&key)
    }
}
