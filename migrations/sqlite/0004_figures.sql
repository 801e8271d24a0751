-- Figures over time: see `stats::rollup`. Spans are seconds: 60, 3600, 86400.

-- When a check was first seen, and how it runs (milliseconds), for figures of its past.
ALTER TABLE checks ADD COLUMN since INTEGER;
ALTER TABLE checks ADD COLUMN every INTEGER;
ALTER TABLE checks ADD COLUMN timeout INTEGER;

UPDATE checks SET since = seen.at
FROM (SELECT check_id, min(at) AS at FROM results GROUP BY check_id) AS seen
WHERE seen.check_id = checks.id;

-- Narrow, so that the uptime of all checks is read fast.
CREATE TABLE uptimes (
    span INTEGER NOT NULL,
    check_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- Milliseconds.
    up INTEGER NOT NULL,
    down INTEGER NOT NULL,
    planned INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    -- The last result, which stands on: its start, and 1 up, 0 down, null unknown.
    standing_at INTEGER,
    standing INTEGER,
    PRIMARY KEY (span, check_id, at)
) WITHOUT ROWID;

CREATE TABLE latencies (
    span INTEGER NOT NULL,
    check_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    sketches BLOB NOT NULL,
    PRIMARY KEY (span, check_id, at)
) WITHOUT ROWID;

-- Until when everything is rolled up. A result that is written late takes it back.
CREATE TABLE marks (
    span INTEGER PRIMARY KEY,
    until INTEGER NOT NULL
);

-- What was seen in runs that are kept in full, packed (zlib).
CREATE TABLE facts (
    at INTEGER NOT NULL,
    check_id INTEGER NOT NULL,
    facts BLOB NOT NULL,
    PRIMARY KEY (at, check_id)
) WITHOUT ROWID;
