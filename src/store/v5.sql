-- What names the content of each image in use: JSON, an object of word and digest. NULL where nothing
-- can say it of any, and for a run of an older version.
ALTER TABLE runs ADD COLUMN image_digests TEXT;
