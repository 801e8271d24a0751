//! Where secrets come from, and the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::formats::yaml::ResolveSecret;
use crate::model::Secret;

/// No file that a config names may be larger, in bytes.
const LARGEST: u64 = 1 << 20;

/// The variables of the environment.
#[derive(Clone, Default)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    /// Those of this process; variables that are not UTF-8 are left out.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// One variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

/// Whether references to secrets are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretPolicy {
    /// Yes; one that cannot be is a fault.
    Resolve,
    /// No: each stands as an empty value. For showing, and where other checks run.
    Leave,
}

/// Resolves secrets and remembers them, the files they came from, and warnings.
#[derive(Debug)]
pub struct Secrets {
    environment: Environment,
    base: PathBuf,
    /// What to do from here on.
    pub policy: SecretPolicy,
    /// Every secret so far.
    pub resolved: Vec<Secret>,
    /// Every file so far.
    pub watched: BTreeSet<PathBuf>,
    /// Every warning so far, one per file.
    pub warnings: BTreeSet<String>,
}

impl Secrets {
    /// A resolver whose relative paths start at `base`.
    pub fn new(environment: Environment, base: PathBuf, policy: SecretPolicy) -> Self {
        Self {
            environment,
            base,
            policy,
            resolved: Vec::new(),
            watched: BTreeSet::new(),
            warnings: BTreeSet::new(),
        }
    }

    /// A path of the config, absolute or from the base.
    pub fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// The text of a file that the config names; it is watched from here on.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn read_file(&mut self, name: &str) -> Result<String, String> {
        let path = self.path(name);
        self.watched.insert(path.clone());
        let said = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let mut text = String::new();
        let file = std::fs::File::open(&path).map_err(said)?;
        let read = file.take(LARGEST + 1).read_to_string(&mut text).map_err(said)?;
        if read as u64 > LARGEST {
            return Err(format!("{} is larger than 1 MiB", path.display()));
        }
        Ok(text)
    }

    fn secret_file(&mut self, name: &str) -> Result<String, String> {
        let mut text = self.read_file(name)?;
        let path = self.path(name);
        self.warn_if_open(&path);
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }

    fn warn_if_open(&mut self, path: &Path) {
        if path.starts_with("/run") {
            return;
        }
        if let Ok(meta) = std::fs::metadata(path)
            && meta.permissions().mode() & 0o044 != 0
        {
            let path = path.display();
            self.warnings
                .insert(format!("{path} holds a secret and others can read it; run chmod 600 {path}"));
        }
    }

    fn value(&mut self, key: &str, name: &str) -> Result<String, String> {
        match key {
            "env" => self.environment.get(name).map(str::to_owned).ok_or_else(|| {
                format!("the environment variable {name} is not set; set it, or use {{file: PATH}}")
            }),
            "file" => self.secret_file(name),
            "credential" if name.contains('/') || name == ".." => {
                Err(format!("{name:?} is no name of a credential"))
            }
            "credential" => match self.environment.get("CREDENTIALS_DIRECTORY") {
                Some(folder) => {
                    let path = format!("{folder}/{name}");
                    self.secret_file(&path)
                }
                None => Err(format!(
                    "$CREDENTIALS_DIRECTORY is not set; add LoadCredential={name}:PATH to the unit"
                )),
            },
            _ => Ok(name.to_owned()),
        }
    }
}

impl ResolveSecret for Secrets {
    fn resolve(&mut self, key: &str, name: &str) -> Result<Secret, String> {
        const KEYS: [&str; 4] = ["env", "file", "credential", "insecure_literal"];
        if !KEYS.contains(&key) {
            return Err(crate::formats::yaml::unknown_key(key, KEYS));
        }
        let shown = if key == "insecure_literal" { key.to_owned() } else { format!("{key}:{name}") };
        if self.policy == SecretPolicy::Leave {
            return Ok(Secret::new("", &shown));
        }
        let value = self.value(key, name)?;
        if value.is_empty() {
            return Err(format!("the secret {shown} is empty; give it a value"));
        }
        let secret = Secret::new(value, &shown);
        self.resolved.push(secret.clone());
        Ok(secret)
    }
}
