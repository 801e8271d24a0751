//! What can only be judged with several keys in view, and what follows from the settings alone.

use super::servers;
use super::spec::Spec;
use crate::probe::web::shell::quote;
use crate::probe::web::{mask, tls};
use crate::probe::{Problem, Scope};

/// [`super::RegistrationKind`]'s problems.
pub fn problems(spec: &Spec, scope: &Scope) -> Vec<Problem> {
    let problem =
        |key: &str, message: &str| Problem { path: vec![key.to_owned()], message: message.to_owned() };
    let mut problems = Vec::new();
    if spec.domain.private_suffix && servers::configured(spec).is_none() {
        problems.push(problem(
            "domain",
            "it stands below a suffix that no registry runs; name the RDAP server of whoever does: server: https://…",
        ));
    }
    if spec.server.is_some() && !spec.servers.0.is_empty() {
        problems.push(problem("servers", "server is asked whatever servers says; keep one of the two"));
    }
    if spec.server.is_some() && spec.bootstrap.is_some() {
        problems.push(problem("bootstrap", "server is asked whatever the file says; keep one of the two"));
    }
    let tls = tls::faults(&scope.tls).map(|message| Problem { path: Vec::new(), message });
    problems.extend(tls);
    problems
}

/// The hosts a run connects to, as far as the settings tell.
pub fn hosts(spec: &Spec) -> Vec<String> {
    let server = servers::of(spec, None);
    let fetched = servers::configured(spec).is_none();
    let file = spec.bootstrap.as_ref().filter(|_| fetched).map(|file| (*file.0).clone());
    let bare = |url: url::Url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned());
    server.into_iter().chain(file).filter_map(bare).collect()
}

/// Commands that show a finding to whoever looks into it.
pub fn commands(spec: &Spec, scope: &Scope) -> Vec<String> {
    let lookup = servers::of(spec, None).map(|base| {
        let url = mask::url(&servers::lookup(&base, &spec.domain.ascii), &[]);
        let seconds = scope.timeout.as_secs().max(1);
        format!("curl -sSL --max-time {seconds} -H 'Accept: application/rdap+json' {}", quote(&url))
    });
    let check = format!("portalwatch check {} --explain", quote(scope.check.as_str()));
    lookup.into_iter().chain([check]).collect()
}
