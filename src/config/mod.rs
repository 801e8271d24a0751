//! The config language: from YAML files and the environment to [`Settings`], with every fault
//! reported at once. What a check's kind or a channel means by its own keys is left as raw,
//! positioned subtrees: the plan reads those.
//!
//! This is the only module that reads the environment and secret files.

mod environment;
mod files;
pub mod identity;
mod keys;
mod read;
mod schema;
mod secrets;
pub mod settings;
mod show;
#[cfg(test)]
mod tests;
pub mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use read::storage::database;
pub use schema::schema;
pub use secrets::{Environment, SecretPolicy, Secrets};
pub use settings::Settings;

use crate::formats::yaml::{Fault, Node};
use crate::model::CheckId;

/// The names that others give to the language.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'v> {
    /// The kinds of checks.
    pub kinds: &'v [&'v str],
    /// The types of channels.
    pub channels: &'v [&'v str],
}

/// Reads the config at `path`, a file or a folder of `*.yaml` and `*.yml`.
///
/// # Errors
/// Every fault.
pub fn load(
    path: &Path,
    vocabulary: &Vocabulary<'_>,
    environment: &Environment,
    policy: SecretPolicy,
) -> Result<Settings, Vec<Fault>> {
    let settings = load_for_plan(path, vocabulary, environment, policy)?;
    if settings.faults.is_empty() { Ok(settings) } else { Err(in_order(settings.faults)) }
}

/// As [`load`], but faults that leave something to read on are kept in [`Settings::faults`], so that
/// the plan can report them together with what kinds and channels find wrong with their own keys.
///
/// # Errors
/// Every fault, when nothing can be read on.
pub fn load_for_plan(
    path: &Path,
    vocabulary: &Vocabulary<'_>,
    environment: &Environment,
    policy: SecretPolicy,
) -> Result<Settings, Vec<Fault>> {
    let mut loaded = files::read(path)?;
    let base = environment.get("STATE_DIRECTORY").map_or(loaded.folder, PathBuf::from);
    let mut faults = Vec::new();
    environment::apply(&mut loaded.root, environment, &mut faults);
    let secrets = Secrets::new(environment.clone(), base, policy);
    let mut build = read::Build { secrets, faults, vocabulary };
    let settings = build.settings(loaded.root);
    let mut faults = build.faults;
    faults.iter_mut().for_each(name_variable);
    match settings {
        Some(mut settings) => {
            settings.faults = faults;
            settings.watched = loaded.watched;
            settings.resolver = build.secrets;
            settings.absorb();
            Ok(settings)
        }
        None => Err(in_order(faults)),
    }
}

/// The effective config as YAML: defaults filled in, the environment applied, secrets masked.
///
/// # Errors
/// Every fault; unresolvable secrets are none.
pub fn show(
    path: &Path,
    vocabulary: &Vocabulary<'_>,
    environment: &Environment,
) -> Result<String, Vec<Fault>> {
    effective(path, vocabulary, environment).map(|root| show::text(&root))
}

/// [`show`] as JSON.
///
/// # Errors
/// Every fault; unresolvable secrets are none.
pub fn show_json(
    path: &Path,
    vocabulary: &Vocabulary<'_>,
    environment: &Environment,
) -> Result<serde_json::Value, Vec<Fault>> {
    effective(path, vocabulary, environment).map(|root| show::json(&root))
}

/// What is written of each check, by its id, as in [`show`].
///
/// # Errors
/// Every fault; unresolvable secrets are none.
pub fn show_checks(
    path: &Path,
    vocabulary: &Vocabulary<'_>,
    environment: &Environment,
) -> Result<BTreeMap<CheckId, String>, Vec<Fault>> {
    effective(path, vocabulary, environment).map(|root| show::checks(&root))
}

/// The tree with defaults filled in and the environment applied.
fn effective(
    path: &Path,
    vocabulary: &Vocabulary<'_>,
    environment: &Environment,
) -> Result<Node, Vec<Fault>> {
    load(path, vocabulary, environment, SecretPolicy::Leave)?;
    let mut root = files::read(path)?.root;
    let mut faults = Vec::new();
    environment::apply(&mut root, environment, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    show::fill(&mut root);
    Ok(root)
}

/// Faults in the order of the files and their lines; those without a place go first. What several
/// checks have from their portal is said once.
pub fn in_order(mut faults: Vec<Fault>) -> Vec<Fault> {
    let place = |fault: &Fault| fault.at.as_ref().map(|at| (at.file.to_string(), at.line));
    faults.sort_by_cached_key(place);
    faults.dedup();
    faults
}

/// A fault in a value of the environment names its variable instead of a file.
fn name_variable(fault: &mut Fault) {
    if let Some(at) = fault.at.take_if(|at| at.file.starts_with(environment::PREFIX)) {
        fault.message = format!("environment variable {}: {}", at.file, fault.message);
    }
}
