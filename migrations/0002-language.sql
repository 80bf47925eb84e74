-- The language in which Bellhop writes to a customer's people; the list is that of lib/language.h.

PRAGMA user_version = 2;

ALTER TABLE customer ADD COLUMN language TEXT NOT NULL DEFAULT 'en'
    CHECK (language IN ('en', 'de', 'fr', 'es', 'it', 'nl', 'pt'));
