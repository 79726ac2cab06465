-- How much the tests of a run are kept apart. NULL: a run of an older version, which knew no levels.
ALTER TABLE runs ADD COLUMN level TEXT;         -- standard, strict, paranoid
ALTER TABLE runs ADD COLUMN network TEXT;       -- none, internal, bridge
ALTER TABLE runs ADD COLUMN allow_weaker INTEGER CHECK (allow_weaker IN (0, 1));
