/* Rows of pairs of numbers, to be looked up. */
#ifndef DIALOGPT_PAIRS_H
#define DIALOGPT_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const int64_t *firsts;
    const int64_t *seconds;
    uint32_t *slots; /* hash table: a row plus one; 0 is free */
    uint32_t mask;
} PairTable;

/* Of equal pairs the last row counts. False if there is no memory or there are too many rows. To be
 * given to drop_pair_table in either case. */
bool new_pair_table(const int64_t *firsts, const int64_t *seconds, int64_t num_rows,
                    PairTable *table);
void drop_pair_table(PairTable *table);

/* The row of the pair, or -1. */
int64_t find_pair(const PairTable *table, int64_t first, int64_t second);

#endif
