//! The handshakes with one address: the usual one, and where that shows a TLS server, the unusual
//! ones, which tell what else it has to show.

use std::net::SocketAddr;
use std::time::Duration;

use super::hosts::Target;
use super::{Look, Patience, out_of_time};
use crate::formats::tls::names;
use crate::formats::x509::Certificate;
use crate::model::{Phase, Timings};
use crate::net::{
    ClearHandshake, FailReason, Handshake, Handshaken, KeyType, Origin, Signature, TlsTarget, TlsVersions,
    TransportError,
};
use crate::probe::certificate::facts::{AskedKey, AskedVersions, Der, Endpoint, Proof, Shown, View};
use crate::probe::certificate::verdict::reach::NOT_TLS;
use crate::probe::web::facts::{Failure, FailureKind, Skipped, failure, our_side};

/// Until a handshake that failed is tried again: a lost packet is no finding.
const AGAIN: Duration = Duration::from_secs(1);
/// So many bytes of a staple are kept; what is longer is none.
const LONGEST_STAPLE: usize = 64 << 10;

/// With SNI, what is asked for beside the usual.
const UNUSUAL: [(AskedKey, AskedVersions); 4] = [
    (AskedKey::Rsa, AskedVersions::Tls13),
    (AskedKey::Ecdsa, AskedVersions::Tls13),
    (AskedKey::Rsa, AskedVersions::Tls12),
    (AskedKey::Ecdsa, AskedVersions::Tls12),
];

/// What was seen of one address.
pub(super) struct Seen {
    pub(super) endpoint: Endpoint,
    /// Those of the usual handshake.
    pub(super) timings: Timings,
}

/// What came of one handshake.
enum Came {
    View(Box<View>, Timings),
    /// Our side failed.
    Skipped(Skipped, Timings),
}

struct Address<'a> {
    look: &'a Look<'a>,
    target: &'a Target,
    address: SocketAddr,
}

/// All handshakes with one address.
pub(super) async fn endpoint(look: &Look<'_>, target: &Target, address: SocketAddr) -> Seen {
    let at = Address { look, target, address };
    let mut endpoint = Endpoint { address, unmeasured: None, views: Vec::new(), posture: None };
    let (mut view, timings) = match at.usual().await {
        Came::View(view, timings) => (*view, timings),
        Came::Skipped(skipped, timings) => {
            endpoint.unmeasured = Some(skipped);
            return Seen { endpoint, timings };
        }
    };
    at.add_timestamps(&mut view).await;
    let old = if view.shown.is_none() { at.in_clear(&view).await } else { None };
    let speaks = view.shown.is_some();
    endpoint.views.push(view);
    endpoint.views.extend(old);
    if speaks {
        endpoint.views.extend(at.unusual().await);
    }
    Seen { endpoint, timings }
}

impl Address<'_> {
    /// What browsers get. A failure that may be a lost packet is looked at twice.
    async fn usual(&self) -> Came {
        let asked = (self.target.facts.server_name.is_some(), AskedKey::Any, AskedVersions::Both);
        let first = self.shake(asked).await;
        let lost = |view: &View| {
            use FailureKind::{Closed, Reset, Timeout};
            let kind = view.failure.as_ref().map(|failure| failure.kind);
            view.shown.is_none() && matches!(kind, Some(Timeout | Reset | Closed))
        };
        match &first {
            Came::View(view, _) if lost(view) && self.look.left() > AGAIN * 2 => {
                tokio::time::sleep(AGAIN).await;
                match self.shake(asked).await {
                    // Cut off by the end of the run: the first has said what there is to say.
                    Came::Skipped(..) => first,
                    second => second,
                }
            }
            _ => first,
        }
    }

    /// What is shown to unusual wishes. What is our side's fault is left out: the usual handshake has
    /// just worked.
    async fn unusual(&self) -> Vec<View> {
        let named = self.target.facts.server_name.is_some();
        let with_name = UNUSUAL.map(|(key, versions)| (named, key, versions));
        let without = named.then_some((false, AskedKey::Any, AskedVersions::Both));
        let mut views = Vec::new();
        for asked in with_name.into_iter().chain(without) {
            if let Came::View(view, _) = self.shake(asked).await {
                views.push(*view);
            }
        }
        views
    }

    async fn shake(&self, (sni, key_type, versions): (bool, AskedKey, AskedVersions)) -> Came {
        let Some(patience) = self.look.patience() else {
            return Came::Skipped(out_of_time(), Timings::default());
        };
        let wanted = Handshake {
            target: self.tls(patience, sni),
            versions: match versions {
                AskedVersions::Tls13 => TlsVersions::Tls13,
                AskedVersions::Tls12 => TlsVersions::Tls12,
                AskedVersions::Both | AskedVersions::Old => TlsVersions::Both,
            },
            key_type: match key_type {
                AskedKey::Any => KeyType::Any,
                AskedKey::Rsa => KeyType::Rsa,
                AskedKey::Ecdsa => KeyType::Ecdsa,
            },
            alpn: self.alpn(),
            // Whoever it is, it is not verified, so that nothing is shown to it.
            client: None,
        };
        let view = |shown, failure| View { sni, key_type, versions, shown, failure };
        match self.look.ctx.net.handshake(&wanted).await {
            Ok(seen) => {
                let timings = seen.timings;
                let failure = seen.stopped.as_ref().map(told);
                Came::View(Box::new(view(Some(self.shown(seen)), failure)), timings)
            }
            Err(error) => {
                let cut = patience.cut && error.reason == FailReason::Timeout;
                let skipped = if cut { Some(out_of_time()) } else { our_side(&error) };
                match skipped {
                    Some(skipped) => Came::Skipped(skipped, error.timings),
                    None => Came::View(Box::new(view(None, Some(told(&error)))), error.timings),
                }
            }
        }
    }

    fn tls(&self, patience: Patience, sni: bool) -> TlsTarget {
        let facts = &self.target.facts;
        TlsTarget {
            host: facts.host.clone(),
            address: self.address,
            origin: Origin::Portal { private: self.look.ctx.scope.portal.private },
            server_name: facts.server_name.clone().filter(|_| sni),
            starttls: self.target.starttls,
            timeout: patience.timeout,
        }
    }

    fn alpn(&self) -> Vec<String> {
        let web = self.target.starttls.is_none() && self.target.facts.port == 443;
        if web { vec!["h2".to_owned(), "http/1.1".to_owned()] } else { Vec::new() }
    }

    fn shown(&self, seen: Handshaken) -> Shown {
        let (chain, over) = self.look.store.keep(seen.chain.ders);
        Shown {
            chain,
            left_out: seen.chain.left_out + over,
            staple: seen.staple.map(staple),
            timestamps: None,
            version: seen.version.map(|version| version.to_string()),
            cipher: seen.suite.map(names::suite),
            group: seen.group.map(names::group),
            alpn: seen.alpn,
            wants_client: seen.wants_client,
            proof: match seen.signature {
                Signature::NotReached => None,
                Signature::Verified => Some(Proof::Good),
                Signature::Invalid(why) => Some(Proof::Bad(why)),
            },
            injected: seen.injected,
        }
    }

    /// Whether the server speaks what the library does not, and its chain then.
    async fn in_clear(&self, usual: &View) -> Option<View> {
        use FailureKind::{Closed, Protocol, Reset, Tls};
        let failure = usual.failure.as_ref()?;
        // Many an old server closes where others send an alert.
        let foreign = matches!(failure.kind, Tls | Protocol | Closed | Reset) && failure.phase == Phase::Tls;
        if !foreign || failure.detail.starts_with(NOT_TLS) {
            return None;
        }
        let seen = self.hello().await?;
        let ClearHandshake { answer, injected, stopped, .. } = seen;
        let shown = answer.hello.map(|hello| {
            let certificates = answer.certificates.unwrap_or_default();
            let (chain, over) = self.look.store.keep(certificates.ders);
            Shown {
                chain,
                left_out: certificates.left_out + over,
                staple: answer.staple.map(staple),
                timestamps: hello.timestamps.map(Der),
                version: crate::formats::tls::Version::of(hello.version).map(|version| version.to_string()),
                cipher: Some(names::suite(hello.suite)),
                group: answer.key.and_then(|key| key.group).or(hello.group).map(names::group),
                alpn: None,
                wants_client: answer.wants_client,
                proof: None,
                injected,
            }
        });
        Some(View {
            sni: usual.sni,
            key_type: AskedKey::Any,
            versions: AskedVersions::Old,
            shown,
            failure: stopped.as_ref().map(told),
        })
    }

    /// The library does not ask for the timestamps of the TLS extension. Most certificates carry their
    /// own; only where one does not they are asked for.
    async fn add_timestamps(&self, usual: &mut View) {
        let Some(shown) = &mut usual.shown else { return };
        let Some(leaf) = shown.chain.first() else { return };
        let carries =
            |der: Der| Certificate::parse(&der.0).is_ok_and(|leaf| !leaf.extensions.scts.is_empty());
        if self.look.store.get(leaf).is_none_or(carries) {
            return;
        }
        let Some(seen) = self.hello().await else { return };
        let answer = seen.answer;
        let same = answer.certificates.is_some_and(|sent| {
            sent.ders.first().is_some_and(|der| crate::probe::certificate::facts::key_of(der) == *leaf)
        });
        if same {
            // Empty where none came, which is not the same as not asked.
            let list = answer.hello.and_then(|hello| hello.timestamps).unwrap_or_default();
            shown.timestamps = Some(Der(list));
        }
    }

    async fn hello(&self) -> Option<ClearHandshake> {
        let patience = self.look.patience()?;
        let target = self.tls(patience, self.target.facts.server_name.is_some());
        self.look.ctx.net.hello_in_clear(&target).await.ok()
    }
}

/// How the network's words begin for what happened before TLS was to begin.
const BEFORE_TLS: &str = "before TLS";

/// A failure; what happened in the dialogue before TLS is told from what happened in TLS.
fn told(error: &TransportError) -> Failure {
    let mut told = failure(error);
    if told.kind == FailureKind::Protocol && error.detail.starts_with(BEFORE_TLS) {
        told.kind = FailureKind::NoStarttls;
    }
    told
}

fn staple(mut der: Vec<u8>) -> Der {
    der.truncate(LONGEST_STAPLE);
    Der(der)
}
