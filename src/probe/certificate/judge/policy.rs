//! Certificate policies (RFC 5280 section 6.1): only where an authority of the path asks that one be
//! valid all the way down. The user asks for none, so any that is left will do.

use std::collections::{BTreeMap, BTreeSet};

use super::docs;
use super::fault::Fault;
use super::path::Path;
use crate::formats::x509::Certificate;

const ANY: &str = "2.5.29.32.0";

/// The state variables of section 6.1.2. The tree of policies is kept as what it comes to: which
/// policies a certificate may have next, since without a user's set no more is asked of it.
struct State {
    /// What the next certificate may have; any-policy is `any`.
    expected: BTreeSet<String>,
    any: bool,
    explicit: u32,
    mapping: u32,
    inhibit_any: u32,
}

/// The end entity, where the path needs a policy and none is left.
pub fn violated(path: &Path<'_>) -> Option<Fault> {
    let below_root = u32::try_from(path.certificates.len()).unwrap_or(u32::MAX);
    let start = below_root.saturating_add(1);
    let mut state =
        State { expected: BTreeSet::new(), any: true, explicit: start, mapping: start, inhibit_any: start };
    for (position, certificate) in path.certificates.iter().enumerate().rev() {
        let last = position == 0;
        take(&mut state, certificate, last);
        if state.explicit == 0 && !state.any && state.expected.is_empty() {
            return Some(fault(position));
        }
        if last {
            let asks = certificate.extensions.policy_constraints.and_then(|asked| asked.require_explicit);
            let explicit = if asks == Some(0) { 0 } else { state.explicit.saturating_sub(1) };
            return (explicit == 0 && !state.any && state.expected.is_empty()).then(|| fault(position));
        }
        prepare(&mut state, certificate);
    }
    None
}

fn fault(position: usize) -> Fault {
    let summary = "an authority above it asks for a certificate policy, and none is valid down to here";
    Fault::strict(&docs::POLICY, position, summary)
}

/// Section 6.1.3 (d) to (f).
fn take(state: &mut State, certificate: &Certificate, last: bool) {
    let Some(own) = &certificate.extensions.policies else {
        state.expected.clear();
        state.any = false;
        return;
    };
    let named = own.iter().filter(|policy| *policy != ANY);
    let kept: BTreeSet<String> =
        named.filter(|policy| state.any || state.expected.contains(*policy)).cloned().collect();
    let any_counts = state.inhibit_any > 0 || (!last && certificate.self_issued);
    if own.iter().any(|policy| policy == ANY) && any_counts {
        state.expected.extend(kept);
    } else {
        state.expected = kept;
        state.any = false;
    }
}

/// Section 6.1.4 (a), (b) and (h) to (j).
fn prepare(state: &mut State, certificate: &Certificate) {
    let extensions = &certificate.extensions;
    if let Some(mappings) = &extensions.policy_mappings {
        map(state, mappings);
    }
    if !certificate.self_issued {
        for counter in [&mut state.explicit, &mut state.mapping, &mut state.inhibit_any] {
            *counter = counter.saturating_sub(1);
        }
    }
    if let Some(asked) = extensions.policy_constraints {
        state.explicit = state.explicit.min(asked.require_explicit.unwrap_or(u32::MAX));
        state.mapping = state.mapping.min(asked.inhibit_mapping.unwrap_or(u32::MAX));
    }
    state.inhibit_any = state.inhibit_any.min(extensions.inhibit_any_policy.unwrap_or(u32::MAX));
}

fn map(state: &mut State, mappings: &[(String, String)]) {
    let mut by_issuer: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (issuers, subjects) in mappings {
        by_issuer.entry(issuers).or_default().push(subjects);
    }
    for (issuers, subjects) in by_issuer {
        let had = state.expected.remove(issuers) || state.any;
        if had && state.mapping > 0 {
            state.expected.extend(subjects.into_iter().map(str::to_owned));
        }
    }
}
