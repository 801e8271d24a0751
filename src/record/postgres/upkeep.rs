//! What an operator does with the database now and then.

use std::time::Duration;

use sqlx::PgConnection;

use super::StoreError;
use super::bare::tried;
use super::link::{Link, Purpose, part, within};
use super::session::refuse_newer;
use crate::model::database::Access;
use crate::record::copy::Integrity;
use crate::record::copy::tables::TABLES;

/// How long one table may take.
const TABLE: Duration = Duration::from_secs(60 * 60);

/// The tables, and the partitions of results, as they are written in statements.
async fn tables(connection: &mut PgConnection) -> Result<Vec<(i64, String)>, sqlx::Error> {
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    let sql = "SELECT c.oid::bigint, c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r' AND \
               (c.oid IN (SELECT to_regclass(name) FROM UNNEST($1::text[]) AS n (name)) \
               OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('results'))) \
               ORDER BY 2";
    sqlx::query_as::<_, (i64, String)>(sql).bind(names).fetch_all(connection).await
}

/// Lets the server make room and look at what there is; returns the size before and after. A daemon may
/// go on meanwhile.
///
/// # Errors
/// What the server says.
pub async fn vacuum(access: Access) -> Result<(u64, u64), StoreError> {
    let link = Link::new(access);
    let mut connection = link.connect(Purpose::Copy).await?;
    refuse_newer(&link, &mut connection).await?;
    let done = async {
        let tables = within(TABLE, tables(&mut connection)).await?;
        let before = size(&mut connection, &tables).await?;
        for (_, name) in &tables {
            let sql = sqlx::AssertSqlSafe(format!("VACUUM (ANALYZE) {name}"));
            match within(TABLE, sqlx::raw_sql(sql).execute(&mut connection)).await {
                // A day that went meanwhile.
                Err(sqlx::Error::Database(said)) if said.code().as_deref() == Some("42P01") => {}
                Err(why) => return Err(why),
                Ok(_) => {}
            }
        }
        Ok((before, size(&mut connection, &tables).await?))
    };
    let done = done.await.map_err(|why| link.fault(&why))?;
    part(connection).await;
    Ok(done)
}

async fn size(connection: &mut PgConnection, tables: &[(i64, String)]) -> Result<u64, sqlx::Error> {
    let tables: Vec<i64> = tables.iter().map(|(table, _)| *table).collect();
    let sql =
        "SELECT coalesce(sum(pg_total_relation_size(t::oid)), 0)::bigint FROM UNNEST($1::bigint[]) AS n (t)";
    let size = sqlx::query_scalar::<_, i64>(sql).bind(tables).fetch_one(connection);
    within(TABLE, size).await.map(|size| u64::try_from(size).unwrap_or(0))
}

/// Lets the server's own tool look at the indexes, if it is there.
pub async fn examine(connection: &mut PgConnection) -> Result<Integrity, sqlx::Error> {
    let there = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
                 WHERE e.extname = 'amcheck'";
    let there = sqlx::query_scalar::<_, String>(there).fetch_optional(&mut *connection).await?;
    let Some(schema) = there else {
        let left_out = "indexes were not looked at, since the extension amcheck is not in this database \
                        (CREATE EXTENSION amcheck)";
        return Ok(Integrity { wrong: Vec::new(), left_out: Some(left_out.into()) });
    };
    let tables: Vec<i64> = tables(connection).await?.into_iter().map(|(table, _)| table).collect();
    let sql = "SELECT i.indexrelid::bigint, i.indexrelid::regclass::text FROM pg_index i \
               JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam \
               WHERE i.indrelid::bigint = ANY($1) AND a.amname = 'btree' AND i.indisvalid ORDER BY 2";
    let indexes = sqlx::query_as::<_, (i64, String)>(sql).bind(tables).fetch_all(&mut *connection).await?;
    let mut found = Integrity::default();
    for (index, name) in indexes {
        let checked = tried(connection, format!("SELECT {schema}.bt_index_check({index}::oid, true)")).await;
        match checked {
            Ok(()) => {}
            Err(sqlx::Error::Database(said)) if said.code().as_deref() == Some("42501") => {
                let way_out = "GRANT EXECUTE ON FUNCTION bt_index_check(regclass, boolean) to the role";
                found.left_out = Some(format!("indexes were not looked at: {}; {way_out}", said.message()));
                break;
            }
            Err(sqlx::Error::Database(said)) => found.wrong.push(format!("index {name}: {}", said.message())),
            Err(why) => return Err(why),
        }
    }
    Ok(found)
}
