//! Who may import whom. The rule is the architecture; this test is what holds it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and what it may import. Everything may import itself; `app`, `cli` and `main` may
/// import anything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("telemetry", &[]),
    ("clock", &[]),
    ("formats", &["model"]),
    ("judge", &["model"]),
    ("stats", &["model"]),
    ("config", &["model", "formats"]),
    ("net", &["model", "formats", "clock"]),
    ("alert", &["model"]),
    ("probe", &["model", "formats", "judge", "net"]),
    ("record", &["model", "alert", "stats", "telemetry"]),
    ("notify", &["model", "formats", "net", "alert", "record", "clock", "telemetry"]),
    ("plan", &["config", "formats", "probe", "alert", "notify", "net", "model", "stats"]),
    ("run", &["model", "plan", "probe", "net", "record", "alert", "clock", "stats"]),
    ("schedule", &["plan", "run", "clock", "model", "telemetry", "record", "alert"]),
    ("expose", &["model", "stats", "telemetry", "plan", "record", "clock"]),
];

/// What of `notify` only the sender may import.
const SENDERS_ONLY: &[&str] = &["net", "record", "clock", "telemetry"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn module_of(file: &Path, src: &Path) -> String {
    let first = file.strip_prefix(src).unwrap().iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The top-level modules a file names by `crate::`, its tests left out: those may use anything.
fn imports(text: &str) -> BTreeSet<String> {
    let body = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let mut found = BTreeSet::new();
    for line in body.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            if let Some(list) = rest.strip_prefix('{') {
                let list = list.split('}').next().unwrap_or(list);
                found.extend(list.split(',').map(|name| name.trim().split("::").next().unwrap().to_owned()));
            } else {
                found.insert(
                    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned(),
                );
            }
        }
    }
    found.remove("");
    found
}

/// Where the modules of a file stand: `a/mod.rs` has them in `a`, `a/b.rs` in `a/b`.
fn folder_of(file: &Path) -> PathBuf {
    match file.file_stem().unwrap().to_str().unwrap() {
        "mod" | "lib" | "main" => file.parent().unwrap().to_owned(),
        _ => file.with_extension(""),
    }
}

/// The modules that a file declares for tests alone, as paths without their `.rs`; what is below them
/// is for tests too.
fn test_modules(file: &Path, text: &str) -> Vec<PathBuf> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with(';'));
    let names = declared.filter_map(|pair| Some(pair[1].split_once("mod ")?.1.trim_end_matches(';')));
    names.map(|name| folder_of(file).join(name)).collect()
}

#[test]
fn no_module_reaches_up_past_its_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 30, "the scan found only {} files", files.len());
    let for_tests: Vec<PathBuf> =
        files.iter().flat_map(|file| test_modules(file, &fs::read_to_string(file).unwrap())).collect();
    assert!(for_tests.len() > 5, "{for_tests:?}");
    let mut broken = Vec::new();
    for file in &files {
        let module = module_of(file, &src);
        let is_test = for_tests.iter().any(|path| file.with_extension("").starts_with(path));
        if ["app", "cli", "main", "lib"].contains(&module.as_str()) || is_test {
            continue;
        }
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("src/{module} has no place in the layer rule"));
        for import in imports(&fs::read_to_string(file).unwrap()) {
            let fine = import == module || allowed.contains(&import.as_str());
            let pure_channel = module == "notify" && !file.to_str().unwrap().contains("deliver");
            let sends = SENDERS_ONLY.contains(&import.as_str()) && pure_channel;
            if !fine || (sends && !may_send(file)) {
                broken.push(format!("{} imports {import}", file.strip_prefix(&src).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "the layer rule is broken:\n{}", broken.join("\n"));
}

/// The files of `notify` that speak to the network on behalf of the sender.
fn may_send(file: &Path) -> bool {
    ["smtp", "transport", "wire"]
        .iter()
        .any(|name| file.to_str().unwrap().contains(&format!("notify/{name}")))
}

#[test]
fn no_probe_imports_another_and_no_channel_imports_another() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (folder, names) in [
        ("probe", vec!["http", "journey", "certificate", "registration", "dns", "mail"]),
        ("notify", vec!["email", "webhook"]),
    ] {
        for name in &names {
            let mut files = Vec::new();
            let place = src.join(folder).join(name);
            if place.is_dir() {
                rust_files(&place, &mut files);
            } else {
                files.push(place.with_extension("rs"));
            }
            for file in files {
                let text = fs::read_to_string(&file).unwrap();
                for other in names.iter().filter(|other| other != &name) {
                    for form in [format!("crate::{folder}::{other}"), format!("super::{other}")] {
                        assert!(!text.contains(&form), "{} imports {form}", file.display());
                    }
                }
            }
        }
    }
}

#[test]
fn certificates_are_verified_everywhere_but_where_nothing_is_sent() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let unverified = ["dangerous()", "ServerCertVerifier", "with_custom_certificate_verifier"];
    let mut seen = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        if unverified.iter().any(|words| text.contains(words)) {
            seen.insert(file.strip_prefix(&src).unwrap().to_owned());
        }
    }
    let allowed =
        ["net/handshake/recorder.rs", "net/handshake/session.rs", "net/verify.rs"].map(PathBuf::from);
    assert_eq!(seen, BTreeSet::from(allowed));
    // It asks the library's verifier and is none.
    let verify = fs::read_to_string(src.join("net/verify.rs")).unwrap();
    assert!(!verify.contains("ServerCertVerifier for") && !verify.contains("dangerous()"));
    // What could send something over such a connection.
    let session = fs::read_to_string(src.join("net/handshake/session.rs")).unwrap();
    for words in ["writer()", "early_data", "-> ClientConnection", "pub connection", "&mut ClientConnection"]
    {
        assert!(!session.contains(words), "{words} in the session of a handshake that trusts nobody");
    }
}

#[test]
fn only_what_is_declared_for_tests_is_taken_for_one() {
    let text = "mod fakes;\n#[cfg(test)]\npub mod tests;\n#[cfg(test)]\nmod inline {\n";
    assert_eq!(test_modules(Path::new("src/run/mod.rs"), text), [PathBuf::from("src/run/tests")]);
    assert_eq!(test_modules(Path::new("src/net/dns.rs"), text), [PathBuf::from("src/net/dns/tests")]);
}

#[test]
fn a_forbidden_import_is_seen() {
    assert!(imports("use crate::expose::metrics;").contains("expose"));
    assert!(imports("use crate::{net, app};").contains("app"));
    assert!(!imports("// crate::app is above\n").contains("app"));
}
