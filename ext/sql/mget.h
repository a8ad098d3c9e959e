/* mget.h - the table-valued function faster_mget(). */
#ifndef FASTER_EXT_MGET_H
#define FASTER_EXT_MGET_H

#include "store/connection.h"

/* Registers it with the connection; SQLite's result code. */
int mget_register(struct connection *connection);

#endif
