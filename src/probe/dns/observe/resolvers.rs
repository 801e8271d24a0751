//! What the resolvers say that people use, each by itself.

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::ask::{a_few_at_a_time, answered, bound, failed, question, trim};
use super::{LONGEST_LOOKUP, Look, out_of_time};
use crate::formats::dns::{Query, Rcode, RecordType};
use crate::probe::dns::facts::{Asked, Over, Question, Resolver};
use crate::probe::web::facts::{Skipped, our_side};

/// The most resolvers that are asked.
const MOST_RESOLVERS: usize = 8;
/// What is asked where the settings name no resolver.
const SYSTEM: &str = "system";

/// Each of the settings.
pub(super) async fn resolvers(look: &Look<'_>, questions: &[Question]) -> Vec<Resolver> {
    let written = &look.ctx.scope.resolvers;
    let system = [SYSTEM.to_owned()];
    let servers: &[String] = if written.is_empty() { &system } else { written };
    join_all(servers.iter().take(MOST_RESOLVERS).map(|server| ask(look, server, questions))).await
}

async fn ask(look: &Look<'_>, server: &str, questions: &[Question]) -> Resolver {
    let mut resolver = Resolver { server: server.to_owned(), unmeasured: None, asked: Vec::new() };
    // One first: a resolver that is dead is not waited for with each question.
    match look_up(look, server, &question(&look.spec.zone.0, RecordType::SOA)).await {
        Ok(asked) => resolver.asked = asked,
        Err(skipped) => {
            resolver.unmeasured = Some(skipped);
            return resolver;
        }
    }
    let all = questions.iter().map(|question| look_up(look, server, question).boxed());
    for asked in a_few_at_a_time(all.collect()).await {
        match asked {
            Ok(asked) => resolver.asked.extend(asked),
            Err(skipped) => resolver.unmeasured = Some(skipped),
        }
    }
    // It died on the way, or the time ran out: what it said before stands.
    if resolver.asked.iter().any(|asked| asked.answer.is_some()) {
        resolver.unmeasured = None;
    }
    trim(&mut resolver.asked);
    bound(&mut resolver.asked);
    resolver
}

/// A question, and after SERVFAIL the same again with checking disabled.
async fn look_up(look: &Look<'_>, server: &str, question: &Question) -> Result<Vec<Asked>, Skipped> {
    let query = Query::to_resolver(question.name.clone(), question.kind);
    let asked = look_up_once(look, server, &query).await?;
    let failed = asked.answer.as_ref().is_some_and(|answer| answer.rcode == Rcode::SERVFAIL);
    let mut all = vec![asked];
    if failed {
        let unchecked = Query { checking_disabled: true, ..query };
        // What it says to this adds to the first answer, which stands without it too.
        all.extend(look_up_once(look, server, &unchecked).await);
    }
    Ok(all)
}

pub(super) async fn look_up_once(look: &Look<'_>, server: &str, query: &Query) -> Result<Asked, Skipped> {
    let _turn = look.turns.acquire().await;
    let patience = look.patience(LONGEST_LOOKUP).ok_or_else(out_of_time)?;
    let question = Question { name: query.name.clone(), kind: query.kind };
    let began = Instant::now();
    let reply = look.ctx.net.lookup_with(query, &[server.to_owned()], patience.timeout).await;
    let asked = match reply {
        Ok(reply) => answered(question, reply),
        Err(error) => match our_side(&error) {
            Some(skipped) => return Err(skipped),
            None if patience.cut => return Err(out_of_time()),
            None => failed(question, over(server), began.elapsed(), &error),
        },
    };
    Ok(Asked { unchecked: query.checking_disabled, ..asked })
}

fn over(server: &str) -> Over {
    match server.split_once("://") {
        Some(("tls", _)) => Over::Tls,
        Some(("https", _)) => Over::Https,
        _ => Over::Udp,
    }
}
