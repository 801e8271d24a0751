-- Who of the daemons on this database leads. Times are the server's alone.
CREATE TABLE lease (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    -- Nobody while it is free.
    holder TEXT,
    -- Counts the take-overs. Unique, so that PostgreSQL takes a change of it for one of a key: a
    -- take-over waits for transactions that hold the row FOR KEY SHARE, and a renewal does not.
    token BIGINT NOT NULL UNIQUE,
    taken TIMESTAMPTZ,
    until TIMESTAMPTZ NOT NULL
);
INSERT INTO lease (id, token, until) VALUES (1, 0, '-infinity');

-- When each daemon was last heard of.
CREATE TABLE daemons (
    name TEXT PRIMARY KEY,
    seen TIMESTAMPTZ NOT NULL
);
