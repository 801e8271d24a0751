//! Looks: walks down to the zone, asks every authority and every resolver. The only part that does
//! I/O.

mod ask;
mod authorities;
mod hints;
pub mod questions;
mod resolvers;
mod targets;
mod trials;
mod walk;

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::facts::{Facts, Server};
use super::spec::Spec;
use crate::formats::dns::RecordType;
use crate::model::{Cause, Phase, Timings};
use crate::net::{Origin, waited};
use crate::probe::web::facts::Skipped;
use crate::probe::{Ctx, Observed, Unmeasured};

/// So many questions are on their way at a time.
const AT_ONCE: usize = 16;
/// The longest that one question to one server may take.
const LONGEST_QUESTION: Duration = Duration::from_secs(3);
/// The longest that a resolver may take, which has servers of its own to wait for.
const LONGEST_LOOKUP: Duration = Duration::from_secs(6);
/// What is left of the run for judging and keeping.
const MARGIN: Duration = Duration::from_secs(1);

/// One run's look.
struct Look<'a> {
    spec: &'a Spec,
    ctx: &'a Ctx<'a>,
    /// When the run ends, time spent waiting for permits left out.
    ends: Instant,
    /// Bounds the questions that are on their way.
    turns: Semaphore,
}

/// How long an operation may take.
#[derive(Clone, Copy)]
struct Patience {
    timeout: Duration,
    /// The end of the run comes first: that the time ran out says nothing of the server.
    cut: bool,
}

impl Look<'_> {
    /// `None` when the run is over.
    fn patience(&self, longest: Duration) -> Option<Patience> {
        let left = (self.ends + waited()).saturating_duration_since(Instant::now());
        let timeout = self.ctx.scope.timeout.min(longest);
        (!left.is_zero()).then(|| Patience { timeout: timeout.min(left), cut: left < timeout })
    }

    /// For servers of the settings.
    fn written(&self) -> Origin {
        Origin::Portal { private: self.private() }
    }

    /// For servers that answers name.
    fn answered(&self) -> Origin {
        Origin::Answer { private: self.private() }
    }

    fn private(&self) -> bool {
        self.ctx.scope.portal.private
    }
}

/// Why something was not asked in time.
fn out_of_time() -> Skipped {
    Skipped {
        cause: Cause::Overload,
        why: "the run's time was used up before; raise its deadline or look at fewer records".to_owned(),
        no_route: false,
    }
}

/// The kind's look.
///
/// # Errors
/// Our side failed.
pub async fn observe(spec: &Spec, ctx: &Ctx<'_>) -> Result<Observed<Facts>, Unmeasured> {
    let deadline = ctx.scope.deadline;
    let ends = Instant::now() + deadline.saturating_sub(MARGIN.min(deadline / 10));
    let look = Look { spec, ctx, ends, turns: Semaphore::new(AT_ONCE) };
    let questions = questions::questions(spec);
    let at_authorities = async {
        let parent = walk::parent(&look).await;
        let found = authorities::authorities(&look, &parent, &questions).await;
        (parent, found)
    };
    let at_resolvers = resolvers::resolvers(&look, &questions);
    let ((parent, found), resolvers) = tokio::join!(at_authorities, at_resolvers);
    let mut facts = Facts {
        zone: spec.zone.0.clone(),
        parent,
        name_servers: found.name_servers,
        authorities: found.authorities,
        left_out: found.left_out,
        resolvers,
        questions,
        targets: Vec::new(),
    };
    facts.targets = targets::targets(&look, &facts).await;
    if let Some(unmeasured) = unmeasured(&facts) {
        return Err(unmeasured);
    }
    let timings = timings(&facts);
    Ok(Observed { status: None, timings, steps: Vec::new(), transport: !anyone_answered(&facts), facts })
}

fn servers(facts: &Facts) -> impl Iterator<Item = &Server> {
    let parent = facts.parent.passed_over.iter().chain(&facts.parent.servers);
    parent.chain(facts.authorities.iter().map(|authority| &authority.server))
}

fn anyone_answered(facts: &Facts) -> bool {
    let mut resolvers = facts.resolvers.iter().flat_map(|resolver| &resolver.asked);
    servers(facts).any(Server::answered) || resolvers.any(|asked| asked.answer.is_some())
}

/// Why nothing at all could be measured, where that is our side's fault: nobody answered, and our
/// resolvers fail their control query too, or nothing could even be sent.
fn unmeasured(facts: &Facts) -> Option<Unmeasured> {
    if anyone_answered(facts) {
        return None;
    }
    let resolver = facts.resolvers.iter().map(|resolver| resolver.unmeasured.as_ref());
    let resolvers: Option<Vec<&Skipped>> = resolver.collect();
    let servers: Vec<&Server> = servers(facts).collect();
    let unsent: Vec<&Skipped> = servers.iter().filter_map(|server| server.unmeasured.as_ref()).collect();
    let nothing_was_sent = unsent.len() == servers.len();
    let no_network = nothing_was_sent.then(|| unsent.iter().find(|skipped| skipped.no_route)).flatten();
    let skipped = no_network.copied().or_else(|| resolvers?.first().copied())?;
    Some(Unmeasured { cause: skipped.cause, why: skipped.why.clone() })
}

/// The time of the first authority that answered.
fn timings(facts: &Facts) -> Timings {
    let mut timings = Timings::default();
    let asked = facts.authorities.iter().flat_map(|authority| &authority.server.asked);
    let mut soas = asked.filter(|asked| asked.answer.is_some() && asked.question.kind == RecordType::SOA);
    if let Some(first) = soas.next() {
        timings.add(Phase::Dns, Duration::try_from_secs_f64(first.took).unwrap_or_default());
    }
    timings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::dns::facts::{Authority, Parent, Resolver};

    fn skipped(cause: Cause, no_route: bool) -> Skipped {
        Skipped { cause, why: "words".to_owned(), no_route }
    }

    /// One authority and one resolver, neither of which said anything.
    fn facts(authority: Option<Skipped>, resolver: Option<Skipped>) -> Facts {
        let address = "192.0.2.1:53".parse().unwrap();
        let server = Server { name: None, address, unmeasured: authority, asked: Vec::new() };
        let zone: crate::formats::dns::Name = "acme.example".parse().unwrap();
        Facts {
            zone,
            parent: Parent::default(),
            name_servers: Vec::new(),
            authorities: vec![Authority {
                server,
                by_parent: true,
                by_child: false,
                glue: true,
                resolved: false,
                tried: Vec::new(),
            }],
            left_out: Vec::new(),
            resolvers: vec![Resolver { server: "system".into(), unmeasured: resolver, asked: Vec::new() }],
            questions: Vec::new(),
            targets: Vec::new(),
        }
    }

    #[test]
    fn silence_is_the_zones_only_if_our_resolver_lives_and_something_was_sent() {
        let dead = || Some(skipped(Cause::LocalDns, false));
        let no_route = || Some(skipped(Cause::LocalNetwork, true));
        for (authority, resolver, cause) in [
            (None, None, None),
            (None, dead(), Some(Cause::LocalDns)),
            (no_route(), dead(), Some(Cause::LocalNetwork)),
            (no_route(), None, Some(Cause::LocalNetwork)),
            (Some(skipped(Cause::Config, false)), None, None),
        ] {
            let said = unmeasured(&facts(authority.clone(), resolver.clone()));
            assert_eq!(said.map(|said| said.cause), cause, "{authority:?} {resolver:?}");
        }
    }
}
