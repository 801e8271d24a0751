//! The tables, their columns and keys.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Big,
    /// A number that a PostgreSQL holds in two bytes.
    Small,
    /// A number that a PostgreSQL holds in four.
    Medium,
    /// Whether something is so.
    Flag,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// The positions of its key, in the order in which rows are read.
    pub key: &'static [usize],
    /// The first column counts up by itself.
    pub counts_up: bool,
    /// Rows that are held in memory at once.
    pub chunk: usize,
}

impl Table {
    /// The columns of its key.
    pub fn key_columns(&self) -> impl Iterator<Item = Column> {
        self.key.iter().filter_map(|position| self.columns.get(*position)).copied()
    }

    /// The names of its columns.
    pub fn names(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}
const fn big(name: &'static str) -> Column {
    column(name, Kind::Big)
}
const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}
const fn flag(name: &'static str) -> Column {
    column(name, Kind::Flag)
}
const fn bytes(name: &'static str) -> Column {
    column(name, Kind::Bytes)
}
const fn table(name: &'static str, key: &'static [usize], chunk: usize, columns: &'static [Column]) -> Table {
    Table { name, columns, key, counts_up: false, chunk }
}

/// Rows of a few hundred bytes.
const SMALL: usize = 2_000;
/// Rows that may be large.
const LARGE: usize = 100;

/// Every table, those that others refer to first.
pub static TABLES: [Table; 13] = [
    Table {
        counts_up: true,
        ..table(
            "checks",
            &[0],
            LARGE,
            &[
                big("id"),
                text("name"),
                flag("removed"),
                text("state"),
                text("memory"),
                text("facts"),
                big("facts_at"),
                big("last_at"),
                big("since"),
                big("every"),
                big("timeout"),
            ],
        )
    },
    table(
        "results",
        &[0, 1],
        SMALL,
        &[
            big("at"),
            big("check_id"),
            column("verdict", Kind::Small),
            column("status", Kind::Medium),
            bytes("times"),
            text("findings"),
        ],
    ),
    table("facts", &[0, 1], LARGE, &[big("at"), big("check_id"), bytes("facts")]),
    table("gaps", &[0, 1], SMALL, &[big("at"), big("check_id"), big("until"), text("why")]),
    table("runs", &[0], SMALL, &[big("started"), big("seen")]),
    table("incidents", &[0], LARGE, &[text("id"), big("started"), big("ended"), text("body")]),
    Table {
        counts_up: true,
        ..table(
            "outbox",
            &[0],
            LARGE,
            &[
                big("seq"),
                text("key"),
                text("channel"),
                text("group_key"),
                text("incident"),
                big("at"),
                big("not_before"),
                big("attempts"),
                text("batch"),
                flag("unsure"),
                big("lease_until"),
                big("settled_at"),
                text("outcome"),
                text("answer"),
                text("body"),
            ],
        )
    },
    table("group_sent", &[0, 1], SMALL, &[text("channel"), text("group_key"), big("at")]),
    table(
        "canaries",
        &[0],
        SMALL,
        &[
            text("run"),
            text("check_name"),
            big("entered"),
            big("written"),
            big("writes"),
            big("attempts"),
            big("not_before"),
            text("holder"),
            big("held_until"),
            flag("taken"),
            big("ended"),
            text("outcome"),
            text("kept"),
        ],
    ),
    Table {
        counts_up: true,
        ..table(
            "decisions",
            &[0],
            LARGE,
            &[
                big("id"),
                text("check_name"),
                text("key"),
                text("entries"),
                text("decision"),
                text("decided_by"),
                big("at"),
                text("why"),
            ],
        )
    },
    table(
        "uptimes",
        &[0, 1, 2],
        SMALL,
        &[
            big("span"),
            big("check_id"),
            big("at"),
            big("up"),
            big("down"),
            big("planned"),
            big("runs"),
            big("failed"),
            big("standing_at"),
            big("standing"),
        ],
    ),
    table("latencies", &[0, 1, 2], LARGE, &[big("span"), big("check_id"), big("at"), bytes("sketches")]),
    table("marks", &[0], SMALL, &[big("span"), big("until")]),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// What the migrations of one database say.
    fn written(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut open = None;
        for line in files.iter().flat_map(|file| {
            std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        }) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["CREATE", "TABLE", name, ..] => open = Some(name.to_owned()),
                ["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..] => {
                    tables.entry(name.to_owned()).or_default().insert(column.to_owned());
                }
                [first, ..] if first.starts_with(')') => open = None,
                ["PRIMARY" | "--", ..] | [] => {}
                [column, ..] if open.is_some() => {
                    let table = open.clone().unwrap();
                    tables.entry(table).or_default().insert(column.to_owned());
                }
                _ => {}
            }
        }
        tables
    }

    #[test]
    fn no_table_and_no_column_is_left_behind() {
        let known: BTreeMap<String, BTreeSet<String>> = TABLES
            .iter()
            .map(|table| {
                let columns = table.columns.iter().map(|column| column.name.to_owned());
                (table.name.to_owned(), columns.collect())
            })
            .collect();
        assert_eq!(known, written("sqlite"));
        let mut postgres = written("postgres");
        // Who leads now is no part of the record.
        let present = [postgres.remove("lease"), postgres.remove("daemons")];
        assert!(present.iter().all(Option::is_some));
        assert_eq!(known, postgres);
    }
}
