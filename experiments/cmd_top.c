/* ballast top: the live host's guests as they are, like esxtop's memory screen. */
#include "experiments/cmds.h"
#include "experiments/livehost.h"
#include "live/control.h"

#include "core/opt.h"
#include "core/os.h"

#include <limits.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELAY_LEAST UINT64_C(100000000) /* ns */
#define DELAY_MOST  UINT64_C(3600000000000)

#define MIB ((double)(1 << 20) / PAGE_SIZE)

struct top_args {
	const char *socket;
	char buf[PATH_MAX];
	bool once, json;
	uint64_t delay; /* ns */
	char sort;
};

static error_t parse_top(int key, char *arg, struct argp_state *state)
{
	struct top_args *a = state->input;
	struct err err;

	switch (key) {
	case 'S':
		a->socket = arg;
		return 0;
	case '1':
		a->once = true;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case 'd':
		if (parse_time(arg, &a->delay, &err) || a->delay < DELAY_LEAST ||
		    a->delay > DELAY_MOST)
			return cmd_usage(state, "--delay %.20s: give 100ms to 1h", arg);
		return 0;
	case ARGP_KEY_ARG:
		return cmd_usage(state, "'%.40s' is one argument too many", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option top_options[] = {
	CMD_SOCKET_OPTION,
	{"once", '1', NULL, 0, "Print one screen and end", 0},
	{"json", 'j', NULL, 0, "With --once: as one JSON object", 0},
	{"delay", 'd', "TIME", 0, "Between screens, over which rates are taken (1s)", 0},
	{0},
};

static const struct argp top_argp = {
	top_options,
	parse_top,
	NULL,
	"Watches the guests of the live host: what each has, and its faults per second."
	"\v"
	"Keys: n by name, m by memory in frames, f by faults, w by swapped memory, b by balloons; "
	"q ends.\n\n"
	"Example, for a script:\n"
	"  ballast top --once --json",
	NULL,
	NULL,
	NULL,
};

/* A guest on the screen; sizes in MiB, rates per second. */
struct row {
	const char *name, *state; /* of the status that it is from */
	double size, single, shared, zero, swapped, balloon, wanted, active;
	double faults, ins, outs;
};

struct screen_rows {
	struct row *row; /* [n] */
	size_t n;
};

static double number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static const json_t *same_guest(const json_t *status, const json_t *vm)
{
	size_t i;
	json_t *old;

	json_array_foreach(json_object_get(status, "vms"), i, old)
	{
		if (json_equal(json_object_get(old, "name"), json_object_get(vm, "name")) &&
		    json_equal(json_object_get(old, "pid"), json_object_get(vm, "pid")))
			return old;
	}
	return NULL;
}

/* 0 for a guest that is new, and after the manager was killed: it counts from 0 again. */
static double rate(const json_t *now, const json_t *then, const char *name, double seconds)
{
	double grown = then ? number(now, name) - number(then, name) : 0;

	return grown > 0 && seconds > 0 ? grown / seconds : 0;
}

static struct row row_of(const json_t *vm, const json_t *old, double seconds)
{
	return (struct row){
		.name = json_string_value(json_object_get(vm, "name")),
		.state = json_string_value(json_object_get(vm, "state")),
		.size = number(vm, "pages") / MIB,
		.single = number(vm, "private") / MIB,
		.shared = number(vm, "shared") / MIB,
		.zero = number(vm, "share_zero") / MIB,
		.swapped = number(vm, "swapped") / MIB,
		.balloon = number(vm, "balloon") / MIB,
		.wanted = number(vm, "balloon_target") / MIB,
		.active = number(vm, "active") / MIB,
		.faults = rate(vm, old, "live_events", seconds),
		.ins = rate(vm, old, "swap_ins", seconds),
		.outs = rate(vm, old, "swap_outs", seconds),
	};
}

static int rows_of(const json_t *now, const json_t *then, double seconds, struct screen_rows *rows)
{
	const json_t *vms = json_object_get(now, "vms");

	rows->n = json_array_size(vms);
	rows->row = calloc(rows->n ? rows->n : 1, sizeof *rows->row);
	if (!rows->row)
		return -1;
	for (size_t i = 0; i < rows->n; i++) {
		const json_t *vm = json_array_get(vms, i);
		rows->row[i] = row_of(vm, same_guest(then, vm), seconds);
	}
	return 0;
}

static char sort_key; /* for qsort() alone */

static int by_key(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	double dx = 0, dy = 0;

	switch (sort_key) {
	case 'm':
		dx = x->single + x->shared;
		dy = y->single + y->shared;
		break;
	case 'f':
		dx = x->faults;
		dy = y->faults;
		break;
	case 'w':
		dx = x->swapped;
		dy = y->swapped;
		break;
	case 'b':
		dx = x->balloon;
		dy = y->balloon;
		break;
	default:
		break;
	}
	return dx != dy ? (dx < dy) - (dx > dy) : strcmp(x->name, y->name);
}

/* One line of text each; the caller says where they go. */

static void host_lines(const json_t *now, char *line, size_t size)
{
	const json_t *host = json_object_get(now, "host");
	const json_t *vms = json_object_get(now, "vms");
	double frames = number(host, "frames"), guests = 0;

	for (size_t i = 0; i < json_array_size(vms); i++)
		guests += number(json_array_get(vms, i), "pages");
	snprintf(line, size,
		 "%.1f MiB, %s: %.1f free, %.1f single, %.1f shared frames, sharing saves %.1f, "
		 "%.1f "
		 "of tables; %zu guests of %.1f MiB, overcommitted %.2f times",
		 frames / MIB, json_string_value(json_object_get(now, "state")),
		 number(host, "free") / MIB, number(host, "private") / MIB,
		 number(host, "shared") / MIB, number(host, "share_saved") / MIB,
		 number(host, "metadata_bytes") / (1 << 20), json_array_size(vms), guests / MIB,
		 frames > 0 ? guests / frames : 0);
}

#define HEADING                                                                                    \
	"vm                 MiB  single  shared    zero swapped balloon  wanted  active  "         \
	"faults/s    ins/s   outs/s  "                                                             \
	"state"

static void row_line(const struct row *r, char *line, size_t size)
{
	snprintf(line, size,
		 "%-16.16s %6.1f %7.1f %7.1f %7.1f %7.1f %7.1f %7.1f %7.1f %9.0f %8.0f %8.0f  %s",
		 r->name, r->size, r->single, r->shared, r->zero, r->swapped, r->balloon, r->wanted,
		 r->active, r->faults, r->ins, r->outs, r->state);
}

static void print_screen(const json_t *now, const struct screen_rows *rows)
{
	char line[400];

	host_lines(now, line, sizeof line);
	printf("%s\n%s\n", line, HEADING);
	for (size_t i = 0; i < rows->n; i++) {
		row_line(&rows->row[i], line, sizeof line);
		puts(line);
	}
}

static json_t *row_json(const struct row *r)
{
	return json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
			 "name", r->name, "state", r->state, "mib", r->size, "private_mib",
			 r->single, "shared_mib", r->shared, "zero_mib", r->zero, "swapped_mib",
			 r->swapped, "balloon_mib", r->balloon, "balloon_target_mib", r->wanted,
			 "active_mib", r->active, "faults_per_s", r->faults, "swap_ins_per_s",
			 r->ins, "swap_outs_per_s", r->outs);
}

static int print_json(const json_t *now, const struct screen_rows *rows)
{
	json_t *vms = json_array();

	for (size_t i = 0; i < rows->n; i++)
		json_array_append_new(vms, row_json(&rows->row[i]));
	json_t *all = json_pack("{s:O, s:O, s:o}", "state", json_object_get(now, "state"), "host",
				json_object_get(now, "host"), "vms", vms);
	int rc = json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));

	json_decref(all);
	putchar('\n');
	return rc;
}

static void draw_screen(const json_t *now, const struct screen_rows *rows)
{
	char line[400];

	erase();
	host_lines(now, line, sizeof line);
	mvaddnstr(0, 0, line, COLS);
	attron(A_REVERSE);
	mvaddnstr(2, 0, HEADING, COLS);
	attroff(A_REVERSE);
	for (size_t i = 0; i < rows->n && 3 + (int)i < LINES; i++) {
		row_line(&rows->row[i], line, sizeof line);
		mvaddnstr(3 + (int)i, 0, line, COLS);
	}
	refresh();
}

static int ask(const struct top_args *a, json_t **now, struct err *err)
{
	json_t *request = json_pack("{s:s}", "do", "status");
	int rc = control_ask(a->socket, request, now, err);

	json_decref(request);
	return rc;
}

/* One screen: what is now, with rates since then. */
static int show(const struct top_args *a, const json_t *now, const json_t *then, double seconds)
{
	struct screen_rows rows;
	int rc = 0;

	if (rows_of(now, then, seconds, &rows))
		return -1;
	sort_key = a->sort;
	qsort(rows.row, rows.n, sizeof *rows.row, by_key);
	if (!a->once)
		draw_screen(now, &rows);
	else if (a->json)
		rc = print_json(now, &rows);
	else
		print_screen(now, &rows);
	free(rows.row);
	return rc;
}

/* Until q, or the host's end. */
static int watch(struct top_args *a, struct err *err)
{
	json_t *then = NULL, *now = NULL;
	uint64_t before = os_mono_ns();
	int rc = 0, key = 0;

	while (rc == 0 && key != 'q') {
		rc = ask(a, &now, err);
		if (rc)
			break;
		uint64_t at = os_mono_ns();
		rc = show(a, now, then, then ? (double)(at - before) / 1e9 : 0);
		json_decref(then);
		then = now;
		before = at;
		timeout((int)(a->delay / 1000000));
		key = getch();
		if (key == 'n' || key == 'm' || key == 'f' || key == 'w' || key == 'b')
			a->sort = (char)key;
	}
	json_decref(then);
	return rc;
}

static int watch_on_terminal(struct top_args *a, struct err *err)
{
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return err_input(err, "ballast top needs a terminal; give --once for one screen");
	initscr();
	cbreak();
	noecho();
	curs_set(0);
	int rc = watch(a, err);
	endwin();
	return rc;
}

static int print_once(const struct top_args *a, struct err *err)
{
	json_t *then = NULL, *now = NULL;
	int rc = ask(a, &then, err);

	if (rc)
		return rc;
	usleep((useconds_t)(a->delay / 1000));
	rc = ask(a, &now, err);
	if (rc == 0 && show(a, now, then, (double)a->delay / 1e9))
		rc = err_run(err, 0, "cannot write the screen");
	json_decref(then);
	json_decref(now);
	return rc;
}

int cmd_top(int argc, char **argv)
{
	struct top_args args = {.delay = 1000000000, .sort = 'n'};
	struct err err = {0};

	args.socket = livehost_socket(args.buf, sizeof args.buf);
	int rc = cmd_parse(&top_argp, argc, argv, &args);
	if (rc)
		return rc;
	if (args.json && !args.once)
		rc = err_input(&err, "ballast top: --json is for --once");
	else
		rc = args.once ? print_once(&args, &err) : watch_on_terminal(&args, &err);
	return rc ? cmd_fail(&err) : 0;
}
