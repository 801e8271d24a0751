-- Of `results.times`: behind the phases stand the steps of the run, if it has any, each as the length of
-- its name, the name, and microseconds.

-- What checks wrote in portals, entered before it was sent. Open while `ended` is null.
CREATE TABLE canaries (
    run TEXT PRIMARY KEY,
    check_name TEXT NOT NULL,
    -- The first write, and the last one.
    entered INTEGER NOT NULL,
    written INTEGER NOT NULL,
    writes INTEGER NOT NULL,
    -- Clean-ups and sweeps that failed, and before when none is tried again.
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER,
    -- Who (daemon, command) has it in hand, and until when.
    holder TEXT,
    held_until INTEGER,
    -- A sweep took it: its run may write no more.
    taken INTEGER NOT NULL DEFAULT 0,
    ended INTEGER,
    outcome TEXT,
    kept TEXT
) WITHOUT ROWID;

CREATE INDEX canaries_open ON canaries (check_name, entered) WHERE ended IS NULL;
CREATE INDEX canaries_written ON canaries (check_name, written);
CREATE INDEX canaries_ended ON canaries (ended) WHERE ended IS NOT NULL;
