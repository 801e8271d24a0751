//! Keeps daemons from a database while everything in it is copied: for so long the lease is the copier's.

use sqlx::PgConnection;

use super::link::{Link, Purpose, part, patiently};
use crate::record::StoreError;

/// What daemons read when they are kept away.
const HOLDER: &str = "portalwatch store migrate";

/// The lease, held by a session of its own until that ends, however it ends.
#[derive(Debug)]
pub struct Guard {
    connection: PgConnection,
    token: i64,
}

impl Guard {
    /// Takes the lease. A daemon that led before and was stopped meanwhile is fenced.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where a daemon leads, and what the server says.
    pub async fn take(link: &Link) -> Result<Self, StoreError> {
        let mut connection = link.connect(Purpose::Copy).await?;
        let taken = patiently(take(&mut connection)).await.map_err(|why| link.fault(&why))?;
        match taken {
            Ok(token) => Ok(Self { connection, token }),
            Err(holder) => {
                let why = format!("another portalwatch daemon uses this database ({holder}); stop it first");
                Err(StoreError::Locked { path: link.access.place(), why })
            }
        }
    }

    /// Gives it back, so that a daemon need not make sure that nobody has it.
    pub async fn free(mut self) {
        let free = async {
            sqlx::raw_sql("COMMIT").execute(&mut self.connection).await?;
            let sql = "UPDATE lease SET holder = NULL WHERE id = 1 AND token = $1 AND holder = $2";
            sqlx::query(sql).bind(self.token).bind(HOLDER).execute(&mut self.connection).await
        };
        patiently(free).await.ok();
        part(self.connection).await;
    }
}

/// The token, or who leads.
async fn take(connection: &mut PgConnection) -> Result<Result<i64, String>, sqlx::Error> {
    // It has run out from the beginning: what keeps it is the lock of the transaction below, and a copier
    // that was killed keeps nobody waiting.
    let sql = "UPDATE lease SET holder = $1, token = token + 1, taken = now(), until = '-infinity' \
               WHERE id = 1 AND until < now() RETURNING token";
    let token = sqlx::query_scalar::<_, i64>(sql).bind(HOLDER).fetch_optional(&mut *connection).await?;
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    let sql = "SELECT token, coalesce(holder, 'nobody now') FROM lease WHERE id = 1 FOR KEY SHARE";
    let (found, holder) = sqlx::query_as::<_, (i64, String)>(sql).fetch_one(connection).await?;
    Ok(token.filter(|token| *token == found).ok_or(holder))
}

#[cfg(test)]
mod tests {
    use crate::record::StoreError;
    use crate::record::copy::Side as _;
    use crate::record::postgres::bare::Bare;
    use crate::record::postgres::lease::{Lease, Renewal, Standing, Unseen};
    use crate::record::postgres::server::{SHARED, run};

    #[tokio::test]
    async fn while_everything_is_copied_nobody_leads_and_a_daemon_that_wakes_up_is_fenced() {
        let access = SHARED.database().await;
        let lease = |name: &str| Lease::new(access.clone(), name.into());
        let (mut one, mut two) = (lease("one"), lease("two"));
        one.look().await.unwrap();
        let token = one.take().await.unwrap().unwrap();
        let refused = Bare::source(access.clone()).await.unwrap_err();
        assert!(refused.to_string().contains("uses this database (one); stop it first"), "{refused}");
        let mut root = SHARED.root(&access.database).await;
        run(&mut root, "UPDATE lease SET until = now() - interval '1 s'").await;
        let source = Bare::source(access.clone()).await.unwrap();
        let Renewal::Taken(by) = one.renew(token).await else { panic!("it leads again") };
        assert!(by.starts_with("portalwatch store migrate at "), "{by}");
        assert_eq!(two.look().await.unwrap(), Standing::Expired);
        let said = two.take().await.unwrap_err();
        assert!(matches!(said.why, StoreError::Locked { .. }), "{said:?}");
        Box::new(source).close().await;
        assert_eq!(two.look().await.unwrap(), Standing::Free);
        assert!(two.take().await.unwrap().unwrap() > token + 1);
    }

    #[tokio::test]
    async fn a_copier_that_was_killed_keeps_nobody_away() {
        let access = SHARED.database().await;
        drop(Bare::target(access.clone()).await.unwrap());
        let mut one = Lease::new(access, "one".into());
        assert_eq!(one.look().await.unwrap(), Standing::Expired);
        // Until the server has noticed.
        let token = loop {
            match one.take().await {
                Ok(token) => break token,
                Err(Unseen { why: StoreError::Locked { .. }, .. }) => {}
                Err(unseen) => panic!("{unseen:?}"),
            }
        };
        assert!(token.is_some());
    }
}
