/* functions.h - the scalar functions. */
#ifndef FASTER_EXT_FUNCTIONS_H
#define FASTER_EXT_FUNCTIONS_H

#include "store/connection.h"

/* Registers them; SQLite's result code. */
int functions_register(struct connection *connection);

#endif
