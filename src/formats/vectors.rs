//! Tables of other projects, which lie beside the source tree.

use std::path::PathBuf;

use serde_json::Value;

/// The cases of a table; none, and a line that says so, where the tables are not there.
pub fn cases(file: &str, test: &str) -> Vec<Value> {
    let Some(table) = table(file, test) else { return Vec::new() };
    let cases = table["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{file}");
    cases
}

/// A whole table.
pub fn table(file: &str, test: &str) -> Option<Value> {
    text(file, test).map(|text| serde_json::from_str(&text).unwrap())
}

/// A file of them; none, and a line that says so, where the folder is not there.
#[expect(clippy::disallowed_methods, reason = "where the tables are is for whoever runs the tests")]
pub fn text(file: &str, test: &str) -> Option<String> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    let folder = std::env::var_os("PORTALWATCH_VECTORS").map_or_else(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: {test}: no folder {}", folder.display());
        return None;
    }
    Some(std::fs::read_to_string(folder.join(file)).unwrap())
}

/// Whether `said` is what a case expects, or one of several answers that it allows.
pub fn expected(case: &Value, said: &str) -> bool {
    match &case["expect"] {
        Value::Array(several) => several.iter().any(|one| one == said),
        one => one == said,
    }
}
