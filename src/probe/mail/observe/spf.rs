//! The SPF record of the domain: what it says of senders nobody has heard of, and whom it allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::future::join_all;

use super::Look;
use crate::formats::dns::RecordType;
use crate::probe::mail::facts::{Looked, Spf};
use crate::probe::mail::spf::{Checked, Sender, authorized, check_host};

/// Addresses that no record names: for documentation, of either family (RFC 5737, RFC 3849).
const NOBODY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 254)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xfffe)),
];
/// The type of records that RFC 7208 section 3.1 gave up.
const OLD: RecordType = RecordType(99);
/// The most owners of included records that are looked up.
const OWNERS: usize = 10;

pub(super) async fn look(look: &Look<'_>, texts: &Looked) -> Spf {
    let domain = look.spec.name();
    let [v4, v6] = NOBODY.map(|nobody| check(look, nobody, &domain));
    let resolver = look.resolver();
    let old = look.ask(&domain, OLD);
    let (v4, v6, authorized, old) = tokio::join!(v4, v6, authorized(&resolver, &domain), old);
    let owners = owners(look, &v4).await;
    Spf { texts: texts.clone(), old, v4, v6, authorized: authorized.ok(), owners }
}

async fn check(look: &Look<'_>, ip: IpAddr, domain: &str) -> Checked {
    let from = format!("postmaster@{domain}");
    let time = look.ctx.at.as_second();
    let sender = Sender { ip, mail_from: &from, helo: domain, receiver: "unknown", time };
    check_host(&look.resolver(), &sender).await
}

/// Who owns the names that are included and have no record: nobody, perhaps, and anybody soon.
async fn owners(look: &Look<'_>, checked: &Checked) -> Vec<Looked> {
    let missing = checked.trace.all().into_iter().skip(1).filter(|node| node.record.is_none());
    let owner = |domain: &str| psl::domain_str(domain).map(str::to_ascii_lowercase);
    let mut owners: Vec<String> = missing.filter_map(|node| owner(&node.domain)).collect();
    owners.sort_unstable();
    owners.dedup();
    owners.truncate(OWNERS);
    join_all(owners.iter().map(|owner| look.ask(owner, RecordType::NS))).await
}
