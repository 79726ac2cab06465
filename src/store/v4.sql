-- Which part of which suite a run is. NULL, as everything below: a run of an older version.
ALTER TABLE runs ADD COLUMN suite TEXT;         -- SHA-256 of the whole suite's ids, profiles, images
-- NULL also where the run is of the whole suite.
ALTER TABLE runs ADD COLUMN shard INTEGER;      -- from 1
ALTER TABLE runs ADD COLUMN shards INTEGER;
ALTER TABLE runs ADD COLUMN history TEXT;       -- SHA-256 of what the suite was divided by
ALTER TABLE runs ADD COLUMN merged TEXT;        -- the same for the shards that are together the whole suite
-- NULL also where the tests were in no order of chance.
ALTER TABLE runs ADD COLUMN seed INTEGER;

-- The tests of the suite that are other shards'.
CREATE TABLE elsewhere (
    run      TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    test     INTEGER NOT NULL REFERENCES tests,
    shard    INTEGER NOT NULL,
    profile  TEXT NOT NULL,
    image    TEXT NOT NULL,
    PRIMARY KEY (run, test)
) STRICT, WITHOUT ROWID;
