CREATE TABLE runs (
    run              TEXT PRIMARY KEY,    -- 16 hexadecimal digits
    started_unix_us  INTEGER NOT NULL,
    wall_us          INTEGER,             -- NULL: it never ended in order
    version          TEXT NOT NULL,       -- of docker-test
    engine           TEXT NOT NULL,
    engine_version   TEXT,
    host             TEXT NOT NULL,
    project          ANY NOT NULL,        -- TEXT, or BLOB where it is not UTF-8
    images           TEXT NOT NULL,       -- JSON: [string]
    workers          INTEGER NOT NULL,    -- at most at once
    planned          INTEGER NOT NULL,    -- how many tests
    exit_status      INTEGER,
    interrupted      INTEGER              -- the signal's number
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    run          TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    worker       INTEGER NOT NULL,        -- from 1
    profile      TEXT,                    -- NULL, with the four below: it never said hello
    image        TEXT,
    start_us     INTEGER,                 -- from the engine's call to hello
    attestation  TEXT,                    -- JSON: what it read back from inside
    limits       TEXT,                    -- JSON: [{limit, state, found}]
    tests        INTEGER,                 -- attempts that it reported; NULL: it never ended in order
    problem      TEXT,                    -- NULL: it said goodbye
    PRIMARY KEY (run, worker)
) STRICT, WITHOUT ROWID;

CREATE TABLE tests (
    test  INTEGER PRIMARY KEY,
    id    ANY NOT NULL UNIQUE             -- TEXT, or BLOB where it is not UTF-8
) STRICT;

CREATE TABLE planned (
    run       TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    position  INTEGER NOT NULL,           -- from 1
    test      INTEGER NOT NULL REFERENCES tests,
    profile   TEXT NOT NULL,
    origin    TEXT NOT NULL,              -- who chose the profile
    image     TEXT NOT NULL,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    run                      TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    test                     INTEGER NOT NULL REFERENCES tests,
    attempt                  INTEGER NOT NULL,  -- from 1
    superseded               INTEGER NOT NULL CHECK (superseded IN (0, 1)),
    outcome                  TEXT NOT NULL,
    reason                   TEXT,
    termination              TEXT,              -- exit(1), SIGSEGV
    stopped                  TEXT,              -- wall, cpu, output-limit, interrupt
    escalated                INTEGER NOT NULL CHECK (escalated IN (0, 1)),
    profile                  TEXT NOT NULL,
    image                    TEXT NOT NULL,
    worker                   INTEGER,
    sequence                 INTEGER,           -- its place in that worker, from 1
    started_unix_us          INTEGER,
    wall_us                  INTEGER,
    cpu_us                   INTEGER,
    cpu_source               TEXT,              -- cgroup, rusage
    throttled_us             INTEGER,
    memory_start_bytes       INTEGER,
    memory_peak_bytes        INTEGER,
    memory_peak_source       TEXT,              -- cgroup, rusage
    memory_peak_bound_bytes  INTEGER,
    oom_kills                INTEGER,
    pids_limit_hits          INTEGER,
    reset_ns                 INTEGER,
    stdout_bytes             INTEGER NOT NULL,  -- written, kept or not
    stderr_bytes             INTEGER NOT NULL,
    leaks                    TEXT,              -- JSON: [{kind, …}]; NULL: none
    PRIMARY KEY (run, test, attempt)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_of_test ON attempts (test, started_unix_us);

CREATE TABLE outputs (
    run            TEXT NOT NULL,
    test           INTEGER NOT NULL,
    attempt        INTEGER NOT NULL,
    stream         TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    head           BLOB NOT NULL,
    dropped_bytes  INTEGER NOT NULL,            -- between head and tail
    tail           BLOB NOT NULL,
    PRIMARY KEY (run, test, attempt, stream),
    FOREIGN KEY (run, test, attempt) REFERENCES attempts ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
