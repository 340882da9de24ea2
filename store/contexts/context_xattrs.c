#include "store/contexts/context_xattrs.h"

struct head {
	uint16_t name_len;
	uint32_t value_len;
} __attribute__((packed));

void context_xattrs_pack(const struct context_xattr *xattrs, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		struct head h = { (uint16_t)xattrs[i].name.len, (uint32_t)xattrs[i].value.len };

		buf_append(out, &h, sizeof h);
		buf_append(out, xattrs[i].name.data, xattrs[i].name.len);
		buf_append(out, xattrs[i].value.data, xattrs[i].value.len);
	}
}

bool context_xattrs_next(struct bytes *packed, struct context_xattr *ret_xattr)
{
	struct head h;
	size_t len;

	if (packed->len < sizeof h)
		return false;
	memcpy(&h, packed->data, sizeof h);
	len = sizeof h + h.name_len + h.value_len;
	if (packed->len < len)
		return false;
	ret_xattr->name = (struct bytes){ packed->data + sizeof h, h.name_len };
	ret_xattr->value = (struct bytes){ packed->data + sizeof h + h.name_len, h.value_len };
	*packed = (struct bytes){ packed->data + len, packed->len - len };
	return true;
}
