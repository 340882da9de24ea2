/*
 * What a tar entry says about its file beside name and data: permissions, owner, time,
 * device number. From the header, and from the PAX records in front of it, which count
 * where they are there.
 *
 * Owners are numbers; names of users are not looked at, since they mean something only
 * on the machine that wrote them. Pure functions on hostile bytes; any thread.
 */
#ifndef SERVICE_LAYER_TAR_ATTRIBUTES_H
#define SERVICE_LAYER_TAR_ATTRIBUTES_H

#include "service/layer/tar_header.h"

enum { TAR_MODE_BITS = 07777 };

struct tar_attributes {
	uint16_t mode; /* TAR_MODE_BITS */
	uint32_t uid, gid;
	int64_t mtime; /* seconds since 1970, perhaps negative */
	uint32_t mtime_ns;
	uint32_t major, minor; /* devices only, else 0; what Linux can have */
};

/* `pax`: the records that tar_pax_read() found to be sound, or none. What is wrong, or
 * NULL when *ret_attributes was filled. */
const char *tar_attributes_read(const uint8_t block[TAR_BLOCK], struct bytes pax,
				struct tar_attributes *ret_attributes);

#endif
