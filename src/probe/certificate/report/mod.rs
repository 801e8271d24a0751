//! What was seen together with what is thought of each chain, for those who ask for all of it: people
//! and programs that read what `inspect` prints. Pure: made of facts at an instant.

#[cfg(test)]
pub mod fakes;
mod posture;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

pub use self::posture::{PostureSeen, SuiteClass, VersionSeen};
use super::facts::{
    AskedKey, AskedVersions, Der, Endpoint, Facts, FetchedCrl, FetchedIssuer, HostFacts, Proof, Shown, View,
};
use super::judge::{Anchors, Browser, Judged, Link, Purpose, Question, Trust, Wanted, judge_read};
use super::memory::Memory;
use super::pages::Pages;
use super::records::Records;
use super::spec::Spec;
use super::verdict::Case;
use super::verdict::judged::JudgedChain;
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
    /// The name asked for (SNI) and verified; none where the host is an address.
    pub server_name: Option<String>,
    /// What was shown to browsers, or in the clear where they get nothing; its fields are empty where
    /// nothing was.
    #[serde(flatten)]
    pub usual: Look,
    /// It was not seen in a handshake, but in the clear, by a hello of old.
    pub in_the_clear: bool,
    /// Why the usual handshake showed nothing, or ended early though it did.
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
    /// Whether the system's roots lead to it too; `None` where they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_trusts: Option<bool>,
    /// Whether the leaf is for the name.
    pub name_matches: Option<bool>,
    /// Whether common clients accept chain and name.
    pub browser: Option<Browser>,
    /// Whether a strict client does.
    pub valid: Option<bool>,
    /// The path that is used, completed by fetched issuers where it needs them; or as far as one
    /// leads. Leaf first.
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
    /// What it showed; its `chain` is empty where that is the same.
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
    let (spec, memory) = (Spec::default(), Memory::default());
    let trusted = facts.trusted.iter().filter_map(|key| facts.certificates.get(key)?.read());
    let anchors = Anchors::mozilla_and(trusted);
    let case = Case::new(&spec, facts, &memory, now, &anchors);
    Observation {
        endpoints: case.endpoints().map(|(host, endpoint)| endpoint_seen(&case, host, endpoint)).collect(),
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

fn endpoint_seen(case: &Case<'_>, host: &HostFacts, endpoint: &Endpoint) -> EndpointSeen {
    let shows = speaker(host, endpoint);
    let first = endpoint.usual();
    // What came to nothing says so in `failure`.
    let told = |view: &&View| {
        let is = |other: Option<&View>| other.is_some_and(|other| std::ptr::eq(*view, other));
        !(is(shows) || is(first) && view.shown.is_none())
    };
    EndpointSeen {
        host: host.host.clone(),
        port: endpoint.address.port(),
        address: endpoint.address.ip(),
        server_name: host.server_name.clone(),
        usual: shows.map(|view| look(case, host, view)).unwrap_or_default(),
        in_the_clear: shows.is_some_and(|view| view.versions == AskedVersions::Old),
        failure: first.or(shows).and_then(|view| view.failure.clone()),
        unmeasured: endpoint.unmeasured.clone(),
        views: endpoint.views.iter().filter(told).map(|view| view_seen(case, host, view, shows)).collect(),
        posture: endpoint.posture.as_ref().map(PostureSeen::of),
    }
}

/// The handshake that speaks for the address: the first that asks as browsers do and was shown
/// something; that in the clear, where the usual one comes to nothing.
fn speaker<'a>(host: &HostFacts, endpoint: &'a Endpoint) -> Option<&'a View> {
    endpoint.views.iter().filter(|view| host.asked_fully(view)).find(|view| view.shown.is_some())
}

fn view_seen(case: &Case<'_>, host: &HostFacts, view: &View, shows: Option<&View>) -> ViewSeen {
    let sent = |view: &View| view.shown.as_ref().map(|shown| shown.chain.clone());
    let same_chain = view.shown.is_some() && shows.and_then(sent) == sent(view);
    let mut look = look(case, host, view);
    if same_chain {
        look.chain.clear();
    }
    ViewSeen {
        sni: view.sni,
        key_type: view.key_type,
        versions: view.versions,
        same_chain,
        look,
        failure: view.failure.clone(),
    }
}

fn look(case: &Case<'_>, host: &HostFacts, view: &View) -> Look {
    let Some(shown) = &view.shown else { return Look::default() };
    let known = case.judged.iter().find(|known| std::ptr::eq(known.view, view));
    // Handshakes without a name are not among them: they say nothing of what clients get.
    let own = known.is_none().then(|| judged(case, host, shown)).flatten();
    let judged = known.map(|known| &*known.judged).or(own.as_ref());
    let best = known.map(JudgedChain::best).or(own.as_ref());
    let link =
        |link: &Link| LinkSeen { sent: shown.chain.contains(&link.certificate.sha256), link: link.clone() };
    Look {
        trust: judged.map(|judged| judged.trust),
        system_trusts: known.and_then(|known| known.platform),
        name_matches: judged.and_then(|judged| judged.name_matches),
        browser: judged.map(|judged| judged.browser.clone()),
        valid: judged.map(|judged| judged.valid),
        chain: best.iter().flat_map(|best| &best.chain).map(link).collect(),
        sent: shown.chain.clone(),
        left_out: shown.left_out,
        tls: Some(TlsSeen {
            version: shown.version.clone(),
            cipher: shown.cipher.clone(),
            group: shown.group.clone(),
            alpn: shown.alpn.clone(),
        }),
        wants_client: shown.wants_client,
        proof: shown.proof.clone(),
        staple: shown.staple.clone(),
        timestamps: shown.timestamps.clone(),
        injected: shown.injected,
    }
}

fn judged(case: &Case<'_>, host: &HostFacts, shown: &Shown) -> Option<Judged> {
    let readings: Option<Vec<_>> =
        shown.chain.iter().map(|key| case.certificates.get(key.as_str())).collect();
    let readings = readings?;
    let (leaf, sent) = readings.split_first()?;
    let name = Wanted::parse(host.server_name.as_deref().unwrap_or(&host.host)).ok();
    Some(judge_read(&Question {
        leaf,
        sent,
        anchors: case.anchors,
        crls: &[],
        purpose: Purpose::Server,
        name: name.as_ref(),
        at: case.now.as_second(),
        max_depth: None,
    }))
}
