//! What can only be judged with several keys in view.

use super::spec::Spec;
use crate::probe::web::tls;
use crate::probe::{Problem, Scope};

/// [`super::Mail`]'s problems.
pub fn problems(spec: &Spec, scope: &Scope) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |path: &[&str], message: &str| {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        problems.push(Problem { path, message: message.to_owned() });
    };
    if spec.parked && !spec.senders.is_empty() {
        problem(&["senders"], "a parked domain has none; remove parked or senders");
    }
    if spec.parked && !spec.dkim_selectors.is_empty() {
        problem(&["dkim_selectors"], "a parked domain signs nothing; remove parked or dkim_selectors");
    }
    let wants = &spec.require;
    let anything =
        wants.dmarc.is_some() || wants.mta_sts.is_some() || wants.tls_rpt || wants.dane || wants.bimi;
    if spec.parked && anything {
        problem(&["require"], "a parked domain has records of its own to have; remove parked or require");
    }
    if !spec.dnsbl.is_empty() && spec.senders.is_empty() {
        problem(
            &["dnsbl"],
            "block lists are asked about senders; declare them: senders: [{ip: …, mail_from: …}]",
        );
    }
    if spec.learn && !(3..=100).contains(&spec.learn_polls) {
        problem(&["learn_polls"], "so many equal runs are between 3 and 100");
    }
    if spec.bulk && spec.round_trip.is_none() {
        problem(&["bulk"], "whether one can unsubscribe is seen of a message alone; add loop: {…}");
    }
    for (path, message) in spec.round_trip.iter().flat_map(|one| one.problems(scope.deadline)) {
        problem(&path, &message);
    }
    if spec.ports.smtp == 0 || spec.ports.https == 0 {
        problem(&["ports"], "0 is no port; the usual ones are smtp: 25 and https: 443");
    }
    let faults = tls::faults(&scope.tls).map(|message| Problem { path: Vec::new(), message });
    problems.extend(faults);
    problems
}
