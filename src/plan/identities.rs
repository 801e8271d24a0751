//! The identities that checks act as: read once per portal and name, when a check asks for one.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Secrets, identity, settings};
use crate::formats::yaml::{Fault, Reader, nearest};
use crate::model::Identity;
use crate::net::TlsOptions;

/// Those asked for so far, by portal and name; `None` is one with faults.
#[derive(Default)]
pub(super) struct Identities(HashMap<(String, String), Option<Arc<Identity>>>);

impl Identities {
    /// The identity `name` of a portal; its faults go to `faults`.
    pub(super) fn get(
        &mut self,
        portal: &settings::Portal,
        spec: &settings::Identity,
        secrets: &mut Secrets,
        faults: &mut Vec<Fault>,
    ) -> Option<Arc<Identity>> {
        let key = (portal.name.clone(), spec.name.clone());
        self.0.entry(key).or_insert_with(|| read(portal, spec, secrets, faults).map(Arc::new)).clone()
    }
}

fn read(
    portal: &settings::Portal,
    spec: &settings::Identity,
    secrets: &mut Secrets,
    faults: &mut Vec<Fault>,
) -> Option<Identity> {
    let identity = identity::read(portal, spec, secrets, faults)?;
    let client = TlsOptions { client: identity.client.clone(), ..TlsOptions::default() };
    if client.client.is_some()
        && let Err(why) = client.check()
    {
        let path = format!("portals.{}.identities.{}", portal.name, spec.name);
        Reader::new(&path, faults, secrets).fault(&spec.spec, &["client".to_owned()], why);
        return None;
    }
    Some(identity)
}

/// What is said of a name that no identity of the portal has.
pub(super) fn unknown(portal: &settings::Portal, name: &str) -> String {
    let known = || portal.identities.iter().map(|identity| identity.name.as_str());
    let portal = &portal.name;
    if let Some(meant) = nearest(name, known()) {
        return format!("portal {portal} has no identity {name:?}, did you mean {meant:?}?");
    }
    let all: Vec<&str> = known().collect();
    if all.is_empty() {
        format!(
            "portal {portal} has no identities; define one: portals.{portal}.identities: {{NAME: {{username: U, password: {{env: P}}}}}}"
        )
    } else {
        format!("portal {portal} has no identity {name:?}; it has {}", all.join(", "))
    }
}
