//! A post office: an exim that signs what it sends on and takes what arrives, and a Dovecot that shows
//! the mailbox. It has to be started as root.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use super::smtp::{group, open_up, owner};
use super::{Authority, PATIENCE, free_port, is_installed, is_root, poll, program, read};

/// The servers.
pub struct PostOffice {
    _exim: Process,
    dovecot: Process,
    dir: TempDir,
    out: u16,
    imap: u16,
    imaps: u16,
    public_key: String,
}

/// Where mail goes that is sent.
pub enum Onward {
    /// Into the mailbox, by a hop over the network.
    Mailbox,
    /// To another server on this port.
    Port(u16),
}

impl PostOffice {
    pub const USERNAME: &str = "canary";
    pub const PASSWORD: &str = "horse-staple-battery";

    /// Whether it can be started; the test's name is told as skipped if not.
    pub fn is_here(test: &str) -> bool {
        let here = is_root() && ["exim4", "dovecot", "openssl"].iter().all(|server| is_installed(server));
        if !here {
            println!("skipped: {test}: no exim4, dovecot or openssl, or not root");
        }
        here
    }

    /// `signs` is the domain and the selector that it signs for, or none.
    pub fn start(authority: &Authority, onward: &Onward, signs: Option<(&str, &str)>, bits: u32) -> Self {
        let dir = TempDir::new().unwrap();
        let (certificate, key) = authority.issue(&["localhost", "127.0.0.1"]);
        for (name, content) in [("cert.pem", &certificate), ("key.pem", &key)] {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        open_up(dir.path());
        for name in ["spool", "log", "mail"] {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            open_up(&path);
        }
        let public_key = keys(dir.path(), bits);
        let (out, arriving, imap, imaps) = (free_port(), free_port(), free_port(), free_port());
        let next = match onward {
            Onward::Mailbox => arriving,
            Onward::Port(port) => *port,
        };
        let folder = dir.path().display().to_string();
        let signing = signs.map_or_else(String::new, |(domain, selector)| {
            format!(
                "dkim_domain = {domain}\n  dkim_selector = {selector}\n  dkim_private_key = {folder}/dkim.key\n  \
                 dkim_canon = relaxed\n  dkim_strict = true"
            )
        });
        let fill = |text: &str| {
            text.replace("@DIR@", &folder)
                .replace("@OUT@", &out.to_string())
                .replace("@IN@", &arriving.to_string())
                .replace("@NEXT@", &next.to_string())
                .replace("@IMAP@", &imap.to_string())
                .replace("@IMAPS@", &imaps.to_string())
                .replace("@SIGNING@", &signing)
                .replace("@USER@", &owner())
                .replace("@GROUP@", &group())
                .replace("@USERNAME@", Self::USERNAME)
                .replace("@PASSWORD@", Self::PASSWORD)
        };
        std::fs::write(dir.path().join("exim.conf"), fill(include_str!("post.conf"))).unwrap();
        std::fs::write(dir.path().join("dovecot.conf"), fill(include_str!("dovecot.conf"))).unwrap();
        let mut command = Command::new(program("exim4"));
        command.arg("-C").arg(dir.path().join("exim.conf")).arg("-bdf");
        let mut exim = Process::start(&mut command, &dir.path().join("exim.err"));
        listening(&mut exim, out);
        let mut command = Command::new(program("dovecot"));
        command.arg("-F").arg("-c").arg(dir.path().join("dovecot.conf"));
        let mut dovecot = Process::start(&mut command, &dir.path().join("dovecot.err"));
        listening(&mut dovecot, imaps);
        Self { _exim: exim, dovecot, dir, out, imap, imaps, public_key }
    }

    /// The port that takes mail to be sent, after STARTTLS and AUTH.
    pub fn port(&self) -> u16 {
        self.out
    }

    /// The ports of the mailbox: with STARTTLS, and with TLS from the first byte.
    pub fn imap(&self) -> (u16, u16) {
        (self.imap, self.imaps)
    }

    /// What stands in `p=` of its key's record.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Puts a message into the mailbox.
    pub fn put(&self, name: &str, message: &str) {
        for folder in ["new", "cur", "tmp"] {
            let path = self.folder().join(folder);
            std::fs::create_dir_all(&path).unwrap();
            open_up(&path);
        }
        let file = self.folder().join("new").join(name);
        std::fs::write(&file, message).unwrap();
        open_up(&file);
    }

    /// How many messages the mailbox has in all.
    pub fn kept(&self) -> usize {
        let files =
            |folder: &str| std::fs::read_dir(self.folder().join(folder)).into_iter().flatten().count();
        files("new") + files("cur")
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("mail")
    }

    /// What the servers say they did.
    pub fn log(&self) -> String {
        let logs =
            ["mainlog", "rejectlog", "paniclog"].map(|name| read(&self.dir.path().join("log").join(name)));
        format!("{}{}", logs.concat(), self.dovecot.log())
    }
}

/// Makes a key to sign with; its public half in base64.
fn keys(dir: &Path, bits: u32) -> String {
    let file = dir.join("dkim.key");
    let made = Command::new("openssl")
        .args(["genrsa", "-traditional", "-out"])
        .arg(&file)
        .arg(bits.to_string())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let public = Command::new("openssl")
        .args(["rsa", "-pubout", "-outform", "PEM", "-in"])
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8(public.stdout).unwrap();
    text.lines().filter(|line| !line.starts_with("-----")).collect()
}

fn listening(process: &mut Process, port: u16) {
    let up = poll(PATIENCE, || {
        let ended = process.ended().is_some().then_some(false);
        ended.or_else(|| {
            std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_ok().then_some(true)
        })
    });
    assert_eq!(up, Some(true), "{}", process.log());
}
