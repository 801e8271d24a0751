//! What it costs to keep results: `cargo bench --bench store`.
//!
//! `commit` writes batches of 333 uneventful results through the store, `bare` the same bytes
//! through sqlx alone, both synced on every commit; their ratio over the same number of batches, in
//! turns, is printed first, with the bytes per row on disk.
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
                    facts: None,
                    transport: false,
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

fn ratio(runtime: &Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = runtime.block_on(async {
        let store = open(&folder.path().join("ours.db"), true).await;
        let mut connection = bare(&folder.path().join("bare.db")).await;
        for number in 0..4 {
            store.commit(&batch(number, 1_000)).await.unwrap();
        }
        let (mut ours, mut plain) = (Duration::ZERO, Duration::ZERO);
        for number in 4..104 {
            let batch = batch(number, 1_000);
            let begun = Instant::now();
            store.commit(&batch).await.unwrap();
            ours += begun.elapsed();
            let begun = Instant::now();
            insert(&mut connection, number).await;
            plain += begun.elapsed();
        }
        (ours, plain)
    });
    let ratio = ours.as_secs_f64() / plain.as_secs_f64();
    println!(
        "commit / bare row-by-row sqlx insert, 100 x {ROWS} rows each: {ratio:.2} ({ours:?} / {plain:?})"
    );
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
    bencher.counter(divan::counter::ItemsCount::new(ROWS.unsigned_abs())).bench_local(|| {
        runtime.block_on(store.commit(&batch(number, 1_000))).unwrap();
        number += 1;
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
