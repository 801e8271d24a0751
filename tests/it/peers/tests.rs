//! The helpers themselves: a scenario can only be believed if its peers do what they are told.

use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};
use tempfile::TempDir;

use super::{
    Authority, Daemon, Mailbox, Nginx, PATIENCE, Prometheus, Response, SmtpServer, free_port, get, poll,
    promtool_check,
};

fn relay(server: &SmtpServer, password: &str) -> SmtpTransport {
    let ca = Certificate::from_pem(&std::fs::read(server.ca_file()).unwrap()).unwrap();
    let tls = TlsParameters::builder("localhost".to_owned()).add_root_certificate(ca).build_rustls().unwrap();
    SmtpTransport::builder_dangerous("127.0.0.1")
        .port(server.port())
        .tls(Tls::Required(tls))
        .credentials(Credentials::new(SmtpServer::USERNAME.to_owned(), password.to_owned()))
        .timeout(Some(PATIENCE))
        .build()
}

fn message(subject: &str) -> Message {
    Message::builder()
        .from("alerts@acme.example".parse().unwrap())
        .to("oncall@acme.example".parse().unwrap())
        .subject(subject)
        .body("a body".to_owned())
        .unwrap()
}

#[test]
fn nginx_serves_what_it_is_told_and_stops_with_its_owner() {
    let mut nginx = Nginx::start("location / { return 200 fine; }");
    let answer: Response = get(nginx.port(), "/here").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "fine"));
    assert!(answer.head.contains("server: nginx"), "{}", answer.head);
    assert!(nginx.requests().contains(&"GET /here 200".to_owned()));
    nginx.reload("location / { return 502; }");
    assert_eq!(get(nginx.port(), "/here").unwrap().status, 502);
    let (port, dir) = (nginx.port(), nginx.dir());
    assert!(nginx.url().starts_with("http://127.0.0.1:"));
    drop(nginx);
    assert!(get(port, "/").is_err());
    assert!(!dir.exists());
}

#[test]
fn nginx_shows_the_certificate_it_was_given() {
    let authority = Authority::new();
    let nginx = Nginx::start_tls("location / { return 200 fine; }", &authority.issue(&["localhost"]));
    assert!(nginx.url().starts_with("https://localhost:"));
    let ca = nginx.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let seen = std::process::Command::new(super::program("openssl"))
        .args(["s_client", "-verify_return_error", "-verify_hostname", "localhost", "-connect"])
        .arg(format!("127.0.0.1:{}", nginx.port()))
        .arg("-CAfile")
        .arg(&ca)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
}

#[test]
fn the_relay_delivers_over_starttls_after_auth_alone() {
    let mut server = SmtpServer::start();
    let mailbox: Mailbox = server.mailbox();
    assert!(mailbox.messages().is_empty());
    relay(&server, SmtpServer::PASSWORD).send(&message("first")).unwrap();
    let delivered = mailbox.wait_for(1, PATIENCE);
    assert!(delivered[0].contains("Subject: first"), "{}", delivered[0]);
    assert!(delivered[0].contains("with esmtpsa"), "TLS and AUTH: {}", delivered[0]);
    assert!(delivered[0].contains("Envelope-to: oncall@acme.example"), "{}", delivered[0]);

    let refused = relay(&server, "wrong").send(&message("refused")).unwrap_err();
    assert!(refused.is_permanent(), "{refused}");
    let clear = SmtpTransport::builder_dangerous("127.0.0.1").port(server.port()).build();
    assert!(clear.send(&message("in the clear")).is_err());

    server.stop();
    assert!(relay(&server, SmtpServer::PASSWORD).send(&message("to nobody")).is_err());
    server.restart();
    relay(&server, SmtpServer::PASSWORD).send(&message("second")).unwrap();
    let delivered = mailbox.wait_for(2, PATIENCE);
    assert_eq!(delivered.len(), 2, "{}", server.log());
    assert!(delivered[1].contains("Subject: second"), "{}", delivered[1]);
}

#[test]
fn prometheus_scrapes_a_page() {
    let nginx = Nginx::start(r"location / { default_type text/plain; return 200 'tests_things 42\n'; }");
    let prometheus = Prometheus::start(nginx.port());
    assert!(prometheus.query("tests_no_such_thing").is_empty());
    let series = prometheus.wait_for("tests_things", PATIENCE);
    assert_eq!(series[0]["value"][1], "42");
}

#[test]
fn promtool_accepts_a_clean_page_and_refuses_a_wrong_one() {
    promtool_check("# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n").unwrap();
    promtool_check("# TYPE a counter\na 1\n").unwrap_err();
    promtool_check("no metrics {").unwrap_err();
}

#[test]
fn the_daemon_starts_serves_dies_and_starts_again() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("monitor.yaml");
    let port = free_port();
    let text = format!(
        "server: {{ listen: '127.0.0.1:{port}' }}\n\
         portals: {{ self: {{ url: 'http://127.0.0.1:{port}', private: true, checks: {{ health: {{ http: {{ path: /healthz }} }} }} }} }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut daemon = Daemon::start(&config, port, &[("NO_COLOR", "1")]);
    daemon.wait_ready(PATIENCE);
    assert!(daemon.metrics().contains("portalwatch_build_info"));
    assert!(daemon.page().contains("portalwatch"));
    assert_eq!(daemon.get("/healthz").status, 200);
    let first = daemon.pid();
    daemon.kill9();
    assert!(poll(Duration::from_secs(5), || get(port, "/healthz").is_err().then_some(())).is_some());

    let mut daemon = Daemon::start(&config, port, &[]);
    daemon.wait_ready(PATIENCE);
    assert_ne!(daemon.pid(), first);
    assert!(daemon.terminate(PATIENCE).success());
}
