/*
 * Gives each block of a tar the header checksum that it should have.
 */
#ifndef TESTS_FUZZ_TAR_CHECKSUMS_H
#define TESTS_FUZZ_TAR_CHECKSUMS_H

#include <stddef.h>
#include <stdint.h>

void repair_checksums(uint8_t *data, size_t len);

#endif
