/*
** SQLite's API for every file of this folder: through the host's pointer table
** in the loadable extension, direct where compiled with -DSQLITE_CORE.
** extension.c defines the pointer.
*/
#ifndef EG_SQLITE_API_H
#define EG_SQLITE_API_H

#include <sqlite3ext.h>

#ifndef SQLITE_CORE
extern const sqlite3_api_routines *sqlite3_api;
#endif

#endif
