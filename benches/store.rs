//! What it costs to keep results: `cargo bench --bench store`.
//!
//! `commit` writes batches of 333 uneventful results through the store. Its peers write the same
//! bytes through sqlx alone, row by row and in one statement; all are synced on every commit. The
//! ratios of the medians, taken in turns in one run, are printed first: of the time, most of which is
//! the disk's, and of the CPU time of the whole process. Then the bytes per row on disk.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]

use std::path::Path;
use std::time::{Duration, Instant};

use divan::Bencher;
use jiff::Timestamp;
use portalwatch::model::{Outcome, Phase, Timings, Verdict};
use portalwatch::record::sqlite::{Mode, Sqlite};
use portalwatch::record::{Recorded, Store, Transition};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::runtime::Runtime;

const ROWS: i64 = 333;
const START: i64 = 1_790_000_000_000;

fn main() {
    let runtime = Runtime::new().unwrap();
    ratio(&runtime);
    for checks in [1_000, 100_000] {
        size(&runtime, checks);
    }
    divan::main();
}

/// Results as they arrive: one every 180 ms per 333 checks, spread over the checks.
fn batch(number: i64, checks: i64) -> Vec<Transition> {
    let row = |index: i64| {
        let position = number * ROWS + index;
        let name = format!("portal-{}/check-{}", position % checks / 10, position % checks);
        let mut timings = Timings::default();
        for (phase, micros) in Phase::ALL.into_iter().zip([812, 13_402, 25_003, 73_120, 640]) {
            let jitter = u64::try_from(position * 7_919 % 977).unwrap_or(0);
            timings.add(phase, Duration::from_micros(micros + jitter));
        }
        Transition {
            check: name.as_str().into(),
            result: Some(Recorded::Ran {
                outcome: Outcome {
                    check: name.as_str().into(),
                    at: Timestamp::from_millisecond(START + position * 60_000 / checks).unwrap(),
                    took: Duration::from_micros(112_977),
                    verdict: Verdict::Pass,
                    cause: None,
                    why: None,
                    findings: Vec::new(),
                    status: Some(200),
                    timings,
                    steps: Vec::new(),
                    facts: None,
                    transport: false,
                    recheck: false,
                },
                in_full: false,
            }),
            state: None,
            memory: None,
            incidents: Vec::new(),
            outbox: Vec::new(),
            removed: false,
        }
    };
    (0..ROWS).map(row).collect()
}

async fn open(path: &Path, full_sync: bool) -> Sqlite {
    Sqlite::open(path, Mode::Daemon { full_sync }).await.unwrap()
}

async fn bare(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await.unwrap();
    let table = "CREATE TABLE results (at INTEGER, check_id INTEGER, verdict INTEGER, status INTEGER, \
                 times BLOB, findings TEXT, PRIMARY KEY (at, check_id)) WITHOUT ROWID";
    sqlx::query(table).execute(&mut connection).await.unwrap();
    connection
}

/// The plain way: one statement per row in one transaction.
async fn insert(connection: &mut SqliteConnection, number: i64) {
    let mut transaction = connection.begin().await.unwrap();
    for index in 0..ROWS {
        let position = number * ROWS + index;
        sqlx::query("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?)")
            .bind(START + position * 60)
            .bind(position % 1_000)
            .bind(0)
            .bind(200)
            .bind([7u8; 18].as_slice())
            .bind(None::<String>)
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
}

/// The floor: one statement for all rows.
async fn insert_at_once(connection: &mut SqliteConnection, sql: &'static str, number: i64) {
    let mut transaction = connection.begin().await.unwrap();
    let mut query = sqlx::query(sql);
    for index in 0..ROWS {
        let position = number * ROWS + index;
        query = query.bind(START + position * 60).bind(position % 1_000).bind(0).bind(200);
        query = query.bind(vec![7u8; 18]).bind(None::<String>);
    }
    query.execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

/// The CPU time of all threads of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// Time and CPU time of an operation.
async fn cost(operation: impl Future<Output = ()>) -> [Duration; 2] {
    let (begun, spent) = (Instant::now(), cpu());
    operation.await;
    [begun.elapsed(), cpu() - spent]
}

fn median(costs: &[[Duration; 2]], which: usize) -> Duration {
    let mut times: Vec<Duration> = costs.iter().map(|cost| cost[which]).collect();
    times.sort();
    times[times.len() / 2]
}

fn ratio(runtime: &Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let values = vec!["(?,?,?,?,?,?)"; ROWS.unsigned_abs() as usize].join(",");
    let sql: &'static str = format!("INSERT INTO results VALUES {values}").leak();
    let costs = runtime.block_on(async {
        let store = open(&folder.path().join("ours.db"), true).await;
        let mut by_row = bare(&folder.path().join("row.db")).await;
        let mut at_once = bare(&folder.path().join("once.db")).await;
        let mut costs = [Vec::new(), Vec::new(), Vec::new()];
        for number in 0..104 {
            let batch = batch(number, 1_000);
            let ours = cost(async { store.commit(&batch).await.unwrap() }).await;
            let single = cost(insert(&mut by_row, number)).await;
            let whole = cost(insert_at_once(&mut at_once, sql, number)).await;
            // The first batches make the rows of the checks.
            if number >= 4 {
                for (costs, cost) in costs.iter_mut().zip([ours, single, whole]) {
                    costs.push(cost);
                }
            }
        }
        costs
    });
    for (which, what) in ["time", "CPU time"].into_iter().enumerate() {
        let [ours, single, whole] = [0, 1, 2].map(|peer: usize| median(&costs[peer], which));
        println!(
            "{what} of {ROWS} results: commit {ours:?}, bare row by row {single:?}, bare in one statement {whole:?}"
        );
        let of = |peer: Duration| ours.as_secs_f64() / peer.as_secs_f64();
        println!("  ratios: {:.2} of row by row, {:.2} of one statement", of(single), of(whole));
    }
}

fn size(runtime: &Runtime, checks: i64) {
    const BATCHES: i64 = 900;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("size.db");
    runtime.block_on(async {
        // The checks' own rows are paid once and are left out.
        let warm = checks / ROWS + 1;
        let store = open(&path, false).await;
        for number in 0..warm {
            store.commit(&batch(number, checks)).await.unwrap();
        }
        store.close().await;
        let before = std::fs::metadata(&path).unwrap().len();
        let store = open(&path, false).await;
        for number in warm..warm + BATCHES {
            store.commit(&batch(number, checks)).await.unwrap();
        }
        store.close().await;
        let grown = std::fs::metadata(&path).unwrap().len() - before;
        let rows = u64::try_from(BATCHES * ROWS).unwrap();
        println!("{checks} checks: {:.1} bytes per row over {rows} rows", grown as f64 / rows as f64);
    });
}

#[divan::bench]
fn commit(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = runtime.block_on(open(&folder.path().join("ours.db"), true));
    let mut number = 0;
    let next = || {
        number += 1;
        batch(number, 1_000)
    };
    let rows = divan::counter::ItemsCount::new(ROWS.unsigned_abs());
    bencher.counter(rows).with_inputs(next).bench_local_refs(|batch| {
        runtime.block_on(store.commit(batch)).unwrap();
    });
}

#[divan::bench(name = "bare")]
fn row_by_row(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut connection = runtime.block_on(bare(&folder.path().join("bare.db")));
    let mut number = 0;
    bencher.counter(divan::counter::ItemsCount::new(ROWS.unsigned_abs())).bench_local(|| {
        runtime.block_on(insert(&mut connection, number));
        number += 1;
    });
}
