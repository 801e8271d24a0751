//! MTA-STS: the record, and the policy where it should be.

use super::Look;
use crate::formats::dns::RecordType;
use crate::formats::mta_sts::{Policy, Remark, is_mta_sts};
use crate::probe::mail::facts::{MtaSts, Says, StsPolicy};

/// The longest policy that is read (RFC 8461 section 3.3 lets senders stop at 64 KiB).
const LONGEST: usize = 64 * 1024;

pub(super) async fn look(look: &Look<'_>) -> MtaSts {
    let domain = look.spec.name();
    let host = format!("mta-sts.{domain}");
    let name = format!("_mta-sts.{domain}");
    let (record, v4, v6) = tokio::join!(
        look.ask(&name, RecordType::TXT),
        look.ask(&host, RecordType::A),
        look.ask(&host, RecordType::AAAA),
    );
    let announced = record.values.iter().any(|text| is_mta_sts(text));
    let there = announced || !v4.values.is_empty() || !v6.values.is_empty();
    let url = url::Url::parse(&format!("https://{host}/.well-known/mta-sts.txt")).ok().filter(|_| there);
    let policy = match url {
        Some(url) => Some(look.fetch(&url, LONGEST, read).await),
        None => None,
    };
    MtaSts { record, policy }
}

fn read(body: &[u8]) -> Says {
    let Ok(text) = std::str::from_utf8(body) else {
        return Says::Unreadable("it is no text in UTF-8".to_owned());
    };
    match Policy::parse(text) {
        Err(fault) => Says::Unreadable(fault.to_string()),
        Ok(policy) => {
            let again = policy.remarks.iter().filter_map(|remark| match remark {
                Remark::Again(key) => Some(key.clone()),
                Remark::Unknown(_) => None,
            });
            Says::Policy(StsPolicy {
                mode: policy.mode.as_str().to_owned(),
                again: again.collect(),
                mx: policy.mx,
                max_age: policy.max_age,
            })
        }
    }
}
