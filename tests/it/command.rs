//! portalwatch as a short-lived command.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// Standard output, which must be one JSON document and nothing else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, for a command that must end with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

/// Runs it in a folder with nothing of this environment but what is given.
pub fn portalwatch_with(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_portalwatch"))
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(folder)
        .args(arguments)
        .timeout(Duration::from_secs(60))
        .output()
        .unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs it anywhere.
pub fn portalwatch(arguments: &[&str]) -> Said {
    portalwatch_with(Path::new("/"), &[], arguments)
}
