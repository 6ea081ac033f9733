#include "experiments/sweep_db.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LAYOUT	    1	       /* PRAGMA user_version: of the tables */
#define APPLICATION 0x426c7374 /* PRAGMA application_id: "Blst" */
#define LOCKED_MS   5000       /* waits so long for another program's lock */

struct sweep_db {
	sqlite3 *sql;
	sqlite3_stmt *put_run, *put_timing;
	bool write;
	char path[PATH_MAX];
};

/* What a failure of SQLite means to a user. */
static int failed(const struct sweep_db *db, struct err *err)
{
	int code = sqlite3_errcode(db->sql) & 0xff, errnum = sqlite3_system_errno(db->sql);

	if (code == SQLITE_FULL || (code == SQLITE_IOERR && (errnum == ENOSPC || errnum == EDQUOT)))
		return err_run(err, ENOSPC,
			       "%s: the disk is full; finished runs are kept: free some space, "
			       "then go on with --resume",
			       db->path);
	switch (code) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_run(err, EBUSY,
			       "%s: locked by another program; finished runs are kept: close it, "
			       "then go on with --resume",
			       db->path);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_run(err, EUCLEAN, "%s: is damaged, or no SQLite file: %s", db->path,
			       sqlite3_errmsg(db->sql));
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return err_run(err, EACCES, "%s: cannot be written: %s", db->path,
			       errnum ? strerror(errnum) : sqlite3_errmsg(db->sql));
	case SQLITE_IOERR: /* of a limit on file sizes (ulimit -f), SQLite says no more */
		return err_run(err, EIO, "%s: %s%s%s; finished runs are kept", db->path,
			       sqlite3_errmsg(db->sql), errnum ? ": " : "",
			       errnum ? strerror(errnum) : "");
	default:
		return err_run(err, EIO, "%s: %s", db->path, sqlite3_errmsg(db->sql));
	}
}

static int run_sql(struct sweep_db *db, const char *sql, struct err *err)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(db, err);
}

/* A PRAGMA's number, or the only one of a query. */
static int number(struct sweep_db *db, const char *sql, int64_t *value, struct err *err)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
		return failed(db, err);
	int step = sqlite3_step(st);
	*value = step == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	int rc = step == SQLITE_ROW || step == SQLITE_DONE ? 0 : failed(db, err);
	sqlite3_finalize(st);
	return rc;
}

/* File systems that several machines see: no shared memory for a write-ahead log. */
static bool shared_file_system(const char *dir)
{
	static const unsigned long magics[] = {
		0x6969,	    0x517b,	0xff534d42, 0xfe534d42, 0x0bd00bd0,
		0x47504653, 0x19830326, 0x00c36400, 0x01021997, 0x65735546,
	}; /* NFS, SMB, CIFS, SMB2, Lustre, GPFS, BeeGFS, Ceph, 9P, FUSE */
	struct statfs fs;

	if (statfs(dir, &fs) != 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		if ((unsigned long)(uint32_t)fs.f_type == magics[i])
			return true;
	}
	return false;
}

static int set_path(struct sweep_db *db, const char *dir, struct err *err)
{
	if (snprintf(db->path, sizeof db->path, "%s/results.sqlite", dir) >= (int)sizeof db->path)
		return err_input(err, "%s: the path is too long", dir);
	return 0;
}

bool sweep_db_there(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	return snprintf(path, sizeof path, "%s/results.sqlite", dir) < (int)sizeof path &&
	       stat(path, &st) == 0 && st.st_size > 0;
}

static int open_file(const char *dir, bool write, bool create, struct sweep_db **out,
		     struct err *err)
{
	struct sweep_db *db = calloc(1, sizeof *db);
	int flags = (write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) |
		    (create ? SQLITE_OPEN_CREATE : 0);

	if (!db)
		return err_run(err, ENOMEM, "no memory for the results of a sweep");
	int rc = set_path(db, dir, err);
	if (rc == 0 && !create && access(db->path, F_OK) != 0)
		rc = err_input(err, "%s: holds no results of a sweep", dir);
	if (rc == 0 && sqlite3_open_v2(db->path, &db->sql, flags, NULL) != SQLITE_OK)
		rc = failed(db, err);
	if (rc == 0) {
		sqlite3_busy_timeout(db->sql, LOCKED_MS);
		sqlite3_extended_result_codes(db->sql, 0);
	}
	if (rc) {
		sweep_db_close(db);
		return rc;
	}
	*out = db;
	return 0;
}

/* From here on it is ours to write to. */
static int begin_writing(struct sweep_db *db, const char *dir, struct err *err)
{
	db->write = true;
	if (shared_file_system(dir))
		return 0;
	return run_sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", err);
}

void sweep_db_close(struct sweep_db *db)
{
	if (!db)
		return;
	sqlite3_finalize(db->put_run);
	sqlite3_finalize(db->put_timing);
	/* One file again, if nobody reads it just now; if not, the next writer does it. */
	if (db->write)
		sqlite3_exec(db->sql, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	sqlite3_close(db->sql);
	free(db);
}

static const char *type_name(enum opt_type type, const char **unit)
{
	*unit = type == OPT_BYTES ? "bytes" : type == OPT_TIME ? "ns" : "1";
	switch (type) {
	case OPT_INT:
		return "count";
	case OPT_BYTES:
		return "size";
	case OPT_TIME:
		return "time";
	case OPT_REAL:
		return "number";
	default:
		*unit = "";
		return "text";
	}
}

static void write_schema(FILE *out, const struct plan *plan)
{
	fputs("BEGIN IMMEDIATE; CREATE TABLE runs(run INTEGER PRIMARY KEY, point INTEGER NOT NULL,"
	      " seed INTEGER NOT NULL",
	      out);
	for (size_t a = 0; a < plan->axes; a++)
		fprintf(out, ", \"%s\"%s", plan->axis[a].key,
			!axis_numeric(&plan->axis[a])	 ? " TEXT"
			: plan->axis[a].type == OPT_REAL ? " REAL"
							 : " INTEGER");
	fputs(", state TEXT NOT NULL, error TEXT, summary TEXT);"
	      "CREATE VIEW stats AS SELECT run, replace(substr(fullkey, 3), '\"', '') AS name,"
	      " atom AS value FROM runs, json_tree(runs.summary) WHERE atom IS NOT NULL;"
	      "CREATE TABLE timing(run INTEGER PRIMARY KEY, cpu_s REAL, wall_s REAL, node TEXT);"
	      "CREATE TABLE axes(position INTEGER PRIMARY KEY, key TEXT, type TEXT, unit TEXT);"
	      "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT);",
	      out);
	for (size_t a = 0; a < plan->axes; a++) {
		const char *unit, *type = type_name(plan->axis[a].type, &unit);
		fprintf(out, "INSERT INTO axes VALUES(%zu, '%s', '%s', '%s');", a,
			plan->axis[a].key, type, unit);
	}
	fprintf(out,
		"INSERT INTO meta VALUES('ballast', '" BALLAST_VERSION
		"'); PRAGMA application_id = %d; PRAGMA user_version = %d;",
		APPLICATION, LAYOUT);
}

static int put_plan(struct sweep_db *db, const struct plan *plan, struct err *err)
{
	char *text = json_dumps(plan->told, JSON_COMPACT);
	sqlite3_stmt *st = NULL;
	int rc = 0;

	if (!text)
		return err_run(err, ENOMEM, "no memory for the plan");
	if (sqlite3_prepare_v2(db->sql, "INSERT OR REPLACE INTO meta VALUES('plan', ?)", -1, &st,
			       NULL) ||
	    sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC) || sqlite3_step(st) != SQLITE_DONE)
		rc = failed(db, err);
	sqlite3_finalize(st);
	free(text);
	return rc;
}

/* By way of negative numbers: no row meets one that is still to move. */
int sweep_db_grow(struct sweep_db *db, const struct plan *plan, uint32_t from, struct err *err)
{
	static const char *const tables[] = {"runs", "timing"};
	char sql[256];
	int rc = run_sql(db, "BEGIN IMMEDIATE", err);

	if (rc)
		return rc;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(tables); i++) {
		snprintf(sql, sizeof sql,
			 "UPDATE %s SET run = -1 - (run / %u * %u + run %% %u);"
			 "UPDATE %s SET run = -1 - run",
			 tables[i], from, plan->seeds, from, tables[i]);
		rc = run_sql(db, sql, err);
	}
	if (rc == 0)
		rc = put_plan(db, plan, err);
	if (rc == 0)
		rc = run_sql(db, "COMMIT", err);
	if (rc)
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static int make_tables(struct sweep_db *db, const struct plan *plan, struct err *err)
{
	char *sql = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&sql, &size);

	if (!out)
		return err_run(err, ENOMEM, "no memory for the results of a sweep");
	write_schema(out, plan);
	fclose(out);
	int rc = sql ? run_sql(db, sql, err) : err_run(err, ENOMEM, "no memory");
	free(sql);
	if (rc == 0)
		rc = put_plan(db, plan, err);
	return rc ? rc : run_sql(db, "COMMIT", err);
}

int sweep_db_create(const char *dir, const struct plan *plan, struct sweep_db **out,
		    struct err *err)
{
	struct sweep_db *db;
	int64_t tables = 0;

	int rc = open_file(dir, true, true, &db, err);
	if (rc)
		return rc;
	rc = number(db, "SELECT count(*) FROM sqlite_master", &tables, err);
	if (rc == 0 && tables)
		rc = err_input(err, "%s: is there already", db->path);
	if (rc == 0)
		rc = begin_writing(db, dir, err);
	if (rc == 0)
		rc = make_tables(db, plan, err);
	if (rc) {
		sweep_db_close(db);
		return rc;
	}
	*out = db;
	return 0;
}

static int check_layout(struct sweep_db *db, struct err *err)
{
	int64_t application = 0, layout = 0;
	int rc = number(db, "PRAGMA application_id", &application, err);

	if (rc == 0)
		rc = number(db, "PRAGMA user_version", &layout, err);
	if (rc)
		return rc;
	if (application == 0 && layout == 0)
		return err_input(err, "%s: holds no runs; begin the sweep again without --resume",
				 db->path);
	if (application != APPLICATION)
		return err_input(err, "%s: is not the result of a sweep", db->path);
	if (layout != LAYOUT)
		return err_input(err,
				 "%s: was written by a %s version of ballast (tables of layout "
				 "%lld, and this version knows %d): use that one",
				 db->path, layout > LAYOUT ? "newer" : "older", (long long)layout,
				 LAYOUT);
	return 0;
}

int sweep_db_open(const char *dir, bool write, struct sweep_db **out, struct err *err)
{
	struct sweep_db *db = NULL;
	int rc = open_file(dir, false, false, &db, err);

	/* Looked at before anything is written to what may be somebody else's. */
	if (rc == 0)
		rc = check_layout(db, err);
	if (rc == 0 && write) {
		sweep_db_close(db);
		db = NULL;
		rc = open_file(dir, true, false, &db, err);
		if (rc == 0)
			rc = begin_writing(db, dir, err);
	}
	if (rc) {
		sweep_db_close(db);
		return rc;
	}
	*out = db;
	return 0;
}

json_t *sweep_db_plan(struct sweep_db *db, struct err *err)
{
	sqlite3_stmt *st;
	json_t *told = NULL;

	if (sqlite3_prepare_v2(db->sql, "SELECT value FROM meta WHERE key = 'plan'", -1, &st,
			       NULL) != SQLITE_OK) {
		failed(db, err);
		return NULL;
	}
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0))
		told = json_loads((const char *)sqlite3_column_text(st, 0), 0, NULL);
	sqlite3_finalize(st);
	if (!json_is_object(told)) {
		err_run(err, EUCLEAN, "%s: has no plan in it", db->path);
		json_decref(told);
		return NULL;
	}
	return told;
}

static int prepare_put(struct sweep_db *db, const struct plan *plan, struct err *err)
{
	char sql[256] = "INSERT OR REPLACE INTO runs VALUES(?, ?, ?, ?, ?, ?";

	size_t n = strlen(sql);

	for (size_t a = 0; a < plan->axes && n < sizeof sql; a++)
		n += (size_t)snprintf(sql + n, sizeof sql - n, ", ?");
	if (n < sizeof sql)
		snprintf(sql + n, sizeof sql - n, ")");
	if (sqlite3_prepare_v2(db->sql, sql, -1, &db->put_run, NULL) ||
	    sqlite3_prepare_v2(db->sql, "INSERT OR REPLACE INTO timing VALUES(?, ?, ?, ?)", -1,
			       &db->put_timing, NULL))
		return failed(db, err);
	return 0;
}

static void bind_axis(sqlite3_stmt *st, int column, const struct axis *axis, size_t i)
{
	if (!axis_numeric(axis))
		sqlite3_bind_text(st, column, axis->text[i], -1, SQLITE_STATIC);
	else if (axis->type == OPT_REAL)
		sqlite3_bind_double(st, column, axis->number[i]);
	else
		sqlite3_bind_int64(st, column, (int64_t)axis->number[i]);
}

static bool put_rows(struct sweep_db *db, const struct plan *plan, const struct record *r,
		     const char *summary)
{
	uint64_t point = plan_point(plan, r->run);
	sqlite3_stmt *st = db->put_run;
	int column = 4;

	sqlite3_bind_int64(st, 1, (int64_t)r->run);
	sqlite3_bind_int64(st, 2, (int64_t)point);
	sqlite3_bind_int64(st, 3, plan_seed(plan, r->run));
	for (size_t a = 0; a < plan->axes; a++)
		bind_axis(st, column++, &plan->axis[a], plan_index(plan, point, a));
	sqlite3_bind_text(st, column++, r->failed ? "failed" : "done", -1, SQLITE_STATIC);
	sqlite3_bind_text(st, column++, r->failed ? r->error : NULL, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, column, summary, -1, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_DONE)
		return false;
	st = db->put_timing;
	sqlite3_bind_int64(st, 1, (int64_t)r->run);
	sqlite3_bind_double(st, 2, (double)r->cpu_ns / 1e9);
	sqlite3_bind_double(st, 3, (double)r->wall_ns / 1e9);
	sqlite3_bind_text(st, 4, r->node, -1, SQLITE_STATIC);
	return sqlite3_step(st) == SQLITE_DONE;
}

int sweep_db_put(struct sweep_db *db, const struct plan *plan, const struct record *record,
		 struct err *err)
{
	int rc = db->put_run ? 0 : prepare_put(db, plan, err);
	char *summary = NULL;

	if (rc)
		return rc;
	if (record->summary && !(summary = json_dumps(record->summary, JSON_COMPACT)))
		return err_run(err, ENOMEM, "no memory for the result of a run");
	rc = run_sql(db, "BEGIN IMMEDIATE", err);
	if (rc == 0) {
		rc = put_rows(db, plan, record, summary) ? 0 : failed(db, err);
		sqlite3_reset(db->put_run);
		sqlite3_reset(db->put_timing);
		if (rc == 0)
			rc = run_sql(db, "COMMIT", err);
		if (rc)
			sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	}
	free(summary);
	return rc;
}

static void read_row(sqlite3_stmt *st, struct record *row)
{
	const char *state = (const char *)sqlite3_column_text(st, 1),
		   *error = (const char *)sqlite3_column_text(st, 2),
		   *summary = (const char *)sqlite3_column_text(st, 3);

	*row = (struct record){.run = (uint64_t)sqlite3_column_int64(st, 0),
			       .failed = !state || strcmp(state, "done") != 0};
	snprintf(row->error, sizeof row->error, "%s", error ? error : "");
	if (summary)
		row->summary = json_loads(summary, 0, NULL);
}

int sweep_db_each(struct sweep_db *db, bool summaries, sweep_row_fn *fn, void *arg, struct err *err)
{
	const char *sql = summaries ? "SELECT run, state, error, summary FROM runs ORDER BY run"
				    : "SELECT run, state, error, NULL FROM runs ORDER BY run";
	sqlite3_stmt *st;
	struct record row;
	int step, rc = 0;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
		return failed(db, err);
	while (rc == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		if (step != SQLITE_ROW) {
			rc = failed(db, err);
			break;
		}
		read_row(st, &row);
		rc = fn(arg, &row, err);
		record_release(&row);
	}
	sqlite3_finalize(st);
	return rc;
}
