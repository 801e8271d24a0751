//! Chains of every bad sort, made and served by OpenSSL, as `inspect cert` tells of them. A missing
//! timestamp of a log (no-sct) is a fault of public roots alone, of which no test has the key:
//! `judge::timestamps` and `verdict::timestamps` try that with roots that count as public.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::command::portalwatch_with;
use crate::peers::Nginx;
use crate::tls::s_server::{Pair, SServer, openssl};

const EXTENSIONS: &str = "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
    [leaf]\nsubjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

/// A root (`root.pem`), an intermediate authority (`middle.pem`), and what is made of them.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: TempDir::new().unwrap() };
        std::fs::write(desk.path().join("ext"), EXTENSIONS).unwrap();
        desk.key("root", "ec", "ec_paramgen_curve:P-256");
        desk.run("req -new -key root.key -subj /CN=Root -out root.csr -config req.cnf");
        desk.run(
            "x509 -req -in root.csr -signkey root.key -days 3650 -extfile ext -extensions ca -out root.pem",
        );
        desk.key("middle", "ec", "ec_paramgen_curve:P-256");
        desk.run("req -new -key middle.key -subj /CN=Middle -out middle.csr -config req.cnf");
        desk.issue("middle", "root", "ca", "-days 1000");
        desk
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, line: &str) {
        let config = self.path().join("req.cnf");
        if !config.exists() {
            std::fs::write(config, "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
        }
        openssl(self.path(), &line.split_whitespace().collect::<Vec<_>>());
    }

    fn key(&self, name: &str, algorithm: &str, option: &str) {
        self.run(&format!("genpkey -algorithm {algorithm} -pkeyopt {option} -out {name}.key"));
    }

    /// Signs `NAME.csr` by an authority.
    fn issue(&self, name: &str, by: &str, section: &str, how: &str) {
        self.run(&format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -extfile ext -extensions \
             {section} {how} -out {name}.pem"
        ));
    }

    /// A leaf `leaf.pem` by the intermediate authority; more extensions, and how it is signed.
    fn leaf(&self, key: (&str, &str), section: &str, how: &str) {
        self.key("leaf", key.0, key.1);
        self.run("req -new -key leaf.key -subj /CN=localhost -out leaf.csr -config req.cnf");
        self.issue("leaf", "middle", section, how);
    }

    fn extend(&self, text: &str) {
        let known = std::fs::read_to_string(self.path().join("ext")).unwrap();
        std::fs::write(self.path().join("ext"), format!("{known}{text}")).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn pair(&self) -> Pair {
        Pair { certificate: self.read("leaf.pem"), key: self.read("leaf.key") }
    }

    /// Serves `leaf.pem` with these certificates after it, and looks, trusting the root.
    fn look(&self, sent: &[&str], options: &[&str], arguments: &[&str]) -> Value {
        let dir = TempDir::new().unwrap();
        let chain: String = sent.iter().map(|name| self.read(&format!("{name}.pem"))).collect();
        std::fs::write(dir.path().join("chain.pem"), chain).unwrap();
        let chain: &[&str] = if sent.is_empty() { &[] } else { &["-cert_chain", "chain.pem"] };
        let server = SServer::start_in(dir, &[&self.pair()], &[chain, options].concat());
        let target = format!("localhost:{}", server.port);
        let connect = format!("127.0.0.1:{}", server.port);
        let usual = ["inspect", "cert", &target, "--connect", &connect, "--ca-file", "root.pem"];
        let quick = ["--no-web", "--no-dns", "--profile", "off", "--timeout", "10s", "--format", "json"];
        let said = portalwatch_with(self.path(), &[], &[&usual[..], &quick[..], arguments].concat());
        let json = said.json();
        let expected = match json["verdict"].as_str().unwrap() {
            "pass" => 0,
            "warn" => 1,
            "fail" => 2,
            _ => 3,
        };
        said.ended(expected);
        json
    }
}

const P256: (&str, &str) = ("ec", "ec_paramgen_curve:P-256");

/// The ids that alert, sorted, and the verdict.
fn alerts(json: &Value) -> (String, Vec<String>) {
    let bad = |finding: &&Value| {
        let severity = finding["severity"].as_str().unwrap();
        finding["measured"] == true && (finding["broken"] == true || !matches!(severity, "info" | "notice"))
    };
    let findings = json["findings"].as_array().unwrap().iter();
    let mut ids: Vec<String> =
        findings.filter(bad).map(|finding| finding["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    (json["verdict"].as_str().unwrap().to_owned(), ids)
}

fn expect(json: &Value, verdict: &str, ids: &[&str]) {
    let expected = (verdict.to_owned(), ids.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(alerts(json), expected, "{json:#}");
}

#[test]
fn a_good_chain_alerts_nobody_whether_its_root_is_sent_or_not() {
    let desk = Desk::new();
    desk.leaf(P256, "leaf", "-days 60");
    expect(&desk.look(&["middle"], &[], &["--no-fetch"]), "pass", &[]);
    let whole = desk.look(&["root", "middle"], &[], &["--no-fetch"]);
    expect(&whole, "pass", &[]);
    let ids: Vec<&str> =
        whole["findings"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"cert.root_sent"), "{ids:?}");
}

#[test]
fn what_is_wrong_with_the_leaf_is_told_and_nothing_else() {
    let desk = Desk::new();
    desk.leaf(P256, "leaf", "-days 60");
    let name = ["--no-fetch", "--server-name", "other.example"];
    expect(&desk.look(&["middle"], &[], &name), "fail", &["cert.name"]);
    let later = ["--no-fetch", "--at", "2036-01-01T00:00:00Z"];
    let (verdict, ids) = alerts(&desk.look(&["middle"], &[], &later));
    assert_eq!((verdict.as_str(), ids), ("fail", vec!["cert.expired".to_owned()]));
    let earlier = ["--no-fetch", "--at", "2020-01-01T00:00:00Z"];
    let expected = ["cert.not_yet_valid", "cert.root_expired"];
    expect(&desk.look(&["middle"], &[], &earlier), "fail", &expected);

    desk.extend("[nameless]\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
    desk.leaf(P256, "nameless", "-days 60");
    let nameless = desk.look(&["middle"], &[], &["--no-fetch"]);
    expect(&nameless, "fail", &["cert.alternative_names", "cert.name"]);
}

#[test]
fn weak_keys_and_hashes_are_told_of_leaf_and_authority() {
    let desk = Desk::new();
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    desk.leaf(("rsa", "rsa_keygen_bits:1024"), "leaf", "-days 60");
    // Clients differ: those built on webpki connect, and cannot verify the handshake.
    let expected = ["cert.key_weak", "cert.proof"];
    expect(&desk.look(&["middle"], &weak, &["--no-fetch"]), "warn", &expected);
    desk.leaf(P256, "leaf", "-days 60 -sha1");
    let json = desk.look(&["middle"], &weak, &["--no-fetch"]);
    expect(&json, "fail", &["cert.signature_weak"]);
    desk.issue("middle", "root", "ca", "-days 1000 -sha1");
    desk.leaf(P256, "leaf", "-days 60");
    let json = desk.look(&["middle"], &weak, &["--no-fetch"]);
    expect(&json, "fail", &["cert.signature_weak"]);
    let about = &json["findings"].as_array().unwrap()[0]["subject"];
    assert!(about.as_str().unwrap().ends_with("issuer 1"), "{about}");
}

#[test]
fn who_cannot_be_trusted_is_told_by_why() {
    let desk = Desk::new();
    desk.leaf(P256, "leaf", "-days 60");
    desk.key("root", P256.0, P256.1);
    desk.run("req -new -key root.key -subj /CN=Stranger -out root.csr -config req.cnf");
    desk.run("x509 -req -in root.csr -signkey root.key -days 3650 -extfile ext -extensions ca -out root.pem");
    let json = desk.look(&["middle"], &[], &["--no-fetch"]);
    expect(&json, "fail", &["cert.unknown_issuer"]);
    assert_eq!(json["observation"]["endpoints"][0]["trust"], "unknown_issuer");

    desk.key("leaf", P256.0, P256.1);
    desk.run("req -new -key leaf.key -subj /CN=localhost -out leaf.csr -config req.cnf");
    desk.run("x509 -req -in leaf.csr -signkey leaf.key -days 60 -extfile ext -extensions leaf -out leaf.pem");
    let json = desk.look(&[], &[], &["--no-fetch"]);
    let (verdict, ids) = alerts(&json);
    assert!(verdict == "fail" && ids.contains(&"cert.self_signed".to_owned()), "{ids:?}");
    assert_eq!(json["observation"]["endpoints"][0]["trust"], "self_signed");
}

#[test]
fn a_missing_issuer_is_fetched_and_the_server_is_still_told_to_send_it() {
    let desk = Desk::new();
    let files = Nginx::start("location / { root .; }");
    desk.run("x509 -in middle.pem -outform DER -out middle.der");
    std::fs::copy(desk.path().join("middle.der"), files.dir().join("middle.der")).unwrap();
    desk.extend(&format!(
        "[pointing]\nsubjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nauthorityInfoAccess=caIssuers;URI:{}/middle.der\n",
        files.url()
    ));
    desk.leaf(P256, "pointing", "-days 60");
    let json = desk.look(&[], &[], &[]);
    expect(&json, "fail", &["cert.incomplete"]);
    let summary = json["findings"].as_array().unwrap()[0]["summary"].as_str().unwrap();
    assert!(summary.contains("with what was fetched from there the chain is trusted"), "{summary}");
    assert_eq!(json["observation"]["endpoints"][0]["trust"], "incomplete");
}

#[test]
fn a_certificate_on_its_authoritys_list_is_revoked() {
    let desk = Desk::new();
    let files = Nginx::start("location / { root .; }");
    desk.extend(&format!(
        "[listed]\nsubjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\ncrlDistributionPoints=URI:{}/middle.crl\n",
        files.url()
    ));
    desk.leaf(P256, "listed", "-days 60");
    let config = "[ca]\ndefault_ca=middle\n[middle]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n\
                  default_crl_days=7\ncertificate=middle.pem\nprivate_key=middle.key\n";
    std::fs::write(desk.path().join("ca.cnf"), config).unwrap();
    std::fs::write(desk.path().join("index"), "").unwrap();
    std::fs::write(desk.path().join("number"), "01\n").unwrap();
    let publish = || {
        desk.run("ca -config ca.cnf -gencrl -out crl.pem");
        desk.run("crl -in crl.pem -outform DER -out middle.crl");
        std::fs::copy(desk.path().join("middle.crl"), files.dir().join("middle.crl")).unwrap();
    };
    publish();
    expect(&desk.look(&["middle"], &[], &[]), "pass", &[]);
    desk.run("ca -config ca.cnf -revoke leaf.pem -crl_reason keyCompromise");
    publish();
    let json = desk.look(&["middle"], &[], &[]);
    expect(&json, "fail", &["cert.revoked"]);
    let summary = json["findings"].as_array().unwrap()[0]["summary"].as_str().unwrap();
    assert!(summary.contains("key compromise"), "{summary}");
}
