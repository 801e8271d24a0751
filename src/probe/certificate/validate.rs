//! What can only be judged with the portal in view.

use super::spec::Spec;
use crate::model::Host;
use crate::probe::{Problem, Scope};

/// The hosts that are looked at: of the settings, else of the portal, else that of its URL.
pub fn hosts(spec: &Spec, scope: &Scope) -> Vec<Host> {
    if !spec.hosts.is_empty() {
        return spec.hosts.clone();
    }
    if !scope.portal.hosts.is_empty() {
        return scope.portal.hosts.clone();
    }
    let url = scope.portal.url.as_ref();
    let host = url.and_then(|url| {
        let mut host = Host::parse(url.host_str()?).ok()?;
        host.port = url.port();
        Some(host)
    });
    host.into_iter().collect()
}

/// What is wrong with the settings.
pub fn problems(spec: &Spec, scope: &Scope) -> Vec<Problem> {
    let mut problems = Vec::new();
    if hosts(spec, scope).is_empty() {
        problems.push(Problem {
            path: Vec::new(),
            message:
                "no host to look at: name them under hosts here or in the portal, or give the portal a url"
                    .to_owned(),
        });
    }
    problems
}
