//! The schema's versions, oldest first.
//!
//! [`MIGRATIONS`] only ever grows: an entry that was released is never edited, moved or removed,
//! and none destroys what an older one recorded. A database's `user_version` says how many of them
//! it has seen. Each runs in one exclusive transaction that also sets the new version, so that a
//! launcher that dies in the middle leaves the old version whole.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Marks a database as ours, in its header: `doct`.
pub const APPLICATION_ID: i32 = 0x646f_6374;

/// Entry n brings a database from version n to n + 1.
pub const MIGRATIONS: &[&str] = &[
    include_str!("v1.sql"),
    include_str!("v2.sql"),
    include_str!("v3.sql"),
    include_str!("v4.sql"),
    include_str!("v5.sql"),
];

/// Brings `connection` to the newest of `migrations`; one that is there already is left alone.
///
/// # Errors
/// SQLite's own: locked, full, damaged.
pub fn migrate(connection: &Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    if version(connection)? == migrations.len() {
        return Ok(());
    }
    for (from, sql) in migrations.iter().enumerate() {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Exclusive)?;
        // Looked up again under the lock: another launcher may have been here first.
        if version(&transaction)? == from {
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", from as i64 + 1)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

/// How many migrations a database has seen.
pub fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A negative version is nobody's: out of reach, so that nothing is run on it.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT name || coalesce(sql, '') FROM sqlite_schema ORDER BY 1")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, MIGRATIONS).unwrap();
        let before = schema(&connection);
        assert!(before.len() > 6, "{before:?}");
        migrate(&connection, MIGRATIONS).unwrap();
        assert_eq!(schema(&connection), before);
        assert_eq!(version(&connection).unwrap(), MIGRATIONS.len());
    }

    #[test]
    fn a_failed_migration_leaves_the_old_version_whole() {
        let connection = Connection::open_in_memory().unwrap();
        let first = ["CREATE TABLE a (x INTEGER) STRICT"];
        migrate(&connection, &first).unwrap();
        let before = schema(&connection);
        let broken = [
            first[0],
            "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO b VALUES ('no')",
        ];
        migrate(&connection, &broken).unwrap_err();
        assert_eq!(schema(&connection), before);
        assert_eq!(version(&connection).unwrap(), 1);
        let mended = [first[0], "CREATE TABLE b (x INTEGER) STRICT"];
        migrate(&connection, &mended).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
    }
}
