/* module.h - the virtual table module "faster". */
#ifndef FASTER_EXT_MODULE_H
#define FASTER_EXT_MODULE_H

#include "store/connection.h"

/* Registers it; SQLite's result code. */
int module_register(struct connection *connection);

#endif
