/*
 * Parts of a page in HTML: text made harmless, files set in.
 */
#ifndef BALLAST_EXPERIMENTS_PAGE_PARTS_H
#define BALLAST_EXPERIMENTS_PAGE_PARTS_H

#include "core/err.h"

#include <stdio.h>

/* With <, >, & and quotes as entities. */
void page_text(FILE *out, const char *text);

/* The same, "+-", ">=" and "<=" as the signs. */
void page_signs(FILE *out, const char *text);

/* Standard base64 (RFC 4648, section 4). */
void page_base64(FILE *out, const unsigned char *bytes, size_t n);

/* DIR/NAME, an SVG, as a data URI; alt says what it shows. */
MUST_CHECK int page_figure(FILE *out, const char *dir, const char *name, const char *alt,
			   struct err *err);

/* A file of the program's own (data_path()), as it is. */
MUST_CHECK int page_include(FILE *out, const char *name, struct err *err);

/* The text of a job, folded. */
void page_job(FILE *out, const char *name, const char *text);

/* Every job file of the experiment's folder, in the order of their names. */
void page_job_files(FILE *out, const char *id);

#endif
