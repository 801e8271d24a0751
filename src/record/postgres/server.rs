//! A PostgreSQL of the tests' own: on a free port of loopback, in a folder that goes with it.
//!
//! A shell starts and stops it as it is told through a pipe. When the pipe ends, because the tests
//! are over however they ended, it ends the server and removes the folder.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use sqlx::{PgConnection, Row as _};

use super::link::{Link, Purpose};
use crate::model::database::{Access, Encryption, Server};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Whom the server runs as, since PostgreSQL refuses root.
const NOBODY: u32 = 65534;

const SUPERVISOR: &str = r#"
start() { "$bin/postgres" -D "$dir/data" -p "$port" -h 127.0.0.1 -k "$dir" "$@" >"$dir/log" 2>&1 & server=$!; }
start "$@"
while read -r word; do
    case $word in
        start) start "$@" ;;
        stop) kill -INT "$server"; wait "$server" ;;
        kill) kill -QUIT "$server"; wait "$server" ;;
    esac
    echo done
done
kill -QUIT "$server" 2>/dev/null
wait "$server"
cd / && rm -rf "$dir"
"#;

/// The server that most tests share, each with a database of its own.
pub static SHARED: LazyLock<TestServer> = LazyLock::new(|| TestServer::start(&[], &[]));

/// A running server.
pub struct TestServer {
    pub dir: PathBuf,
    pub port: u16,
    databases: AtomicU32,
    told: Mutex<(Option<ChildStdin>, BufReader<ChildStdout>)>,
    supervisor: Mutex<Child>,
}

fn programs() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = folders
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL is not installed: apt-get install postgresql; scripts/test does it")
}

fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).env_clear().env("LANG", "C").env("PATH", "/usr/bin:/bin");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn own(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

impl TestServer {
    /// Starts one with settings and files of its own beside the usual ones.
    pub fn start(settings: &[&str], files: &[(&str, &str)]) -> Self {
        let bin = programs();
        let dir = tempfile::Builder::new().prefix("portalwatch-pg-").tempdir().unwrap().keep();
        own(&dir, 0o700);
        let made = command(&bin.join("initdb"), &dir)
            .args(["-D", "data", "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // One role has to say a password.
        let rules = "host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\nlocal all all trust\n";
        for (name, content) in [("data/pg_hba.conf", rules)].iter().chain(files) {
            std::fs::write(dir.join(name), content).unwrap();
            own(&dir.join(name), 0o600);
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut supervisor = command(Path::new("/bin/sh"), &dir);
        let (script, port_text) = (SUPERVISOR, port.to_string());
        supervisor.env("bin", &bin).env("dir", &dir).env("port", &port_text);
        supervisor.args(["-c", script, "sh", "-c", "max_connections=200"]);
        for setting in settings.iter().chain(&["fsync=off", "wal_level=minimal", "max_wal_senders=0"]) {
            supervisor.args(["-c", *setting]);
        }
        let pipes = supervisor.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut supervisor = pipes.spawn().unwrap();
        let told = (supervisor.stdin.take(), BufReader::new(supervisor.stdout.take().unwrap()));
        let server = Self {
            dir,
            port,
            databases: AtomicU32::new(0),
            told: Mutex::new(told),
            supervisor: Mutex::new(supervisor),
        };
        server.wait();
        server
    }

    /// Waits until it takes connections.
    fn wait(&self) {
        let begun = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            if log.contains("ready to accept connections") {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn tell(&self, word: &str) {
        let mut told = self.told.lock().unwrap();
        writeln!(told.0.as_mut().unwrap(), "{word}").unwrap();
        let mut answer = String::new();
        told.1.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n");
    }

    /// Stops it as an operator does: whoever is connected is cut off.
    pub fn stop(&self) {
        self.tell("stop");
    }

    /// Stops it as a crash does.
    pub fn kill(&self) {
        self.tell("kill");
    }

    /// Starts it again.
    pub fn start_again(&self) {
        std::fs::write(self.dir.join("log"), "").unwrap();
        self.tell("start");
        self.wait();
    }

    /// The way to a database on it.
    pub fn access(&self, user: &str, database: &str) -> Access {
        Access {
            server: Server::Tcp { host: "127.0.0.1".into(), port: self.port },
            user: user.into(),
            database: database.into(),
            schema: None,
            password: None,
            encryption: Encryption::Off,
        }
    }

    /// A connection that may do everything.
    pub async fn root(&self, database: &str) -> PgConnection {
        let mut root = self.access("postgres", database);
        root.server = Server::Socket { folder: self.dir.clone(), port: self.port };
        Link::new(root).connect(Purpose::Promise).await.unwrap()
    }

    /// A database of its own for a test, and the role that owns it.
    pub async fn database(&self) -> Access {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut root = self.root("postgres").await;
        run(&mut root, &format!("CREATE ROLE r{name} LOGIN")).await;
        run(&mut root, &format!("CREATE DATABASE {name} OWNER r{name}")).await;
        self.access(&format!("r{name}"), &name)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Servers that are not shared end here: the shell sees the end of its input.
        if let Ok(told) = self.told.get_mut() {
            told.0 = None;
        }
        self.supervisor.get_mut().map(|supervisor| supervisor.wait().ok()).ok();
    }
}

/// Runs a statement.
pub async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

/// What a statement finds.
pub async fn scalar(connection: &mut PgConnection, sql: &str) -> i64 {
    let row = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap();
    row.try_get(0).unwrap()
}
