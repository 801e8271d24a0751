//! A database of an older schema, and that nothing in it is lost when it is brought up to date.

use super::{finding, incident, row, time};
use crate::record::Figures;

/// Statements that put a row into each table that there is after so many migrations. `bytes` writes a
/// literal of bytes, given in hexadecimal digits.
pub fn rows(migrations: i64, bytes: fn(&str) -> String) -> Vec<String> {
    let (open, told) = (incident("a/b", 1_000), row("k1", "a/b", "mail", 0));
    let json = |body: Result<String, serde_json::Error>| body.unwrap().replace('\'', "''");
    let first = [
        "INSERT INTO checks (id, name, state, memory, last_at) VALUES (1, 'a/b', NULL, NULL, 1000)"
            .to_owned(),
        format!(
            "INSERT INTO results (at, check_id, verdict, status, times) VALUES (1000, 1, 0, 200, {})",
            bytes("640164")
        ),
        "INSERT INTO gaps (at, check_id, until, why) VALUES (2000, 1, 3000, 'missed')".into(),
        "INSERT INTO runs (started, seen) VALUES (500, 4000)".into(),
        format!(
            "INSERT INTO incidents (id, started, body) VALUES ('{}', 1000, '{}')",
            open.id.as_str(),
            json(serde_json::to_string(&open))
        ),
        format!(
            "INSERT INTO outbox (key, channel, group_key, incident, at, not_before, attempts, body) \
             VALUES ('k1', 'mail', '{{}}', '{}', 500, 0, 0, '{}')",
            open.id.as_str(),
            json(serde_json::to_string(&told))
        ),
        "INSERT INTO group_sent (channel, group_key, at) VALUES ('mail', '{}', 400)".into(),
    ];
    let second = "INSERT INTO canaries (run, check_name, entered, written, writes) \
                  VALUES ('r1', 'a/b', 1000, 1000, 1)";
    let third = "INSERT INTO decisions (check_name, key, entries, decision, decided_by, at, why) \
                 VALUES ('a/b', 'A', '[]', 'approved', 'somebody', 1000, 'it is right')";
    let fourth = "UPDATE checks SET since = 1000";
    let later = [(2, second), (3, third), (4, fourth)].map(|(number, sql)| (number, sql.to_owned()));
    let all = first.into_iter().map(|sql| (1, sql)).chain(later);
    all.filter(|(number, _)| *number <= migrations).map(|(_, sql)| sql).collect()
}

/// Counts the rows that no store reads.
pub const BESIDE: &str = "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM group_sent) \
                          + (SELECT count(*) FROM canaries) + (SELECT count(*) FROM decisions)";

/// How many [`BESIDE`] counts of [`rows`].
pub const fn beside(migrations: i64) -> i64 {
    match migrations {
        0 => 0,
        1 => 2,
        2 => 3,
        _ => 4,
    }
}

/// Asserts that all of it is there, once.
pub async fn kept(store: &dyn Figures, migrations: i64) {
    let expected = usize::from(migrations >= 1);
    let history = store.history(&"a/b".into(), time(0), time(9_000), 9).await.unwrap();
    assert_eq!(history.len(), expected);
    assert_eq!(store.gaps(time(0), time(9_000)).await.unwrap().len(), expected);
    let open = store.open_incidents().await.unwrap();
    assert_eq!(open.len(), expected);
    assert!(open.iter().all(|one| one.findings == [finding()]), "{open:?}");
    assert_eq!(store.pending().await.unwrap().0, u64::from(migrations >= 1));
    let known = store.known_checks().await.unwrap();
    assert_eq!(known.len(), expected);
    assert!(known.iter().all(|one| one.since == Some(time(1_000))), "{known:?}");
}
