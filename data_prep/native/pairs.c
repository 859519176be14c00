#include "pairs.h"

#include <stdlib.h>

/* The finalizer of SplitMix64, as in data_prep/ids.py. */
static uint64_t mixed(uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static uint32_t slot_of(const PairTable *table, int64_t first, int64_t second) {
    /* Mixed twice: a sum of both ids could be made the same for all rows of a dump. */
    return (uint32_t)mixed(mixed((uint64_t)first) ^ (uint64_t)second) & table->mask;
}

/* The slot of the pair, or the free one where it belongs. */
static uint32_t *find_slot(const PairTable *table, int64_t first, int64_t second) {
    uint32_t slot = slot_of(table, first, second);
    for (; table->slots[slot]; slot = (slot + 1) & table->mask) {
        const int64_t row = (int64_t)table->slots[slot] - 1;
        if (table->firsts[row] == first && table->seconds[row] == second) {
            break;
        }
    }
    return &table->slots[slot];
}

bool new_pair_table(const int64_t *firsts, const int64_t *seconds, int64_t num_rows,
                    PairTable *table) {
    *table = (PairTable){.firsts = firsts, .seconds = seconds, .mask = 63};
    if (num_rows >= (int64_t)1 << 30) {
        return false;
    }
    while (table->mask < (uint64_t)num_rows * 2) {
        table->mask = 2 * table->mask + 1;
    }
    table->slots = calloc((size_t)table->mask + 1, sizeof(uint32_t));
    if (!table->slots) {
        return false;
    }
    for (int64_t row = 0; row < num_rows; row++) {
        *find_slot(table, firsts[row], seconds[row]) = (uint32_t)row + 1;
    }
    return true;
}

void drop_pair_table(PairTable *table) {
    free(table->slots);
    table->slots = NULL;
}

int64_t find_pair(const PairTable *table, int64_t first, int64_t second) {
    return (int64_t)*find_slot(table, first, second) - 1;
}
