-- Of `results.times`: behind the phases stand the steps of the run, if it has any, each as the length of
-- its name, the name, and microseconds.

-- What checks wrote in portals, entered before it was sent. Open while `ended` is null.
CREATE TABLE canaries (
    run TEXT PRIMARY KEY,
    check_name TEXT NOT NULL,
    -- The first write, and the last one.
    entered BIGINT NOT NULL,
    written BIGINT NOT NULL,
    writes BIGINT NOT NULL,
    -- Clean-ups and sweeps that failed, and before when none is tried again.
    attempts BIGINT NOT NULL DEFAULT 0,
    not_before BIGINT,
    -- Who (daemon, command) has it in hand, and until when.
    holder TEXT,
    held_until BIGINT,
    -- A sweep took it: its run may write no more.
    taken BOOLEAN NOT NULL DEFAULT FALSE,
    ended BIGINT,
    outcome TEXT,
    kept TEXT
);

CREATE INDEX canaries_open ON canaries (check_name, entered) WHERE ended IS NULL;
CREATE INDEX canaries_written ON canaries (check_name, written);
CREATE INDEX canaries_ended ON canaries (ended) WHERE ended IS NOT NULL;
