//! A daemon with its config, a page that can be broken, and what is told about it.

use std::path::PathBuf;

use tempfile::TempDir;

use super::mail::Mail;
use crate::peers::{Daemon, Nginx, PATIENCE, SmtpServer, free_port, poll};

pub const WELL: &str = "location / { return 200 fine; }";
pub const BROKEN: &str = "location / { return 502; }";

/// A daemon that can be killed and started again on the same state.
pub struct Scene {
    dir: TempDir,
    port: u16,
    daemon: Option<Daemon>,
}

impl Scene {
    /// Writes the config, `notify` included, and starts the daemon.
    pub fn start(portals: &str, notify: &str) -> Self {
        let mut scene = Self { dir: TempDir::new().unwrap(), port: free_port(), daemon: None };
        scene.write(portals, notify);
        scene.launch();
        scene
    }

    /// Replaces the config; a running daemon notices by itself.
    pub fn write(&self, portals: &str, notify: &str) {
        let text = format!(
            "server: {{ listen: '127.0.0.1:{0}', external_url: 'http://localhost:{0}' }}\n\
             defaults:\n  every: 1s\n  timeout: 900ms\n  confirm: {{ failures: 3, successes: 2, recheck: 200ms }}\n\
             portals:\n{portals}\nnotify:\n  timezone: Europe/Amsterdam\n{notify}\n",
            self.port
        );
        let fresh = self.dir.path().join("fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, self.config()).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("monitor.yaml")
    }

    pub fn launch(&mut self) {
        let secret = [("SMTP_PASSWORD", SmtpServer::PASSWORD), ("HOOK_SECRET", super::HOOK_SECRET)];
        let mut daemon = Daemon::start(&self.config(), self.port, &secret);
        daemon.wait_ready(PATIENCE);
        self.daemon = Some(daemon);
    }

    pub fn kill9(&mut self) {
        self.daemon.take().unwrap().kill9();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Daemon::log).unwrap_or_default()
    }

    /// Waits until the log says this.
    pub fn wait_logged(&self, text: &str) {
        let said = poll(PATIENCE, || self.log().contains(text).then_some(()));
        assert!(said.is_some(), "no {text:?}: {}", self.log());
    }

    /// The value of a series without labels.
    fn gauge(&self, name: &str) -> f64 {
        let page = self.daemon.as_ref().unwrap().metrics();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}: {page}")).parse().unwrap()
    }

    /// Waits until messages wait that cannot be delivered.
    pub fn wait_pending(&self) {
        let waits = poll(PATIENCE, || (self.gauge("portalwatch_outbox_pending") > 0.0).then_some(()));
        assert!(waits.is_some(), "nothing waits: {}", self.log());
    }

    /// Waits until `rounds` more checks of the page were made and nothing waits to be told: what
    /// would be told twice has been told by then.
    pub fn settle(&self, page: &Nginx, rounds: usize) {
        let before = page.requests().len();
        let settled = poll(PATIENCE, || {
            let enough = page.requests().len() >= before + rounds;
            (enough && self.gauge("portalwatch_outbox_pending") == 0.0).then_some(())
        });
        assert!(settled.is_some(), "not settled: {}", self.log());
    }
}

/// The portal `acme` with these checks by name, each of its own path.
pub fn acme(page: &Nginx, checks: &[&str]) -> String {
    let mut text = format!("  acme:\n    url: {}\n    private: true\n    checks:\n", page.url());
    for check in checks {
        text += &format!("      {check}: {{ http: {{ path: /{check} }} }}\n");
    }
    text
}

/// The channel `mail`, to exim.
pub fn exim(server: &SmtpServer) -> String {
    format!(
        "    mail:\n      email:\n        from: 'portalwatch <alerts@acme.example>'\n        to: [oncall@acme.example]\n        \
         smtp: {{ url: 'smtp://127.0.0.1:{}', username: {}, password: {{ env: SMTP_PASSWORD }} }}\n      \
         tls: {{ ca_file: '{}' }}\n",
        server.port(),
        SmtpServer::USERNAME,
        server.ca_file().display()
    )
}

/// Channels, and routes in YAML's flow style.
pub fn notify(channels: &str, routes: &[&str]) -> String {
    let mut text = format!("  channels:\n{channels}  routes:\n");
    for route in routes {
        text += &format!("    - {route}\n");
    }
    text
}

/// One route to `mail`, without waiting.
pub const TO_MAIL: &str = "{ to: [mail], group_wait: 0s }";

/// The mail delivered so far, at least `n`.
pub fn mails(server: &SmtpServer, n: usize, scene: &Scene) -> Vec<Mail> {
    let found =
        poll(PATIENCE * 2, || Some(server.mailbox().messages()).filter(|messages| messages.len() >= n));
    let found = found.unwrap_or_else(|| {
        panic!("{} of {n} mails; {}{}", server.mailbox().messages().len(), scene.log(), server.log())
    });
    found.iter().map(|raw| Mail::parse(raw)).collect()
}
