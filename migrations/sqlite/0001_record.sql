-- Times are milliseconds since the epoch.

CREATE TABLE checks (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    removed INTEGER NOT NULL DEFAULT 0,
    state TEXT,
    memory TEXT,
    facts TEXT,
    facts_at INTEGER,
    -- Start of a recent result: the newest one at the time this row was last written.
    last_at INTEGER
);

-- Time first: rows arrive in time order, so that the tree grows at its right edge.
CREATE TABLE results (
    at INTEGER NOT NULL,
    check_id INTEGER NOT NULL,
    -- verdict + 8 * cause
    verdict INTEGER NOT NULL,
    status INTEGER,
    -- Varints of microseconds: the duration, a bit set of phases, one per phase.
    times BLOB NOT NULL,
    findings TEXT,
    PRIMARY KEY (at, check_id)
) WITHOUT ROWID;

-- Times not covered. check_id 0 is every check.
CREATE TABLE gaps (
    at INTEGER NOT NULL,
    check_id INTEGER NOT NULL,
    until INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (at, check_id)
) WITHOUT ROWID;

CREATE TABLE runs (
    started INTEGER PRIMARY KEY,
    seen INTEGER NOT NULL
);

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    started INTEGER NOT NULL,
    ended INTEGER,
    body TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX incidents_started ON incidents (started);
CREATE INDEX incidents_open ON incidents (started) WHERE ended IS NULL;

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    group_key TEXT NOT NULL,
    incident TEXT NOT NULL,
    at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    batch TEXT,
    -- An attempt was begun of which nobody knows how it ended.
    unsure INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    settled_at INTEGER,
    outcome TEXT,
    answer TEXT,
    body TEXT NOT NULL
);

CREATE INDEX outbox_waiting ON outbox (incident, channel, seq) WHERE settled_at IS NULL;
CREATE INDEX outbox_sent ON outbox (incident, channel, seq) WHERE outcome = 'sent';
CREATE INDEX outbox_settled ON outbox (settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE group_sent (
    channel TEXT NOT NULL,
    group_key TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (channel, group_key)
) WITHOUT ROWID;
