//! Figures while others write, and how they are found.

use super::super::figures::{ROLLED, UPTIMES, take_back};
use super::super::server::{SHARED, run, scalar};
use super::super::*;
use crate::record::contract::figures::{HOUR, rolled};
use crate::record::contract::{outcome, ran, time};
use crate::record::{Figures as _, RolledRow};
use crate::stats::rollup::Grain;

const DAEMON: Mode = Mode::Daemon { full_sync: false };

async fn opened() -> (Access, Postgres) {
    let access = SHARED.database().await;
    let store = Postgres::open(access.clone(), DAEMON).await.unwrap();
    (access, store)
}

#[tokio::test]
async fn a_mark_that_somebody_else_moved_is_not_overwritten() {
    let (access, store) = opened().await;
    store.commit(&[ran(outcome("a/b", HOUR))]).await.unwrap();
    assert!(store.put_rolled(Grain::Hour, &[], None, time(9 * HOUR)).await.unwrap());
    let mut other = SHARED.root(&access.database).await;
    take_back(&mut other, 4 * HOUR + 5).await.unwrap();
    assert_eq!(store.rolled_until(Grain::Hour).await.unwrap(), Some(time(4 * HOUR)));
    let row = || RolledRow { check: "a/b".into(), grain: Grain::Hour, at: 9 * HOUR, rolled: rolled(1, 1) };
    assert!(!store.put_rolled(Grain::Hour, &[row()], Some(time(9 * HOUR)), time(10 * HOUR)).await.unwrap());
    assert_eq!(scalar(&mut other, "SELECT count(*) FROM uptimes").await, 0);
    assert!(store.put_rolled(Grain::Hour, &[row()], Some(time(4 * HOUR)), time(5 * HOUR)).await.unwrap());
    assert_eq!(scalar(&mut other, "SELECT count(*) FROM uptimes").await, 1);
}

#[tokio::test]
async fn a_late_result_of_another_session_waits_for_the_mark_and_then_takes_it_back() {
    let (access, store) = opened().await;
    assert!(store.put_rolled(Grain::Hour, &[], None, time(9 * HOUR)).await.unwrap());
    let mut other = SHARED.root(&access.database).await;
    run(&mut other, "BEGIN; UPDATE marks SET until = until + 3600000").await;
    let late = [ran(outcome("a/b", 2 * HOUR + 7))];
    let (written, ()) = tokio::join!(store.commit(&late), async {
        let mut root = SHARED.root("postgres").await;
        let waits = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
            access.database
        );
        while scalar(&mut root, &waits).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        run(&mut other, "COMMIT").await;
    });
    written.unwrap();
    assert_eq!(store.rolled_until(Grain::Hour).await.unwrap(), Some(time(2 * HOUR)));
}

#[tokio::test]
async fn a_year_of_hours_is_found_by_the_key_and_not_by_reading_all_of_it() {
    let (access, store) = opened().await;
    let batch: Vec<_> = (0..100).map(|number| ran(outcome(&format!("p/c{number}"), number))).collect();
    store.commit(&batch).await.unwrap();
    let mut root = SHARED.root(&access.database).await;
    run(
        &mut root,
        "INSERT INTO uptimes SELECT 3600, c.id, h::bigint * 3600000, 3600000, 0, 0, 60, 0, h::bigint * 3600000, 1 \
         FROM checks c, generate_series(0::bigint, 8759) h; \
         INSERT INTO latencies SELECT 3600, c.id, h::bigint * 3600000, '\\x00'::bytea \
         FROM checks c, generate_series(0::bigint, 8759) h; ANALYZE",
    )
    .await;
    let plan = async |root: &mut PgConnection, sql: &str| {
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN {sql}"));
        let lines = sqlx::query_scalar::<_, String>(sql).fetch_all(root).await.unwrap();
        lines.join("\n")
    };
    for (from, to) in [(0, 8_760), (8_000, 8_760), (8_000, 8_001)] {
        let literals = |sql: &str, values: [String; 4]| {
            values
                .iter()
                .enumerate()
                .fold(sql.to_owned(), |sql, (index, value)| sql.replace(&format!("${}", index + 1), value))
        };
        let (from, to) = ((from * HOUR).to_string(), (to * HOUR).to_string());
        let sums = literals(UPTIMES, ["3600".into(), from.clone(), to.clone(), String::new()]);
        let rows = literals(ROLLED, ["3600".into(), "'p/c7'".into(), from, to]);
        for sql in [sums, rows] {
            let plan = plan(&mut root, &sql).await;
            for table in ["uptimes", "latencies"] {
                assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
            }
        }
    }
    let begun = tokio::time::Instant::now();
    let sums = store.uptimes(Grain::Hour, time(0), time(8_760 * HOUR)).await.unwrap();
    println!("a year of 100 checks in {:?}", begun.elapsed());
    assert_eq!((sums.len(), sums[0].runs), (100, 8_760 * 60));
}
