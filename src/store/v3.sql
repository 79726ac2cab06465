-- What can be compared with what, and the limits that were given. NULL, as everything below: a run of
-- an older version.
ALTER TABLE runs ADD COLUMN machine TEXT;
ALTER TABLE runs ADD COLUMN profiles TEXT;      -- JSON: {name: limits}
-- Whether `peaks` has the run's; NULL: look at its attempts.
ALTER TABLE runs ADD COLUMN ranked INTEGER CHECK (ranked IN (0, 1));

CREATE INDEX runs_by_start ON runs (started_unix_us);

ALTER TABLE attempts ADD COLUMN timeout_state TEXT;          -- busy, starved, idle
ALTER TABLE attempts ADD COLUMN cpu_user_us INTEGER;
ALTER TABLE attempts ADD COLUMN cpu_system_us INTEGER;
ALTER TABLE attempts ADD COLUMN throttled_periods INTEGER;
ALTER TABLE attempts ADD COLUMN memory_anon_bytes INTEGER;
ALTER TABLE attempts ADD COLUMN memory_file_bytes INTEGER;
ALTER TABLE attempts ADD COLUMN pids_peak INTEGER;
ALTER TABLE attempts ADD COLUMN pids_peak_source TEXT;       -- cgroup, sampled
ALTER TABLE attempts ADD COLUMN io_read_bytes INTEGER;
ALTER TABLE attempts ADD COLUMN io_write_bytes INTEGER;
ALTER TABLE attempts ADD COLUMN cpu_pressure_us INTEGER;
ALTER TABLE attempts ADD COLUMN memory_pressure_us INTEGER;
ALTER TABLE attempts ADD COLUMN io_pressure_us INTEGER;
ALTER TABLE attempts ADD COLUMN tmpfs_left_bytes INTEGER;

-- Of the samples.
ALTER TABLE attempts ADD COLUMN samples INTEGER;
ALTER TABLE attempts ADD COLUMN cpu_percent_samples INTEGER;
ALTER TABLE attempts ADD COLUMN cpu_percent_max REAL;
ALTER TABLE attempts ADD COLUMN cpu_percent_avg REAL;
ALTER TABLE attempts ADD COLUMN cpu_percent_p95 REAL;
ALTER TABLE attempts ADD COLUMN cpu_percent_p99 REAL;
ALTER TABLE attempts ADD COLUMN memory_samples INTEGER;
ALTER TABLE attempts ADD COLUMN memory_max_bytes REAL;
ALTER TABLE attempts ADD COLUMN memory_avg_bytes REAL;
ALTER TABLE attempts ADD COLUMN memory_p95_bytes REAL;
ALTER TABLE attempts ADD COLUMN memory_p99_bytes REAL;
ALTER TABLE attempts ADD COLUMN open_files_samples INTEGER;
ALTER TABLE attempts ADD COLUMN open_files_max REAL;
ALTER TABLE attempts ADD COLUMN open_files_avg REAL;
ALTER TABLE attempts ADD COLUMN open_files_p95 REAL;
ALTER TABLE attempts ADD COLUMN open_files_p99 REAL;
ALTER TABLE attempts ADD COLUMN threads_samples INTEGER;
ALTER TABLE attempts ADD COLUMN threads_max REAL;
ALTER TABLE attempts ADD COLUMN threads_avg REAL;
ALTER TABLE attempts ADD COLUMN threads_p95 REAL;
ALTER TABLE attempts ADD COLUMN threads_p99 REAL;

CREATE TABLE violations (
    run        TEXT NOT NULL,
    test       INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    position   INTEGER NOT NULL,                -- from 1
    kind       TEXT NOT NULL,
    severity   TEXT NOT NULL,                   -- info, warning, error
    threshold  REAL,
    actual     REAL,
    unit       TEXT NOT NULL,                   -- bytes, percent, us, count: of the two before
    message    TEXT NOT NULL,
    PRIMARY KEY (run, test, attempt, position),
    FOREIGN KEY (run, test, attempt) REFERENCES attempts ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
    run      TEXT NOT NULL,
    test     INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    samples  INTEGER NOT NULL,
    data     BLOB NOT NULL,                     -- see doc/database.md
    PRIMARY KEY (run, test, attempt),
    FOREIGN KEY (run, test, attempt) REFERENCES attempts ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The tests with the highest figures of a run, written at its end: what is highest over many runs is
-- among the highest of one of them. An index for each figure would cost every attempt its writing.
CREATE TABLE peaks (
    run      TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    figure   TEXT NOT NULL,                     -- memory, cpu, wall, files, threads
    place    INTEGER NOT NULL,                  -- from 1: the highest
    test     INTEGER NOT NULL REFERENCES tests,
    highest  REAL NOT NULL,                     -- of its attempts in the run, in the figure's unit
    PRIMARY KEY (run, figure, place)
) STRICT, WITHOUT ROWID;
