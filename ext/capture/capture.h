/*
** The capture source: ties streams, savefiles, frames, reassembly, NetFlow v5
** and the ledger into an eg_source. One piece a file.
*/
#ifndef EG_CAPTURE_H
#define EG_CAPTURE_H

#include "capture/capture_watch.h"
#include "capture/filelist.h"
#include "flow/source.h"

/* Opens the captures that `source` names (see filelist.h). spec is borrowed
** until the source is closed. ledger may be NULL (then nobody asks for loss and
** audit); borrowed too. EG_IO, EG_MISUSE as eg_filelist_open. */
eg_status eg_capture_open(const char *source, size_t n_bytes, const eg_scan_spec *spec,
                          eg_ledger *ledger, eg_source **out, eg_err *err);

/* One file of a list, watched: the ledgers are the watch's. Both are borrowed until the
** source is closed. EG_NOMEM, EG_OK. */
eg_status eg_capture_open_file(const eg_file *file, const eg_scan_spec *spec,
                               const eg_capture_watch *watch, eg_source **out, eg_err *err);

#endif
