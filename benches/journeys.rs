//! What a step of a journey costs beside a plain `http` check: `cargo bench --bench journeys`.
//!
//! 50 journeys of 6 steps run at once against an nginx on loopback, in turns with plain checks that
//! make as many requests, 50 at a time. Both take the daemon's way: pass, alert step, group commit
//! to SQLite with every commit synced; writes go through the ledger on disk. Counted is the CPU time
//! of this process, user and system, the commits included; nginx is a process of its own. Printed
//! are medians over the rounds, and the ratios.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]
#![expect(clippy::disallowed_methods, reason = "it finds and waits for a server of its own")]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use portalwatch::clock::SystemClock;
use portalwatch::model::{Ledger, Verdict};
use portalwatch::record::Figures;
use portalwatch::record::resilient::Resilient;
use portalwatch::record::sqlite::baselines::SqliteBaselines;
use portalwatch::record::sqlite::ledger::SqliteLedger;
use portalwatch::record::sqlite::{Mode, Sqlite};
use portalwatch::record::writer::Writer;
use portalwatch::run::book::{Desk, Entry};
use portalwatch::run::{Surroundings, pass};

const AT_ONCE: usize = 50;
const STEPS: u32 = 6;
/// The steps, and the one request of the clean-up.
const REQUESTS: u32 = 7;
const ROUNDS: usize = 41;
const FIFTY: u32 = 50;
/// What is run, and how often by each of the 50 in a round.
const LOADS: [(&str, u32); 4] = [("plain", REQUESTS), ("page", REQUESTS), ("reading", 1), ("writing", 1)];

fn main() {
    let nginx = Nginx::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&nginx));
}

async fn measure(nginx: &Nginx) {
    let bench = Bench::open(nginx).await;
    // Named alone, a load runs without the others, for a profiler.
    if let Some(name) = std::env::args().nth(1).filter(|name| LOADS.iter().any(|(load, _)| load == name)) {
        let times = LOADS.iter().find(|(load, _)| *load == name).unwrap().1;
        let mut entries = bench.checks(&name);
        let mut costs = Vec::new();
        for _ in 0..ROUNDS * 4 {
            costs.push(bench.round(&mut entries, times).await);
        }
        println!("{name}: {:.1?} a run", median(costs) / (FIFTY * times));
        return;
    }
    let mut loads = LOADS.map(|(name, times)| (bench.checks(name), times, Vec::new()));
    for _ in 0..ROUNDS {
        for (entries, times, costs) in &mut loads {
            costs.push(bench.round(entries, *times).await);
        }
    }
    let [plain, page, reading, writing] = loads.map(|(_, times, costs)| median(costs) / (FIFTY * times));
    println!("{ROUNDS} rounds of {AT_ONCE} at once; CPU, medians");
    println!("plain http check     {plain:>9.1?}");
    println!("http check of a page {page:>9.1?}  ratio {:.2}", ratio(page, plain));
    for (name, cost, requests) in [("that only reads", reading, STEPS), ("that writes", writing, REQUESTS)] {
        let (step, request) = (cost / STEPS, cost / requests);
        println!(
            "journey {name}: {cost:.1?}; per step {step:.1?}, ratio {:.2}; per request ({requests}) {request:.1?}, ratio {:.2}",
            ratio(step, plain),
            ratio(request, plain)
        );
    }
}

fn ratio(ours: Duration, floor: Duration) -> f64 {
    ours.as_secs_f64() / floor.as_secs_f64()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The CPU time of all threads of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// The daemon's parts that a run goes through.
struct Bench {
    config: std::path::PathBuf,
    around: Arc<Surroundings>,
    desk: Arc<Desk>,
}

impl Bench {
    async fn open(nginx: &Nginx) -> Self {
        let database = nginx.folder.path().join("portalwatch.db");
        let config = nginx.folder.path().join("monitor.yaml");
        std::fs::write(&config, configuration(nginx.port)).unwrap();
        let (plan, ..) = portalwatch::app::plan(&config)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())
            .unwrap();
        let ledger = SqliteLedger::of_daemon(&database);
        let baselines = Arc::new(SqliteBaselines::new(&database));
        let opener = move || {
            let database = database.clone();
            let opened = async move {
                let store = Sqlite::open(&database, Mode::Daemon { full_sync: true }).await?;
                Ok(Arc::new(store) as Arc<dyn Figures>)
            };
            Box::pin(opened) as futures_util::future::BoxFuture<'static, _>
        };
        let store = Arc::new(Resilient::open(Box::new(opener)).await.unwrap());
        ledger.allow().await;
        let (writer, _) = Writer::spawn(store);
        let desk =
            Arc::new(Desk { writer, live: Arc::default(), clock: Arc::new(SystemClock), figures: true });
        let ledger = Arc::new(ledger) as Arc<dyn Ledger>;
        let around = portalwatch::app::surroundings(&plan, Some(ledger), baselines);
        Self { config, around: Arc::new(around), desk }
    }

    /// The checks whose names begin so.
    fn checks(&self, kind: &str) -> Vec<Entry> {
        let (plan, ..) = portalwatch::app::plan(&self.config).map_err(|_| ()).unwrap();
        let checks = plan.checks.iter().filter(|check| check.scope.check.name().starts_with(kind));
        let entries: Vec<_> = checks.map(|check| Entry::new(Arc::clone(check), None, &self.desk)).collect();
        assert_eq!(entries.len(), AT_ONCE, "{kind}");
        entries
    }

    /// Runs all checks at once, each so often, and gives back the CPU time.
    async fn round(&self, entries: &mut Vec<Entry>, times: u32) -> Duration {
        let before = cpu();
        let tasks = entries.drain(..).map(|mut entry| {
            let (around, desk) = (Arc::clone(&self.around), Arc::clone(&self.desk));
            tokio::spawn(async move {
                for _ in 0..times {
                    let pass = pass(&entry.check, entry.memory(), &around, false).await;
                    assert_eq!(pass.outcome.verdict, Verdict::Pass, "{:?}", pass.outcome);
                    entry.result(pass, false, &desk);
                }
                entry
            })
        });
        let done = join_all(tasks).await;
        self.desk.writer.flush().await;
        let spent = cpu() - before;
        entries.extend(done.into_iter().map(Result::unwrap));
        spent
    }
}

const READS: &str = r##"
            - { name: login page, get: /login, capture: { login: { form: "form#login" } } }
            - name: sign in
              submit: login
              form: { username: "{{ identity.username }}", password: "{{ identity.password }}" }
              expect: { status: 303 }
            - name: dashboard
              get: /dashboard
              expect: { body: { contains: "Signed in as {{ identity.username }}" } }
            - name: create
              WRITE
              post: /api/tickets
              query: { key: "{{ run.id }}" }
              json: { title: "portalwatch {{ run.id }}", priority: 3 }
              expect: { status: 201 }
              capture: { ticket: { json: $.id, keep: true } }
            - name: read back
              get: "/api/tickets/{{ ticket }}"
              expect: { json: { "$.title": "portalwatch {{ run.id }}" } }
            - { name: reports, get: /reports, expect: { body: { contains: Quarter } } }
"##;

const CLEANS: &str = r##"
          cleanup: [ { delete: "/api/tickets/{{ ticket }}", expect: { status: [ 204, 404 ] } } ]
          sweep: [ { get: "/api/tickets?q={{ run.id }}", each: "$[*].id", then: { delete: "/api/tickets/{{ item }}" } } ]
"##;

fn configuration(port: u16) -> String {
    let mut text = format!(
        "defaults: {{ every: 60s, limits: {{ per_host: 64 }} }}\nportals:\n  bench:\n    url: http://127.0.0.1:{port}\n    \
         private: true\n    identities: {{ staff: {{ username: probe, password: {{ insecure_literal: opensesame }} }} }}\n    \
         checks:\n"
    );
    let pages = ["/login", "/dashboard", "/api/tickets/1", "/reports"];
    for number in 0..AT_ONCE {
        writeln!(text, "      plain{number}: {{ http: {{ path: /health }} }}").unwrap();
        let page = pages[number % pages.len()];
        writeln!(
            text,
            "      page{number}: {{ http: {{ path: {page}, expect: {{ body: {{ contains: t }} }} }} }}"
        )
        .unwrap();
        for (name, write, after) in [("reading", "", ""), ("writing", "write: true", CLEANS)] {
            writeln!(
                text,
                "      {name}{number}:\n        journey:\n          as: staff\n          daily_writes: 100000\n          \
                 session_cookies: {{ allow: [ secure ] }}\n          steps:{}{after}",
                READS.replace("WRITE", write)
            )
            .unwrap();
        }
    }
    text
}

/// A portal: pages of the usual size, cookies, JSON.
struct Nginx {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Nginx {
    fn start() -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        for (name, body) in [("login", LOGIN), ("dashboard", DASHBOARD), ("reports", "<h1>Quarter</h1>")] {
            std::fs::write(folder.path().join(format!("{name}.html")), page(name, body))?;
        }
        std::fs::write(folder.path().join("nginx.conf"), server(port, folder.path()))?;
        let child = Command::new("nginx")
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
            .arg("-p")
            .arg(folder.path())
            .args(["-e", "error.log", "-c", "nginx.conf"])
            .spawn()?;
        let nginx = Self { child, port, folder };
        let patience = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < patience, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let master = rustix::process::Pid::from_child(&self.child);
        // A killed master would leave its worker behind.
        rustix::process::kill_process(master, rustix::process::Signal::TERM).ok();
        self.child.wait().ok();
    }
}

const LOGIN: &str = r#"<form id="login" method="post" action="/login">
<input type="hidden" name="csrf_token" value="c29tZSB0b2tlbiBvZiBhIHVzdWFsIGxlbmd0aCwgYmFzZTY0">
<input type="hidden" name="next" value="/dashboard">
<label for="u">Name</label> <input id="u" name="username" autocomplete="username">
<label for="p">Password</label> <input id="p" name="password" type="password">
<button name="go" value="1">Sign in</button></form>"#;
const DASHBOARD: &str = "<p>Signed in as probe</p>";

/// A page of about 16 KB, as frameworks write them: a head full of links, styles, menus, a table.
fn page(title: &str, body: &str) -> String {
    let mut text =
        format!("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n");
    for number in 0..12 {
        writeln!(
            text,
            "<link rel=\"stylesheet\" href=\"/static/css/part-{number}.4f2a9c{number}.css\" media=\"all\">"
        )
        .unwrap();
    }
    text.push_str("<style>\n");
    for number in 0..40 {
        writeln!(
            text,
            ".card-{number} > .title {{ margin: 0 {number}px; color: #3{number:02}; display: flex }}"
        )
        .unwrap();
    }
    text.push_str("</style></head><body><nav><ul>\n");
    for number in 0..30 {
        writeln!(text, "<li class=\"nav-item\"><a class=\"nav-link\" href=\"/section/{number}\" title=\"Section {number}\">Section {number}</a></li>").unwrap();
    }
    writeln!(text, "</ul></nav><main>{body}<table class=\"table\">").unwrap();
    for number in 0..50 {
        writeln!(text, "<tr><td>{number}</td><td><a href=\"/ticket/{number}\">Ticket &amp; case {number}</a></td><td class=\"state\">open</td></tr>").unwrap();
    }
    text.push_str("</table></main><footer><p>&copy; Example</p></footer>\n<script>\n");
    for number in 0..40 {
        writeln!(text, "window.app.push([\"module-{number}\", {{ lazy: true, order: {number} }}]);").unwrap();
    }
    text.push_str("</script></body></html>\n");
    text
}

fn server(port: u16, folder: &Path) -> String {
    let folder = folder.display();
    // Under root the workers would be nobody, who cannot read the folder.
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    format!(
        r#"{user} daemon off; worker_processes 1; pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; default_type text/html;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    server {{
        listen 127.0.0.1:{port}; root {folder};
        location = /health {{ return 200 ok; }}
        location = /login {{
            add_header Set-Cookie "session=$request_id; Path=/; HttpOnly; SameSite=Lax";
            if ($request_method = POST) {{ return 303 /dashboard; }}
            try_files /login.html =404;
        }}
        location = /dashboard {{ try_files /dashboard.html =404; }}
        location = /reports {{ try_files /reports.html =404; }}
        location = /api/tickets {{ default_type application/json; return 201 '{{"id":"$arg_key","title":"portalwatch $arg_key"}}'; }}
        location ~ ^/api/tickets/(.+)$ {{
            default_type application/json;
            if ($request_method = DELETE) {{ return 204; }}
            return 200 '{{"id":"$1","title":"portalwatch $1","state":"open"}}';
        }}
    }}
}}
"#
    )
}
