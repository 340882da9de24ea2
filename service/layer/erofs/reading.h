/* What the files of the reader share. */
#ifndef SERVICE_LAYER_EROFS_READING_H
#define SERVICE_LAYER_EROFS_READING_H

#include "service/layer/erofs/checking.h"
#include "service/layer/erofs/reader.h"

struct erofs_reader {
	struct check_image image;
};

#endif
