//! Looks: the records, the mail exchanges, the policy, the logo. The only part that does I/O.

mod ask;
mod bimi;
mod dkim;
mod dmarc;
mod exchanges;
mod fetch;
mod mta_sts;
mod round_trip;
mod senders;
mod spf;

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::facts::Facts;
use super::spec::{Part, Spec};
use super::spf::OfNet;
use crate::formats::dns::RecordType;
use crate::model::Timings;
use crate::net::{Origin, waited};
use crate::probe::{Ctx, Observed};

/// So many questions and connections are on their way at a time.
const AT_ONCE: usize = 16;
/// What is left of the run for judging and keeping.
const MARGIN: Duration = Duration::from_secs(1);

/// One run's look.
pub struct Look<'a> {
    spec: &'a Spec,
    ctx: &'a Ctx<'a>,
    /// When the run ends, time spent waiting for permits left out.
    ends: Instant,
    /// Bounds what is on its way.
    turns: Semaphore,
}

impl Look<'_> {
    /// How long an operation may take; `None` when the run is over.
    fn patience(&self) -> Option<Duration> {
        let left = (self.ends + waited()).saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| self.ctx.scope.timeout.min(left))
    }

    /// For addresses that answers name.
    fn answered(&self) -> Origin {
        Origin::Answer { private: self.ctx.scope.portal.private }
    }

    /// Answers the questions of SPF.
    fn resolver(&self) -> OfNet<'_> {
        OfNet {
            net: self.ctx.net,
            resolvers: self.ctx.scope.resolvers.to_vec(),
            timeout: self.patience().unwrap_or_default(),
        }
    }
}

/// The kind's look.
pub async fn observe(spec: &Spec, ctx: &Ctx<'_>) -> Observed<Facts> {
    let deadline = ctx.scope.deadline;
    let ends = Instant::now() + deadline.saturating_sub(MARGIN.min(deadline / 10));
    let look = Look { spec, ctx, ends, turns: Semaphore::new(AT_ONCE) };
    let facts = if spec.only.is_some() { part(&look).await } else { whole(&look).await };
    Observed { status: None, timings: Timings::default(), steps: Vec::new(), transport: false, facts }
}

async fn whole(look: &Look<'_>) -> Facts {
    let domain = look.spec.name();
    let reports = format!("_smtp._tls.{domain}");
    let texts = look.ask(&domain, RecordType::TXT).await;
    let (records, round_trip, (spf, senders, dkim), (mta_sts, tls_rpt, bimi)) = tokio::join!(
        async { tokio::join!(dmarc::look(look, &texts), exchanges::look(look)) },
        round_trip::look(look),
        async { tokio::join!(spf::look(look, &texts), senders::look(look), dkim::look(look)) },
        async { tokio::join!(mta_sts::look(look), look.ask(&reports, RecordType::TXT), bimi::look(look)) },
    );
    let (dmarc, mx) = records;
    Facts {
        domain,
        spf: Some(spf),
        senders,
        dkim: Some(dkim),
        dmarc: Some(dmarc),
        mx: Some(mx),
        mta_sts: Some(mta_sts),
        tls_rpt: Some(tls_rpt),
        bimi: Some(bimi),
        round_trip,
    }
}

async fn part(look: &Look<'_>) -> Facts {
    let domain = look.spec.name();
    let mut facts = Facts { domain: domain.clone(), ..Facts::default() };
    match look.spec.only {
        Some(Part::Dkim) => facts.dkim = Some(dkim::look(look).await),
        Some(Part::Dmarc) => {
            let texts = look.ask(&domain, RecordType::TXT).await;
            facts.dmarc = Some(dmarc::look(look, &texts).await);
        }
        Some(Part::MtaSts) => {
            let (mta_sts, mx) = tokio::join!(mta_sts::look(look), exchanges::look(look));
            (facts.mta_sts, facts.mx) = (Some(mta_sts), Some(mx));
        }
        Some(Part::Spf) => {
            let texts = look.ask(&domain, RecordType::TXT).await;
            facts.spf = Some(spf::look(look, &texts).await);
        }
        None => {}
    }
    facts
}
