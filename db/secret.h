#ifndef DB_SECRET_H
#define DB_SECRET_H

#include <stdint.h>

#include "db/db.h"

#define DB_SECRET_SIZE 32

/* What is drawn once for an instance, for what has to mean the same after a restart. */
#define DB_SECRET_SCRAM_SALT   "scram_salt"   /* lib/scramkeys.h */
#define DB_SECRET_APP_PASSWORD "app_password" /* lib/apppassword.h */
#define DB_SECRET_API_KEY      "api_key"      /* lib/apikey.h */

/* Reads a secret, which the caller wipes: DB_OK, DB_NONE (no such name), DB_BUSY, DB_BROKEN. */
enum db_result db_secret_find(struct db *db, const char *name, uint8_t octets_r[DB_SECRET_SIZE]);

#endif
