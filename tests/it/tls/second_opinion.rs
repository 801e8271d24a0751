//! sslyze and we look at the same servers; where we differ, a table says why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use portalwatch::formats::tls::{Version, names};
use portalwatch::net::{ScanOptions, TlsScan};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tempfile::TempDir;

use super::s_server::{EC, RSA, SServer, WEAK};
use super::{net, target};
use crate::peers::{Authority, Nginx};

const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sslyze");

/// A server of the comparison: what it is called, and what has to run.
struct Case {
    name: &'static str,
    port: u16,
    _running: Box<dyn std::any::Any>,
}

fn case(name: &'static str, server: SServer) -> Case {
    Case { name, port: server.port, _running: Box::new(server) }
}

fn cases() -> Vec<Case> {
    let s_server = |name, options: &[&str]| case(name, SServer::start(&[&RSA, &EC], options));
    let (leaf, key) = Authority::new().issue(&["localhost"]);
    let nginx = Nginx::start_tls("ssl_protocols TLSv1.2; location / { return 200 ok; }", &(leaf, key));
    vec![
        s_server("everything", &["-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]),
        s_server("as delivered", &[]),
        s_server("TLS 1.0", &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]),
        s_server("TLS 1.1", &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]),
        s_server("TLS 1.3", &["-tls1_3"]),
        s_server("CBC", &["-tls1_2", "-cipher", "AES128-SHA:AES256-SHA256:ECDHE-RSA-AES128-SHA"]),
        s_server("DHE", &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"]),
        s_server("groups", &["-groups", "P-384:P-521:X448"]),
        s_server("client certificate", &["-tls1_2", "-Verify", "1"]),
        case("weak key", SServer::start(&[&WEAK], &["-cipher", "ALL:@SECLEVEL=0"])),
        Case { name: "nginx", port: nginx.port(), _running: Box::new(nginx) },
    ]
}

/// What both can tell: the kind of thing, and one thing of that kind.
type Facts = BTreeSet<(String, String)>;

type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Why we differ: server (empty for any), kind, thing (empty for any), who alone sees it, reason.
const DIFFERENCES: &[Row] = &[
    ("", "TLSv1.2", "TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA256", "we", NOT_IN_ITS_LIST),
    ("", "TLSv1.2", "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA256", "we", NOT_IN_ITS_LIST),
    ("", "group", "ffdhe2048", "we", NO_FIELDS),
    ("", "group", "ffdhe3072", "we", NO_FIELDS),
    ("", "group", "ffdhe4096", "we", NO_FIELDS),
    ("", "group", "ffdhe6144", "we", NO_FIELDS),
    ("", "group", "ffdhe8192", "we", NO_FIELDS),
    ("TLS 1.0", "fallback SCSV", "yes", "sslyze", ONE_VERSION),
    ("TLS 1.1", "fallback SCSV", "yes", "sslyze", ONE_VERSION),
    ("TLS 1.3", "fallback SCSV", "yes", "sslyze", ONE_VERSION),
    ("CBC", "fallback SCSV", "yes", "sslyze", ONE_VERSION),
    ("DHE", "fallback SCSV", "yes", "sslyze", ONE_VERSION),
    ("client certificate", "fallback SCSV", "yes", "sslyze", ONE_VERSION),
    ("nginx", "fallback SCSV", "yes", "sslyze", ONE_VERSION),
    ("TLS 1.3", "extended master secret", "yes", "sslyze", PART_OF_TLS13),
    ("TLS 1.3", "secure renegotiation", "yes", "sslyze", PART_OF_TLS13),
    ("client certificate", "extended master secret", "yes", "we", NO_HANDSHAKE),
    ("client certificate", "secure renegotiation", "yes", "we", NO_HANDSHAKE),
    ("client certificate", "group", "", "we", NO_HANDSHAKE),
    ("nginx", "group", "", "we", ONE_GROUP_AT_A_TIME),
];

/// What only a newer OpenSSL than the oldest we run with has: rows that may explain nothing.
const DIFFERENCES_OF_NEWER_SERVERS: &[Row] = &[
    ("", "group", "x25519mlkem768", "we", NO_FIELDS),
    ("", "group", "secp256r1mlkem768", "we", NO_FIELDS),
    ("", "group", "secp384r1mlkem1024", "we", NO_FIELDS),
];

const NOT_IN_ITS_LIST: &str = "sslyze does not try this suite: it is not even among those refused";
const NO_FIELDS: &str =
    "sslyze asks for curves alone; OpenSSL takes the fields of RFC 7919 in TLS 1.3, and newer ones ML-KEM";
const ONE_VERSION: &str = "where one version is accepted there is none to fall back to, so that we say \
    nothing; sslyze takes any refusal of an older version for a yes";
const PART_OF_TLS13: &str = "TLS 1.3 has it built in; we tell it of TLS 1.2 and earlier";
const NO_HANDSHAKE: &str = "sslyze needs a finished handshake, which the server refuses without a \
    certificate; we read it off the first flight";
const ONE_GROUP_AT_A_TIME: &str = "sslyze offers one group at a time, and OpenSSL wants the curve of its P-256 \
    certificate among the groups of TLS 1.2; clients offer it beside others";

fn fact(kind: impl Into<String>, thing: impl Into<String>) -> (String, String) {
    (kind.into(), thing.into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(der: &[u8]) -> String {
    hex(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref()[..8])
}

fn ours(scan: &TlsScan, chain: &[Vec<u8>]) -> Facts {
    let mut facts = Facts::new();
    for version in scan.versions.iter().filter(|scan| scan.is_accepted()) {
        facts.extend(version.suites.iter().map(|suite| fact(version.version.as_str(), names::suite(*suite))));
        facts.extend(version.groups.iter().map(|group| fact("group", names::group(*group).to_lowercase())));
        let chains = version.chains.iter().map(|chain| &chain.ders);
        facts.extend(chains.flatten().map(|der| fact("certificate", digest(der))));
        let told = [
            ("secure renegotiation", version.secure_renegotiation),
            ("extended master secret", version.extended_master_secret),
            ("compression", version.compression),
        ];
        facts.extend(
            told.into_iter().filter(|(_, told)| *told == Some(true)).map(|(what, _)| fact(what, "yes")),
        );
    }
    facts.extend(chain.iter().map(|der| fact("certificate", digest(der))));
    if scan.fallback_scsv == Some(true) {
        facts.insert(fact("fallback SCSV", "yes"));
    }
    facts
}

fn theirs(result: &Value) -> Facts {
    let mut facts = Facts::new();
    let scans = [
        ("ssl_3_0_cipher_suites", Version::Ssl3),
        ("tls_1_0_cipher_suites", Version::Tls10),
        ("tls_1_1_cipher_suites", Version::Tls11),
        ("tls_1_2_cipher_suites", Version::Tls12),
        ("tls_1_3_cipher_suites", Version::Tls13),
    ];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (key, version) in scans {
        for accepted in list(&result[key]["result"]["accepted_cipher_suites"]) {
            facts.insert(fact(version.as_str(), text(&accepted["cipher_suite"]["name"])));
        }
    }
    for curve in list(&result["elliptic_curves"]["result"]["supported_curves"]) {
        facts.insert(fact("group", text(&curve["name"]).to_lowercase()));
    }
    for deployment in list(&result["certificate_info"]["result"]["certificate_deployments"]) {
        for certificate in list(&deployment["received_certificate_chain"]) {
            let der = CertificateDer::from_pem_slice(text(&certificate["as_pem"]).as_bytes()).unwrap();
            facts.insert(fact("certificate", digest(&der)));
        }
    }
    for (pointer, what) in [
        ("/session_renegotiation/result/supports_secure_renegotiation", "secure renegotiation"),
        ("/tls_extended_master_secret/result/supports_ems_extension", "extended master secret"),
        ("/tls_compression/result/supports_compression", "compression"),
        ("/tls_fallback_scsv/result/supports_fallback_scsv", "fallback SCSV"),
    ] {
        if result.pointer(pointer) == Some(&Value::Bool(true)) {
            facts.insert(fact(what, "yes"));
        }
    }
    facts
}

/// What sslyze finds at each port.
fn ask_sslyze(ports: &[u16]) -> BTreeMap<u16, Value> {
    let python = Path::new(HOME).join("venv/bin/python");
    assert!(
        Path::new(HOME).join("stamp").is_file(),
        "sslyze is not installed in {HOME}; ./scripts/sslyze does it, and ./scripts/test runs that"
    );
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out.json");
    let mut command = Command::new(python);
    command
        .args(["-m", "sslyze", "--quiet", "--slow_connection", "--mozilla_config=disable", "--json_out"])
        .arg(&out);
    command.args(["--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--certinfo"]);
    command.args(["--elliptic_curves", "--reneg", "--compression", "--fallback", "--ems"]);
    command.args(ports.iter().map(|port| format!("127.0.0.1:{port}"))).current_dir(dir.path());
    let output = command.output().unwrap();
    let json = std::fs::read_to_string(&out).unwrap_or_else(|_| {
        panic!(
            "sslyze: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    // Moduli and primes are written as numbers.
    let huge = regex::Regex::new(r"(:\s*)\d{16,}").unwrap();
    let json: Value = serde_json::from_str(&huge.replace_all(&json, "${1}0")).unwrap();
    let results = json["server_scan_results"].as_array().unwrap();
    let port = |result: &Value| u16::try_from(result["server_location"]["port"].as_u64().unwrap()).unwrap();
    results.iter().map(|result| (port(result), result["scan_result"].clone())).collect()
}

#[tokio::test]
async fn sslyze_sees_what_we_see_or_the_table_says_why_not() {
    let cases = cases();
    let ports: Vec<u16> = cases.iter().map(|case| case.port).collect();
    let second = ask_sslyze(&ports);
    let mut open = Vec::new();
    let mut used = BTreeSet::new();
    for case in &cases {
        let scan = net().scan_tls(&target(case.port), ScanOptions::default()).await.unwrap();
        let shaken = net().handshake(&portalwatch::net::Handshake::with(target(case.port))).await;
        let chain = shaken.map(|shaken| shaken.chain.ders).unwrap_or_default();
        let (ours, theirs) = (ours(&scan, &chain), theirs(&second[&case.port]));
        assert!(theirs.len() > 2, "{}: sslyze sees only {theirs:?}", case.name);
        let alone = ours.difference(&theirs).map(|fact| (fact, "we"));
        for ((kind, thing), who) in alone.chain(theirs.difference(&ours).map(|fact| (fact, "sslyze"))) {
            let explained = DIFFERENCES.iter().chain(DIFFERENCES_OF_NEWER_SERVERS).position(|row| {
                let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
                fits(row.0, case.name) && row.1 == kind && fits(row.2, thing) && row.3 == who
            });
            match explained {
                Some(row) => {
                    used.insert(row);
                }
                None => open.push(format!("{}: only {who} see {kind} {thing}", case.name)),
            }
        }
    }
    assert!(open.is_empty(), "not explained:\n{}", open.join("\n"));
    let idle: Vec<_> =
        (0..DIFFERENCES.len()).filter(|row| !used.contains(row)).map(|row| DIFFERENCES[row]).collect();
    assert!(idle.is_empty(), "these rows explain nothing: {idle:?}");
}
