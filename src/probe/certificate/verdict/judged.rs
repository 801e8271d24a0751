//! Every chain that was shown, judged once for each name it was asked for by: many addresses and
//! handshakes show the same.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Case;
use crate::formats::x509::{Certificate, Malformed};
use crate::probe::certificate::facts::{HostFacts, View};
use crate::probe::certificate::judge::{
    Anchors, Judged, Purpose, Question, Trust, Wanted, judge, judge_read,
};

/// A chain that an address showed, and what is thought of it.
pub struct JudgedChain<'a> {
    /// By which host.
    pub host: &'a HostFacts,
    /// At which address.
    pub address: SocketAddr,
    /// In which handshake. Handshakes that left out the name are not judged.
    pub view: &'a View,
    /// What is thought of it, revocation left out.
    pub judged: Arc<Judged>,
    /// What is thought of it together with the issuers that were fetched, where it needs them.
    pub completed: Option<Arc<Judged>>,
    /// Whether the system's roots trust it; `None` where they are not known.
    pub platform: Option<bool>,
    /// What is thought of it by the system's roots, where they trust it and Mozilla's store does not.
    pub by_platform: Option<Arc<Judged>>,
}

impl JudgedChain<'_> {
    /// The best path that was found: the one completed by fetched issuers, if that is trusted.
    pub fn best(&self) -> &Judged {
        let completed = self.completed.as_deref().filter(|completed| completed.trust == Trust::Trusted);
        completed.unwrap_or(&self.judged)
    }
}

/// One chain's opinions, shared by all that showed it.
#[derive(Clone)]
struct Opinion {
    judged: Arc<Judged>,
    completed: Option<Arc<Judged>>,
    platform: Option<bool>,
    by_platform: Option<Arc<Judged>>,
}

/// All that was shown, host by host, address by address, handshake by handshake.
pub fn chains<'a>(case: &Case<'a>) -> Vec<JudgedChain<'a>> {
    let judge = Judge::new(case);
    let mut known: HashMap<(&[String], Option<&str>), Option<Opinion>> = HashMap::new();
    let mut chains = Vec::new();
    for (host, endpoint) in case.endpoints() {
        let name = host.server_name.as_deref().unwrap_or(&host.host);
        for view in endpoint.views.iter().filter(|view| host.asked_fully(view)) {
            let Some(shown) = view.shown.as_ref().filter(|shown| !shown.chain.is_empty()) else { continue };
            let key = (shown.chain.as_slice(), Some(name));
            let opinion = known.entry(key).or_insert_with(|| judge.opinion(&shown.chain, name));
            let Some(Opinion { judged, completed, platform, by_platform }) = opinion.clone() else {
                continue;
            };
            let address = endpoint.address;
            chains.push(JudgedChain { host, address, view, judged, completed, platform, by_platform });
        }
    }
    chains
}

type Reading = Result<Certificate, Malformed>;

struct Judge<'c, 'a> {
    case: &'c Case<'a>,
    /// The system's roots that matter, with `ca_file`; `None` where they are not known.
    platform: Option<Anchors>,
    /// What was fetched.
    issuers: Vec<&'c Certificate>,
}

impl<'c, 'a> Judge<'c, 'a> {
    fn new(case: &'c Case<'a>) -> Self {
        let facts = case.facts;
        let keys = facts.platform.iter().flatten().chain(&facts.trusted);
        let roots = || keys.filter_map(|key| case.certificate(key).cloned());
        let fetched = facts.issuers.values().flat_map(|issuer| &issuer.certificates);
        Self {
            case,
            platform: facts.platform.is_some().then(|| Anchors::of(roots())),
            issuers: fetched.filter_map(|key| case.certificate(key)).collect(),
        }
    }

    /// `None` where a certificate of the chain is not in the facts, which another version wrote.
    fn opinion(&self, chain: &[String], name: &str) -> Option<Opinion> {
        let readings: Option<Vec<&Reading>> =
            chain.iter().map(|key| self.case.certificates.get(key.as_str())).collect();
        let readings = readings?;
        let (leaf, sent) = readings.split_first()?;
        let name = Wanted::parse(name).ok();
        let judged = judge_read(&self.question(leaf, sent, name.as_ref(), self.case.anchors));
        let Ok(leaf) = leaf else {
            let judged = Arc::new(judged);
            return Some(Opinion { judged, completed: None, platform: None, by_platform: None });
        };
        let sent: Vec<Certificate> =
            sent.iter().filter_map(|reading| reading.as_ref().ok()).cloned().collect();
        let open = matches!(judged.trust, Trust::Incomplete | Trust::UnknownIssuer);
        let completed = (open && !self.issuers.is_empty()).then(|| {
            let more: Vec<Certificate> = sent.iter().chain(self.issuers.iter().copied()).cloned().collect();
            Arc::new(judge(&self.question(leaf, &more, name.as_ref(), self.case.anchors)))
        });
        let by_platform = self.platform.as_ref().filter(|roots| !self.agrees(&judged, roots));
        let by_platform = by_platform.map(|roots| judge(&self.question(leaf, &sent, name.as_ref(), roots)));
        let trusts = by_platform.as_ref().is_none_or(|judged| judged.trust == Trust::Trusted);
        Some(Opinion {
            platform: self.platform.as_ref().map(|_| trusts),
            by_platform: by_platform.filter(|_| trusts && judged.trust != Trust::Trusted).map(Arc::new),
            judged: Arc::new(judged),
            completed,
        })
    }

    fn question<'q, C>(
        &self,
        leaf: &'q C,
        sent: &'q [C],
        name: Option<&'q Wanted>,
        anchors: &'q Anchors,
    ) -> Question<'q, C> {
        Question {
            leaf,
            sent,
            anchors,
            crls: &[],
            purpose: Purpose::Server,
            name,
            at: self.case.now.as_second(),
            max_depth: None,
        }
    }

    /// Whether the root of a trusted path is among these too, which spares a second search.
    fn agrees(&self, judged: &Judged, roots: &Anchors) -> bool {
        let below = judged.chain.iter().rfind(|link| link.role != "root");
        let same = |below: &Certificate| {
            let named = |all: &Anchors, spki: Option<&[u8]>| {
                all.iter()
                    .filter(|root| root.name == below.issuer && spki.is_none_or(|spki| *root.spki == *spki))
                    .map(|root| root.spki.clone())
                    .collect::<Vec<_>>()
            };
            let usual = named(self.case.anchors, None);
            // One root of that name: the one that the path ends at.
            matches!(usual.as_slice(), [only] if !named(roots, Some(only)).is_empty())
        };
        judged.trust == Trust::Trusted && below.is_some_and(|link| same(&link.certificate))
    }
}
