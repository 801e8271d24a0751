//! User labels as Prometheus takes them.

use std::collections::BTreeMap;

use crate::model::Labels;

/// Names that mean something else on the series that carries the user's labels.
const RESERVED: &[&str] = &["portal", "check", "kind"];
/// The longest value written, in characters; it bounds the page, not the config.
const MAX_VALUE: usize = 256;

/// The labels under names that Prometheus takes, each once. Other characters become `_`; a reserved
/// name gets the prefix `label_`; of names that become equal the later ones get a number. A label
/// without a value is left out, as Prometheus makes no difference.
pub fn for_metrics(labels: &Labels) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    let (fine, changed): (Vec<_>, Vec<_>) = labels
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| (label, sanitized(label), value))
        .partition(|(label, name, _)| *label == name);
    for (_, name, value) in fine.into_iter().chain(changed) {
        let free = (2..).map(|number| format!("{name}_{number}"));
        let name = std::iter::once(name.clone()).chain(free).find(|name| !named.contains_key(name));
        named.extend(name.map(|name| (name, value.chars().take(MAX_VALUE).collect())));
    }
    named
}

fn sanitized(label: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = label.chars().map(allowed).collect();
    let taken = RESERVED.contains(&&*name) || name.starts_with("__") || name.is_empty();
    if taken {
        format!("label_{name}")
    } else if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}
