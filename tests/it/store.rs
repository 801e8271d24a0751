//! `portalwatch store`: what an operator does with the database.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::command::{Said, portalwatch_with};
use crate::peers::{Daemon, PATIENCE, Postgres, free_port, get, poll};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portalwatch");
const PASSWORD: &str = "pa55-of-the-database";

/// Rows of what a daemon keeps, in the words of either database.
fn rows(results: u32) -> Vec<String> {
    let mut sql = vec![
        "INSERT INTO checks (id, name, state, memory, last_at) VALUES (1, 'a/b', NULL, '{}', 1000)"
            .to_owned(),
    ];
    for chunk in (0..results).collect::<Vec<_>>().chunks(5_000) {
        let values: Vec<String> = chunk
            .iter()
            .map(|n| format!("({}, 1, 0, 200, x'e8070100', NULL)", u64::from(*n) * 60_000))
            .collect();
        sql.push(format!(
            "INSERT INTO results (at, check_id, verdict, status, times, findings) VALUES {}",
            values.join(", ")
        ));
    }
    sql
}

struct Scene {
    folder: TempDir,
    port: u16,
}

impl Scene {
    /// A file with the schema of a daemon and so many results.
    fn new(results: u32) -> Self {
        let scene = Self { folder: TempDir::new().unwrap(), port: free_port() };
        scene.config("sqlite://record.db");
        scene.daemon().terminate(PATIENCE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let file = scene.folder.path().join("record.db");
            let mut file =
                <sqlx::SqliteConnection as sqlx::Connection>::connect(file.to_str().unwrap()).await.unwrap();
            sqlx::query("DELETE FROM results").execute(&mut file).await.unwrap();
            sqlx::query("DELETE FROM checks").execute(&mut file).await.unwrap();
            for sql in rows(results) {
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut file).await.unwrap();
            }
        });
        scene
    }

    fn config(&self, url: &str) {
        let config = format!(
            "server: {{ listen: '127.0.0.1:{port}' }}\nstorage: {{ url: '{url}' }}\nportals:\n  own:\n    \
             url: http://127.0.0.1:{port}\n    private: true\n    checks:\n      \
             health: {{ every: 1s, timeout: 1s, http: {{ path: /healthz }} }}\n",
            port = self.port
        );
        std::fs::write(self.folder.path().join("monitor.yaml"), config).unwrap();
    }

    fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::start(&self.folder.path().join("monitor.yaml"), self.port, &[]);
        daemon.wait_ready(PATIENCE);
        daemon
    }

    /// One with a config and a port of its own, which would alert beside the first.
    fn second_daemon_is_refused(&self) {
        let config = std::fs::read_to_string(self.folder.path().join("monitor.yaml")).unwrap();
        let config = config.replace(&self.port.to_string(), &free_port().to_string());
        std::fs::write(self.folder.path().join("second.yaml"), config).unwrap();
        let second = self.run(&["run", "-c", "second.yaml"]);
        assert_ne!(second.code, 0, "{second:?}");
        assert!(second.stderr.contains("another portalwatch daemon holds"), "{second:?}");
        assert!(!second.stderr.contains("started"), "{second:?}");
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let said = portalwatch_with(self.folder.path(), &[], arguments);
        assert!(!said.stdout.contains(PASSWORD) && !said.stderr.contains(PASSWORD), "{said:?}");
        said
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// A server with a role that has to say its password.
fn locked_server() -> (Postgres, String) {
    let rules = "host all portalwatch 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    let server = Postgres::start(&["fsync=off"], &[("data/pg_hba.conf", rules)]);
    server.query("postgres", &format!("CREATE ROLE portalwatch LOGIN PASSWORD '{PASSWORD}'"));
    server.query("postgres", "CREATE DATABASE portalwatch OWNER portalwatch");
    let url = format!("postgres://portalwatch:{PASSWORD}@127.0.0.1:{}/portalwatch", server.port());
    (server, url)
}

fn kill_after(folder: &Path, arguments: &[&str], delay: Duration) -> bool {
    let mut child = Command::new(PROGRAM)
        .env_clear()
        .current_dir(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(delay);
    let ended = child.try_wait().unwrap().is_some();
    child.kill().ok();
    child.wait().unwrap();
    !ended
}

#[test]
fn a_migration_that_is_killed_again_and_again_loses_nothing_there_and_back() {
    let scene = Scene::new(60_000);
    let (server, url) = locked_server();
    let there = ["store", "migrate", "--from", "sqlite://record.db", "--to", &url];
    let mut killed = 0;
    for delay in [30, 70, 110, 160, 220, 300, 90, 400] {
        killed += u32::from(kill_after(scene.folder.path(), &there, Duration::from_millis(delay)));
    }
    assert!(killed >= 5, "{killed} of 8");
    // The server may still be ending the session before.
    let there = poll(PATIENCE, || {
        Some(scene.run(&there)).filter(|said| !said.stderr.contains("another portalwatch"))
    });
    let there = there.unwrap().ended(0);
    assert!(there.stdout.contains("results: 60000 rows, sha256 "), "{there:?}");
    assert_eq!(server.query("portalwatch", "SELECT count(*), max(at) FROM results"), "60000|3599940000");
    let back = format!("sqlite://{}", scene.path("back.db"));
    let back = ["store", "migrate", "--from", &url, "--to", &back];
    for delay in [100, 250, 400] {
        kill_after(scene.folder.path(), &back, Duration::from_millis(delay));
    }
    let back =
        poll(PATIENCE, || Some(scene.run(&back)).filter(|said| !said.stderr.contains("another portalwatch")));
    let back = back.unwrap().ended(0);
    let sums = |said: &Said| {
        said.stdout.lines().filter(|line| line.contains("sha256")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sums(&there), sums(&back));
    let again = scene.run(&["store", "migrate", "--from", "sqlite://record.db", "--to", &url]).ended(70);
    assert!(again.stderr.contains("not empty (checks 1, results 60000"), "{again:?}");
    scene.config("sqlite://back.db");
    scene.daemon().terminate(PATIENCE);
}

#[test]
fn a_full_disk_in_the_middle_of_a_migration_costs_nothing_but_time() {
    let scene = Scene::new(40_000);
    let from = format!("sqlite://{}", scene.path("record.db"));
    let to = format!("sqlite://{}", scene.path("new.db"));
    let limited = Command::new("/bin/sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""])
        .args([PROGRAM, "store", "migrate", "--from", &from, "--to", &to])
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&limited.stderr).into_owned();
    assert_eq!(limited.status.code(), Some(70), "{said}");
    assert!(said.contains("new.db"), "{said}");
    scene.config("sqlite://new.db");
    let daemon = Daemon::start(&scene.folder.path().join("monitor.yaml"), scene.port, &[]);
    let told = poll(PATIENCE, || daemon.log().contains("is unfinished; finish it").then_some(()));
    assert!(told.is_some() && get(scene.port, "/readyz").is_err(), "{}", daemon.log());
    drop(daemon);
    let done = scene.run(&["store", "migrate", "--from", &from, "--to", &to]).ended(0);
    assert!(done.stderr.contains("going on from where it was broken off"), "{done:?}");
    assert!(done.stdout.contains("results: 40000 rows"), "{done:?}");
}

#[test]
fn beside_a_daemon_it_is_looked_at_and_backed_up_but_not_shrunk_or_moved() {
    let scene = Scene::new(1_000);
    let daemon = scene.daemon();
    let well = scene.run(&["store", "check"]).ended(0);
    assert!(well.stdout.contains("nothing is wrong"), "{well:?}");
    let shrunk = scene.run(&["store", "vacuum"]).ended(70);
    assert!(shrunk.stderr.contains("another portalwatch daemon holds"), "{shrunk:?}");
    let to = format!("sqlite://{}", scene.path("moved.db"));
    let moved = scene.run(&["store", "migrate", "--from", "sqlite://record.db", "--to", &to]).ended(70);
    assert!(moved.stderr.contains("another portalwatch daemon holds"), "{moved:?}");
    let itself = scene.run(&["store", "backup", "--force", "record.db"]).ended(70);
    assert!(itself.stderr.contains("is the store itself"), "{itself:?}");
    scene.second_daemon_is_refused();
    scene.run(&["store", "backup", "copy.db"]).ended(0);
    let twice = scene.run(&["store", "backup", "copy.db"]).ended(70);
    assert!(twice.stderr.contains("--force replaces it"), "{twice:?}");
    scene.run(&["store", "backup", "--force", "copy.db"]).ended(0);
    assert!(daemon.terminate(PATIENCE).success());
    let shrunk = scene.run(&["store", "vacuum"]).ended(0);
    assert!(shrunk.stdout.contains(" before, "), "{shrunk:?}");
    scene.run(&["store", "migrate", "--from", "sqlite://copy.db", "--to", &to]).ended(0);
    let none =
        scene.run(&["store", "migrate", "--from", "sqlite://none.db", "--to", "sqlite://x.db"]).ended(70);
    assert!(none.stderr.contains("none.db") && !scene.folder.path().join("none.db").exists(), "{none:?}");
    let same = scene.run(&["store", "migrate", "--from", "sqlite://a", "--to", "sqlite://a"]).ended(64);
    assert!(same.stderr.contains("the same database"), "{same:?}");
}

#[test]
fn a_postgres_is_looked_at_shrunk_and_backed_up_into_a_file_beside_its_daemon() {
    let scene = Scene::new(0);
    let (server, url) = locked_server();
    scene.config(&url);
    let daemon = scene.daemon();
    poll(PATIENCE, || (server.query("portalwatch", "SELECT count(*) FROM results") != "0").then_some(()))
        .unwrap();
    let well = scene.run(&["store", "check"]).ended(0);
    assert!(
        well.stdout.contains("CREATE EXTENSION amcheck") && well.stdout.contains("nothing is wrong"),
        "{well:?}"
    );
    scene.run(&["store", "vacuum"]).ended(0);
    scene.run(&["store", "backup", "copy.db"]).ended(0);
    let left: Vec<_> = std::fs::read_dir(scene.folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("copy.db"))
        .collect();
    assert_eq!(left, ["copy.db"]);
    assert!(daemon.terminate(PATIENCE).success());
    // It goes back as it came, with the password from a file or from the config.
    server.query("postgres", "CREATE DATABASE second OWNER portalwatch");
    std::fs::write(scene.folder.path().join("secret"), format!("{PASSWORD}\n")).unwrap();
    let bare = format!("postgres://portalwatch@127.0.0.1:{}/", server.port());
    let second = format!("{bare}second");
    let restored = ["store", "migrate", "--from", "sqlite://copy.db", "--to", &second];
    let refused = scene.run(&restored).ended(70);
    assert!(refused.stderr.contains("password"), "{refused:?}");
    scene.run(&[&restored[..], &["--to-password-file", "secret"]].concat()).ended(0);
    let first = format!("{bare}portalwatch");
    let out =
        scene.run(&["store", "migrate", "-c", "monitor.yaml", "--from", &first, "--to", "sqlite://out.db"]);
    out.ended(0);
    server.query("portalwatch", "UPDATE checks SET memory = 'nonsense'");
    let wrong = scene.run(&["store", "check"]).ended(2);
    assert!(wrong.stdout.contains("memory is no JSON: 1 row"), "{wrong:?}");
    drop(server);
    scene.run(&["store", "check"]).ended(70);
}
