#include "db/migrations.h"

/*
 * The assembler takes the files in as they are, so a program needs no folder of them at run time.
 * Their paths are relative to the top of the tree, where make runs.
 */

#define MIGRATION(symbol, file)                                                                    \
    __asm__(".pushsection .rodata\n"                                                               \
            ".globl " #symbol "\n"                                                                 \
            ".hidden " #symbol "\n" #symbol ":\n"                                                  \
            ".incbin \"migrations/" file "\"\n"                                                    \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char symbol[] __attribute__((visibility("hidden")))

MIGRATION(migration_0001, "0001-accounts.sql");
MIGRATION(migration_0002, "0002-language.sql");
MIGRATION(migration_0003, "0003-credentials.sql");
MIGRATION(migration_0004, "0004-admin.sql");
MIGRATION(migration_0005, "0005-lifecycle.sql");
MIGRATION(migration_0006, "0006-provisioning.sql");

const char *const migrations[] = {migration_0001, migration_0002, migration_0003,
                                  migration_0004, migration_0005, migration_0006};

const unsigned migrations_count = sizeof(migrations) / sizeof(migrations[0]);
