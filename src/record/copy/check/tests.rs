use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use sqlx::Connection as _;

use super::*;
use crate::record::contract::{outcome, ran, time};
use crate::record::postgres::bare::Bare as Database;
use crate::record::postgres::server::{SHARED, TestServer, run};
use crate::record::postgres::{self, Postgres};
use crate::record::sqlite::bare::Bare as FileSide;
use crate::record::sqlite::{self, Sqlite};
use crate::record::{Figures, Store as _, roll};

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_000 * HOUR;
/// What nobody would have written; the same words for either database.
const DAMAGE: [&str; 8] = [
    "UPDATE checks SET state = '{\"phase\":' WHERE name = 'p/c1'",
    "UPDATE checks SET memory = 'nonsense' WHERE name = 'p/c2'",
    "UPDATE results SET check_id = 77 WHERE at = 3542400000",
    "UPDATE results SET at = 4600000000 WHERE at = 3542460000",
    "UPDATE incidents SET body = '{}'",
    "UPDATE marks SET until = until + 5 WHERE span = 3600",
    "UPDATE marks SET until = 9000000000000 WHERE span = 86400",
    "INSERT INTO gaps (at, check_id, until, why) VALUES (5, 99, 4, 'shutdown')",
];

async fn filled(store: &dyn Figures) {
    let start = NOW - 16 * HOUR;
    let one = |minute: i64| ran(outcome(&format!("p/c{}", minute % 3), start + minute * 60_000));
    store.commit(&(0..900).map(one).collect::<Vec<_>>()).await.unwrap();
    let open = crate::record::contract::incident("p/c1", start);
    let incidents = vec![open];
    let with = crate::record::Transition { incidents, ..crate::record::contract::bare("p/c1") };
    store.commit(&[with]).await.unwrap();
    roll::roll(store, time(NOW)).await.unwrap();
    store.put_rolled(Grain::Day, &[], None, time(Grain::Day.floor(NOW - 16 * HOUR))).await.unwrap();
}

fn said(found: &Found) -> Vec<String> {
    let one = |wrong: &Wrong| format!("{} {} {}", wrong.table.unwrap_or("-"), wrong.what, wrong.rows);
    found.wrong.iter().map(one).collect()
}

fn has(found: &Found, expected: &[&str]) {
    let said = said(found);
    for expected in expected {
        assert!(said.iter().any(|said| said.starts_with(expected)), "{expected} is not in {said:#?}");
    }
}

const EXPECTED: [&str; 10] = [
    "checks state does not read back 1",
    "checks memory is no JSON 1",
    "results of no known check 1",
    "results more than a day in the future 1",
    "incidents does not read back 1",
    "latencies sketches do not read back 1",
    "gaps of no known check 1",
    "gaps ends before it begins 1",
    "marks hours are rolled up until",
    "marks days are rolled up until",
];

async fn file(path: &Path) {
    let store = Sqlite::open(path, sqlite::Mode::Daemon { full_sync: false }).await.unwrap();
    filled(&store).await;
    store.close().await;
}

async fn looked(path: &Path) -> Found {
    let mut side = FileSide::reader(path).await.unwrap();
    check(&mut side, time(NOW)).await.unwrap()
}

#[tokio::test]
async fn what_cannot_be_right_in_a_file_is_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.db");
    file(&path).await;
    let well = looked(&path).await;
    assert!(well.wrong.is_empty() && well.rows.contains(&("results", 900)), "{well:?}");
    let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    for sql in DAMAGE {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    let sketch = "UPDATE latencies SET sketches = x'ffff' WHERE (span, check_id, at) IN \
                  (SELECT span, check_id, at FROM latencies LIMIT 1)";
    sqlx::query(sketch).execute(&mut connection).await.unwrap();
    has(&looked(&path).await, &EXPECTED);
}

#[tokio::test]
async fn what_cannot_be_right_in_a_postgres_is_found_and_nothing_else() {
    let access = SHARED.database().await;
    let mode = postgres::Mode::Daemon { full_sync: false };
    let store = Postgres::open(access.clone(), mode).await.unwrap();
    filled(&store).await;
    let looked = async || {
        let mut side = Database::reader(access.clone()).await.unwrap();
        check(&mut side, time(NOW)).await.unwrap()
    };
    let well = looked().await;
    assert!(well.wrong.is_empty() && well.rows.contains(&("results", 900)), "{well:?}");
    assert!(well.left_out.unwrap().contains("CREATE EXTENSION amcheck"));
    let mut root = SHARED.root(&access.database).await;
    run(&mut root, "CREATE EXTENSION amcheck").await;
    assert!(looked().await.left_out.unwrap().contains("GRANT EXECUTE"), "the role may not yet");
    run(&mut root, "GRANT EXECUTE ON FUNCTION bt_index_check(regclass, boolean) TO PUBLIC").await;
    let well = looked().await;
    assert!(well.wrong.is_empty() && well.left_out.is_none(), "{well:?}");
    run(&mut root, "CREATE TABLE results_19700223 (LIKE results INCLUDING ALL)").await;
    run(
        &mut root,
        "ALTER TABLE results ATTACH PARTITION results_19700223 FOR VALUES FROM (4579200000) TO (4665600000)",
    )
    .await;
    for sql in DAMAGE {
        run(&mut root, sql).await;
    }
    let sketch = "UPDATE latencies SET sketches = '\\xffff' WHERE (span, check_id, at) IN \
                  (SELECT span, check_id, at FROM latencies LIMIT 1)";
    run(&mut root, sketch).await;
    has(&looked().await, &EXPECTED);
}

#[tokio::test]
async fn a_page_that_the_disk_lost_is_found_and_the_rest_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.db");
    file(&path).await;
    let size = std::fs::metadata(&path).unwrap().len();
    let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let root = sqlx::query_scalar::<_, i64>("SELECT rootpage FROM sqlite_schema WHERE name = 'results'");
    let root = u64::try_from(root.fetch_one(&mut connection).await.unwrap()).unwrap();
    connection.close().await.unwrap();
    let mut bytes = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    assert!(size > root * 4_096);
    bytes.seek(SeekFrom::Start((root - 1) * 4_096)).unwrap();
    bytes.write_all(&[0xa5; 4_096]).unwrap();
    let found = looked(&path).await;
    has(&found, &["- ", "results cannot be read to its end"]);
    assert!(found.rows.iter().any(|(table, rows)| *table == "latencies" && *rows > 0), "{found:?}");
}

#[tokio::test]
async fn a_page_that_the_server_lost_is_found_and_the_rest_is_looked_at() {
    let server = TestServer::start(&[], &[]);
    let access = server.database().await;
    let store = Postgres::open(access.clone(), postgres::Mode::Daemon { full_sync: false }).await.unwrap();
    filled(&store).await;
    store.close().await;
    let mut root = server.root(&access.database).await;
    run(&mut root, "CHECKPOINT").await;
    let file = sqlx::query_scalar::<_, String>("SELECT pg_relation_filepath('checks')");
    let file = server.dir.join("data").join(file.fetch_one(&mut root).await.unwrap());
    server.stop();
    let mut bytes = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    bytes.write_all(&[0xa5; 8_192]).unwrap();
    drop(bytes);
    server.start_again();
    let mut side = Database::reader(access).await.unwrap();
    let found = check(&mut side, time(NOW)).await.unwrap();
    has(&found, &["checks cannot be read to its end"]);
    let results = found.rows.iter().find(|(table, _)| *table == "results");
    assert_eq!(results, Some(&("results", 900)), "{found:?}");
}
