//! Which record sets are compared with what was approved, and how each stands.

use std::net::IpAddr;

use ipnet::IpNet;

use super::declared;
use crate::formats::dns::{Name, RecordType};
use crate::judge::drift::{Decided, Expectation, Last, Policy, State};
use crate::model::Baseline;
use crate::probe::dns::facts::Question;
use crate::probe::dns::memory::Memory;
use crate::probe::dns::observe::questions::questions;
use crate::probe::dns::spec::Spec;
use crate::probe::{Standing, Watched, standing};

/// What stands for every address of Cloudflare: which of them a name has there says nothing.
const CLOUDFLARE: &str = "any address of Cloudflare";
/// <https://www.cloudflare.com/ips/>.
const CLOUDFLARE_NETWORKS: [&str; 22] = [
    "173.245.48.0/20",
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "141.101.64.0/18",
    "108.162.192.0/18",
    "190.93.240.0/20",
    "188.114.96.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "162.158.0.0/15",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "172.64.0.0/13",
    "131.0.72.0/22",
    "2400:cb00::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2405:b500::/32",
    "2405:8100::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
];

/// One record set.
pub struct Set<'a> {
    /// Which.
    pub question: Question,
    /// What is declared of it.
    pub declared: Option<&'a Expectation>,
}

impl Set<'_> {
    /// How it is treated.
    pub fn policy(&self, spec: &Spec) -> Policy {
        let kind = self.question.kind;
        let learns = spec.learn && self.declared.is_none();
        Policy {
            polls: if learns { spec.learn_polls } else { 0 },
            turns: matches!(kind, RecordType::A | RecordType::AAAA),
            holds: holds(&self.question),
        }
    }
}

/// All that are compared: those that are asked for and the zone's DS, without what nobody manages.
pub fn sets(spec: &Spec) -> Vec<Set<'_>> {
    let zone = &spec.zone.0;
    let mut all = questions(spec);
    let signer = Question { name: zone.clone(), kind: RecordType::DS };
    if !all.contains(&signer) {
        all.push(signer);
    }
    let of = |question: Question| {
        let own = |record: &&crate::probe::dns::spec::RecordSpec| {
            declared::question(spec, record).as_ref() == Some(&question)
        };
        let expect = spec.records.iter().find(own).map(|record| &record.expect);
        match expect {
            Some(Expectation::Unmanaged) => None,
            Some(Expectation::Learned) | None => {
                (!comes_and_goes(&question.name)).then_some(Set { question, declared: None })
            }
            Some(expect) => Some(Set { question, declared: Some(expect) }),
        }
    };
    all.into_iter().filter_map(of).collect()
}

/// What whoever gets certificates puts there for a moment.
fn comes_and_goes(name: &Name) -> bool {
    name.to_string().to_lowercase().starts_with("_acme-challenge.")
}

/// What nobody but a person may let pass: whoever changes it has the zone, its mail or its certificates.
fn holds(question: &Question) -> bool {
    let name = question.name.to_string().to_lowercase();
    let policy = ["_dmarc.", "_mta-sts.", "_smtp._tls."].iter().any(|prefix| name.starts_with(prefix));
    match question.kind {
        RecordType::NS | RecordType::DS | RecordType::MX | RecordType::CAA | RecordType::TLSA => true,
        // SPF stands among other text.
        RecordType::TXT => true,
        RecordType::CNAME => policy || name.contains("._domainkey."),
        _ => false,
    }
}

/// A set as it is compared over time: without what somebody's service had put there to prove who owns
/// the zone, and without the difference between addresses of one network that serves for others.
pub fn settled(question: &Question, values: &[String]) -> Vec<String> {
    let mut values: Vec<String> = match question.kind {
        RecordType::TXT => values.iter().filter(|value| !is_proof(value)).cloned().collect(),
        RecordType::A | RecordType::AAAA => values.iter().map(|value| of_network(value)).collect(),
        _ => return values.to_vec(),
    };
    values.sort_unstable();
    values.dedup();
    values
}

fn is_proof(value: &str) -> bool {
    let text = value.trim_matches('"').to_lowercase();
    let (tag, rest) = text.split_once(['=', ':', ' ']).unwrap_or((&text, ""));
    tag.ends_with("-verification")
        || tag.ends_with("-domain-verification")
        || tag.ends_with("_verification")
        || (tag == "ms" && rest.starts_with("ms") && rest[2..].bytes().all(|byte| byte.is_ascii_digit()))
}

fn of_network(value: &str) -> String {
    let within = |ip: &IpAddr| {
        CLOUDFLARE_NETWORKS.iter().filter_map(|text| text.parse::<IpNet>().ok()).any(|net| net.contains(ip))
    };
    match value.parse::<IpAddr>() {
        Ok(ip) if within(&ip) => CLOUDFLARE.to_owned(),
        _ => value.to_owned(),
    }
}

/// What people decided about one set, as it is compared.
pub fn decisions(baselines: &[Baseline], question: &Question) -> Vec<Baseline> {
    let key = question.key();
    let own = baselines.iter().filter(|baseline| baseline.key == key);
    own.map(|own| Baseline { values: settled(question, &own.values), ..own.clone() }).collect()
}

/// How each stands.
pub fn standings(spec: &Spec, memory: &Memory, baselines: &[Baseline]) -> Vec<Watched> {
    let unknown = State::default();
    let of = |set: Set<'_>| {
        let key = set.question.key();
        let state = memory.sets.get(&key).unwrap_or(&unknown);
        match set.declared {
            Some(expect) => as_declared(key, state, expect),
            None => {
                let own = decisions(baselines, &set.question);
                standing::of_state(key.clone(), state, &Decided::about(&own, &key), spec.learn)
            }
        }
    };
    sets(spec).into_iter().map(of).collect()
}

fn as_declared(key: String, state: &State, expect: &Expectation) -> Watched {
    let present = state.present.as_ref();
    let standing = match (present, state.last) {
        (_, Last::Silent) | (None, _) => Standing::Unmeasured,
        (Some(present), _) if expect.unexpected(&present.values).is_none() => Standing::Same,
        _ => Standing::Drifted,
    };
    Watched {
        key,
        standing,
        baseline: Some(expect.lines()),
        present: present.map(|present| present.values.clone()),
        since: present.map(|present| present.since),
        declared: true,
        note: "declared in the config".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: RecordType) -> Question {
        Question { name: "acme.example.".parse().unwrap(), kind }
    }

    fn set(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn proofs_of_ownership_come_and_go_without_a_word() {
        let text = set(&[
            "\"MS=ms12345678\"",
            "\"google-site-verification=abc\"",
            "\"ms=mail service\"",
            "\"v=spf1 -all\"",
            "\"atlassian-domain-verification=x\"",
        ]);
        assert_eq!(
            settled(&question(RecordType::TXT), &text),
            set(&["\"ms=mail service\"", "\"v=spf1 -all\""])
        );
        assert!(comes_and_goes(&"_ACME-challenge.www.acme.example.".parse().unwrap()));
        assert!(!comes_and_goes(&"acme-challenge.acme.example.".parse().unwrap()));
    }

    #[test]
    fn addresses_of_a_network_that_serves_for_others_are_one_value() {
        let values = set(&["104.16.1.1", "172.64.9.9", "192.0.2.1"]);
        assert_eq!(settled(&question(RecordType::A), &values), set(&["192.0.2.1", CLOUDFLARE]));
        assert_eq!(settled(&question(RecordType::AAAA), &set(&["2606:4700::1"])), set(&[CLOUDFLARE]));
        assert!(CLOUDFLARE_NETWORKS.iter().all(|network| network.parse::<IpNet>().is_ok()));
    }

    #[test]
    fn whoever_changes_servers_keys_or_mail_is_never_taken_for_granted() {
        for (name, kind, held) in [
            ("acme.example.", RecordType::NS, true),
            ("acme.example.", RecordType::DS, true),
            ("acme.example.", RecordType::TXT, true),
            ("_dmarc.acme.example.", RecordType::CNAME, true),
            ("s1._domainkey.acme.example.", RecordType::CNAME, true),
            ("www.acme.example.", RecordType::CNAME, false),
            ("www.acme.example.", RecordType::A, false),
        ] {
            assert_eq!(holds(&Question { name: name.parse().unwrap(), kind }), held, "{name} {kind}");
        }
    }
}
