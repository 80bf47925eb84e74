#ifndef CLI_STATISTICS_H
#define CLI_STATISTICS_H

#include "db/statistics.h"

/*
 * As db_statistics_customer(), and with how full the mailboxes are, which the running stored is
 * asked. *trouble_r becomes NULL, or why that is not known: a part of a sentence.
 */
enum db_result statistics_customer(struct db *db, uint64_t customer, unsigned days,
                                   struct db_customer_statistics *statistics_r,
                                   const char **trouble_r);

#endif
