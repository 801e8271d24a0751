//! Every address of every name server that the parent or the zone itself names.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;

use super::ask::{Place, Way, bound, question, trim};
use super::walk::{addresses, found, names};
use super::{LONGEST_LOOKUP, Look, trials};
use crate::formats::dns::{Name, Outcome, QueryEdns, RecordType};
use crate::probe::dns::facts::{Asked, Authority, NameServer, Over, Parent, Question, Server, Tried};
use crate::probe::web::facts::{failure, our_side};

/// The most addresses that are asked.
const MOST_ADDRESSES: usize = 32;
/// The most names of servers that are looked at.
const MOST_NAMES: usize = 32;
/// The most addresses of one name that are kept.
const MOST_OF_NAME: usize = 64;
/// Aliases are followed so far.
const MOST_ALIASES: usize = 16;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) name_servers: Vec<NameServer>,
    pub(super) authorities: Vec<Authority>,
    pub(super) left_out: Vec<SocketAddr>,
}

/// First those that the parent names, then those that the zone itself names beside them.
pub(super) async fn authorities(look: &Look<'_>, parent: &Parent, questions: &[Question]) -> Found {
    let zone = &look.spec.zone.0;
    let mut found = Found { name_servers: delegation(parent, zone), ..Found::default() };
    if found.name_servers.is_empty() && !parent.servers.iter().any(Server::answered) {
        found.name_servers = named_by_resolvers(look).await;
    }
    resolve(look, &mut found.name_servers, |server| server.glue.is_empty()).await;
    ask_new(look, &mut found, questions).await;

    add_named_by_zone(&mut found, zone);
    add_own_addresses(look, &mut found).await;
    resolve(look, &mut found.name_servers, |server| server.glue.is_empty() && server.resolved.is_empty())
        .await;
    ask_new(look, &mut found, questions).await;
    mark(&mut found);
    found
}

/// What the servers of the parent say together.
fn delegation(parent: &Parent, zone: &Name) -> Vec<NameServer> {
    let mut servers: Vec<NameServer> = Vec::new();
    for answer in parent.servers.iter().filter_map(|server| server.answer(zone, RecordType::NS)) {
        for name in names(&answer.authorities, zone).chain(names(&answer.answers, zone)) {
            if servers.len() == MOST_NAMES && !servers.iter().any(|server| server.name == *name) {
                continue;
            }
            let server = entry(&mut servers, name);
            server.by_parent = true;
            for ip in addresses(&answer.additionals, name) {
                add(&mut server.glue, ip);
            }
        }
    }
    servers
}

fn entry<'s>(servers: &'s mut Vec<NameServer>, name: &Name) -> &'s mut NameServer {
    let at = servers.iter().position(|server| server.name == *name).unwrap_or(servers.len());
    if at == servers.len() {
        servers.push(NameServer {
            name: name.clone(),
            by_parent: false,
            by_child: false,
            glue: Vec::new(),
            resolved: Vec::new(),
            failure: None,
            unmeasured: None,
        });
    }
    #[expect(clippy::indexing_slicing, reason = "it was found or put there just above")]
    &mut servers[at]
}

fn add(addresses: &mut Vec<IpAddr>, ip: IpAddr) {
    if addresses.len() < MOST_OF_NAME && !addresses.contains(&ip) {
        addresses.push(ip);
    }
}

/// Where the parent cannot be asked, what the resolvers know.
async fn named_by_resolvers(look: &Look<'_>) -> Vec<NameServer> {
    let zone = &look.spec.zone.0;
    let Some(patience) = look.patience(LONGEST_LOOKUP) else { return Vec::new() };
    let resolvers = &look.ctx.scope.resolvers;
    let reply = look.ctx.net.lookup(zone, RecordType::NS, resolvers, patience.timeout).await;
    let mut servers = Vec::new();
    for name in reply.iter().flat_map(|reply| names(&reply.message.answers, zone)).take(MOST_NAMES) {
        entry(&mut servers, name).by_child = true;
    }
    servers
}

/// Looks up by the resolvers what is wanted and was not looked up yet.
async fn resolve(look: &Look<'_>, servers: &mut [NameServer], wanted: fn(&NameServer) -> bool) {
    let open = |server: &NameServer| server.failure.is_none() && server.unmeasured.is_none();
    let all = servers.iter_mut().filter(|server| wanted(server) && open(server));
    join_all(all.map(|server| resolve_one(look, server))).await;
}

async fn resolve_one(look: &Look<'_>, server: &mut NameServer) {
    let _turn = look.turns.acquire().await;
    let Some(patience) = look.patience(LONGEST_LOOKUP) else {
        server.unmeasured = Some(super::out_of_time());
        return;
    };
    let resolvers = &look.ctx.scope.resolvers;
    match look.ctx.net.resolve(&server.name.without_dot(), resolvers, patience.timeout).await {
        Ok(found) => found.addresses.into_iter().for_each(|ip| add(&mut server.resolved, ip)),
        Err(error) => match our_side(&error) {
            Some(skipped) => server.unmeasured = Some(skipped),
            None if patience.cut => server.unmeasured = Some(super::out_of_time()),
            None => server.failure = Some(failure(&error)),
        },
    }
}

/// Asks the addresses that were not asked yet.
async fn ask_new(look: &Look<'_>, found: &mut Found, questions: &[Question]) {
    let places = new_places(look, found);
    let questions = all_questions(look, &found.name_servers, questions);
    let asked = join_all(places.iter().map(|place| ask(look, place, &questions))).await;
    found.authorities.extend(asked.into_iter().map(|(server, tried)| Authority {
        server,
        by_parent: false,
        by_child: false,
        glue: false,
        resolved: false,
        tried,
    }));
}

fn new_places(look: &Look<'_>, found: &mut Found) -> Vec<Place> {
    let known: Vec<(Option<Name>, SocketAddr)> = found
        .authorities
        .iter()
        .map(|authority| (authority.server.name.clone(), authority.server.address))
        .collect();
    let mut places: Vec<Place> = Vec::new();
    found.left_out.clear();
    for server in &found.name_servers {
        for ip in server.glue.iter().chain(&server.resolved) {
            let place = self::found(look, &server.name, *ip);
            if known.iter().any(|(name, at)| *name == place.name && *at == place.address)
                || places.contains(&place)
            {
                continue;
            }
            if known.len() + places.len() < MOST_ADDRESSES {
                places.push(place);
            } else {
                found.left_out.push(place.address);
            }
        }
    }
    places
}

/// What is asked beside the SOA: what is compared, the keys, the addresses of servers within the zone.
fn all_questions(look: &Look<'_>, servers: &[NameServer], questions: &[Question]) -> Vec<Question> {
    let zone = &look.spec.zone.0;
    let mut all = vec![question(zone, RecordType::NS), question(zone, RecordType::DNSKEY)];
    let own = servers.iter().filter(|server| server.name.is_within(zone));
    let addresses = own.flat_map(|server| of_host(&server.name));
    for question in questions.iter().cloned().chain(addresses) {
        // Of its own DS the zone knows nothing, and says so: that is no answer.
        let of_parent = question.kind == RecordType::DS && question.name == *zone;
        if !of_parent && !all.contains(&question) {
            all.push(question);
        }
    }
    all
}

fn of_host(name: &Name) -> [Question; 2] {
    [question(name, RecordType::A), question(name, RecordType::AAAA)]
}

/// Everything about one address.
async fn ask(look: &Look<'_>, place: &Place, questions: &[Question]) -> (Server, Vec<Tried>) {
    let zone = &look.spec.zone.0;
    let mut server = place.server();
    let soa = question(zone, RecordType::SOA);
    let mut named = super::ask::plain(&soa);
    named.edns = named.edns.map(|edns| QueryEdns { nsid: true, ..edns });
    let plain = super::ask::plain(&soa);
    let (udp, tcp) = tokio::join!(
        look.ask_tolerantly(place, &named, Over::Udp),
        look.ask_tolerantly(place, &plain, Over::Tcp)
    );
    let mut answers_over = Vec::new();
    for (over, soa) in [(Over::Udp, udp), (Over::Tcp, tcp)] {
        match soa {
            Ok(asked) => {
                if asked.answer.is_some() {
                    answers_over.push(over);
                }
                server.asked.push(asked);
            }
            Err(skipped) => server.unmeasured = Some(skipped),
        }
    }
    if !server.asked.is_empty() {
        server.unmeasured = None;
    }
    // A server that is silent would be waited for again and again.
    let Some(first) = answers_over.first() else { return (server, Vec::new()) };
    let way = if *first == Over::Udp { Way::Usual } else { Way::Tcp };
    let (asked, tried) =
        tokio::join!(look.ask_all(place, questions, way), trials::trials(look, place, &answers_over));
    server.asked.extend(asked);
    let more = of_signed(&server, zone);
    server.asked.extend(look.ask_all(place, &more, way).await);
    follow(look, place, &mut server, questions, way).await;
    trim(&mut server.asked);
    bound(&mut server.asked);
    (server, tried)
}

/// What a zone with keys has beside them.
fn of_signed(server: &Server, zone: &Name) -> Vec<Question> {
    let keys = server.answer(zone, RecordType::DNSKEY);
    let signed = keys.is_some_and(|keys| keys.answers.iter().any(|record| record.kind == RecordType::DNSKEY));
    let kinds: &[RecordType] =
        if signed { &[RecordType::CDS, RecordType::CDNSKEY, RecordType::NSEC3PARAM] } else { &[] };
    kinds.iter().map(|kind| question(zone, *kind)).collect()
}

/// Asks for where aliases lead, as long as that is within the zone and the answers do not hold it.
async fn follow(look: &Look<'_>, place: &Place, server: &mut Server, questions: &[Question], way: Way) {
    let mut open: Vec<Question> = questions.to_vec();
    for _ in 0..MOST_ALIASES {
        let next: BTreeSet<Question> =
            open.iter().filter_map(|question| target(server, question, &look.spec.zone.0)).collect();
        open = next.into_iter().collect();
        if open.is_empty() {
            return;
        }
        let asked = look.ask_all(place, &open, way).await;
        server.asked.extend(asked);
    }
}

/// The end of the aliases of an answer, if it is still to be asked for.
fn target(server: &Server, asked: &Question, zone: &Name) -> Option<Question> {
    let answer = server.answer(&asked.name, asked.kind)?;
    if answer.outcome(asked) != Outcome::NoData {
        return None;
    }
    let followed = answer.follow(asked);
    let leads_on = !followed.aliases.is_empty() && !followed.looped && followed.records.is_empty();
    let next = Question { name: followed.name, kind: asked.kind };
    let fresh = server.asked(&next.name, next.kind).is_none();
    (leads_on && fresh && next.name.is_within(zone)).then_some(next)
}

/// The answers of those who serve the zone.
fn said_by_zone<'f>(found: &'f Found, zone: &'f Name) -> impl Iterator<Item = &'f Server> {
    let serving = found.authorities.iter().filter(|authority| authority.is_authoritative(zone));
    serving.map(|authority| &authority.server)
}

fn add_named_by_zone(found: &mut Found, zone: &Name) {
    let mut named: Vec<Name> = Vec::new();
    for server in said_by_zone(found, zone) {
        let answer = server.answer(zone, RecordType::NS).filter(|answer| answer.authoritative);
        named.extend(answer.iter().flat_map(|answer| names(&answer.answers, zone)).cloned());
    }
    for name in named {
        if found.name_servers.len() < MOST_NAMES
            || found.name_servers.iter().any(|server| server.name == name)
        {
            entry(&mut found.name_servers, &name).by_child = true;
        }
    }
}

/// The addresses of servers within the zone are what the zone itself says.
async fn add_own_addresses(look: &Look<'_>, found: &mut Found) {
    let zone = &look.spec.zone.0;
    let unasked = |server: &NameServer| {
        let mut answers = found.authorities.iter().map(|authority| &authority.server);
        server.name.is_within(zone)
            && !answers.any(|asked| asked.asked(&server.name, RecordType::A).is_some())
    };
    let more: Vec<Question> = found
        .name_servers
        .iter()
        .filter(|server| unasked(server))
        .flat_map(|server| of_host(&server.name))
        .collect();
    if !more.is_empty() {
        let serving = found.authorities.iter_mut().filter(|authority| authority.is_authoritative(zone));
        join_all(serving.map(|authority| ask_more(look, &mut authority.server, &more))).await;
    }
    let mut own: Vec<(Name, Vec<IpAddr>)> = Vec::new();
    for server in said_by_zone(found, zone) {
        for Asked { question, answer, .. } in &server.asked {
            let host = matches!(question.kind, RecordType::A | RecordType::AAAA);
            if let Some(answer) = answer.as_ref().filter(|answer| host && answer.authoritative) {
                own.push((question.name.clone(), addresses(&answer.answers, &question.name)));
            }
        }
    }
    for server in found.name_servers.iter_mut().filter(|server| server.name.is_within(zone)) {
        for (_, ips) in own.iter().filter(|(name, _)| *name == server.name) {
            ips.iter().for_each(|ip| add(&mut server.resolved, *ip));
        }
    }
}

async fn ask_more(look: &Look<'_>, server: &mut Server, questions: &[Question]) {
    let over_udp = |asked: &Asked| asked.over == Over::Udp && asked.answer.is_some();
    let way = if server.asked.iter().any(over_udp) { Way::Usual } else { Way::Tcp };
    let place = Place { name: server.name.clone(), address: server.address, origin: look.answered() };
    server.asked.extend(look.ask_all(&place, questions, way).await);
    bound(&mut server.asked);
}

/// Who names each authority.
fn mark(found: &mut Found) {
    for authority in &mut found.authorities {
        let of =
            found.name_servers.iter().find(|server| Some(&server.name) == authority.server.name.as_ref());
        let Some(server) = of else { continue };
        let ip = authority.server.address.ip();
        authority.by_parent = server.by_parent;
        authority.by_child = server.by_child;
        authority.glue = server.glue.contains(&ip);
        authority.resolved = server.resolved.contains(&ip);
    }
}
