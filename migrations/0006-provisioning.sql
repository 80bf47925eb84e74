-- Bulk provisioning, and people who use the API and the pages.

PRAGMA user_version = 6;
