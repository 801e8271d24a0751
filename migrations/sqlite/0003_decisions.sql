-- What people decided about what checks compare; the newest row of a key and its values holds. Never
-- pruned: it says who answered for what.
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    check_name TEXT NOT NULL,
    key TEXT NOT NULL,
    -- A JSON array of texts, sorted.
    entries TEXT NOT NULL,
    decision TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    at INTEGER NOT NULL,
    why TEXT NOT NULL
);

CREATE INDEX decisions_of ON decisions (check_name, id);
