-- Figures over time: see `stats::rollup`. Spans are seconds: 60, 3600, 86400.

-- When a check was first seen, and how it runs (milliseconds), for figures of its past.
ALTER TABLE checks ADD COLUMN since BIGINT;
ALTER TABLE checks ADD COLUMN every BIGINT;
ALTER TABLE checks ADD COLUMN timeout BIGINT;

UPDATE checks SET since = seen.at
FROM (SELECT check_id, min(at) AS at FROM results GROUP BY check_id) AS seen
WHERE seen.check_id = checks.id;

-- Narrow, so that the uptime of all checks is read fast.
CREATE TABLE uptimes (
    span BIGINT NOT NULL,
    check_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- Milliseconds.
    up BIGINT NOT NULL,
    down BIGINT NOT NULL,
    planned BIGINT NOT NULL,
    runs BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    -- The last result, which stands on: its start, and 1 up, 0 down, null unknown.
    standing_at BIGINT,
    standing BIGINT,
    PRIMARY KEY (span, check_id, at)
);

CREATE TABLE latencies (
    span BIGINT NOT NULL,
    check_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    sketches BYTEA NOT NULL,
    PRIMARY KEY (span, check_id, at)
);

-- Until when everything is rolled up. A result that is written late takes it back.
CREATE TABLE marks (
    span BIGINT PRIMARY KEY,
    until BIGINT NOT NULL
);

-- What was seen in runs that are kept in full, packed (zlib).
CREATE TABLE facts (
    at BIGINT NOT NULL,
    check_id BIGINT NOT NULL,
    facts BYTEA NOT NULL,
    PRIMARY KEY (check_id, at)
);

CREATE INDEX facts_at ON facts (at);
