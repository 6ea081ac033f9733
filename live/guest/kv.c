/*
 * A key-value store under load: a server that keeps a hash table in its memory,
 * and clients that get and set.
 *
 *   kv [-c CLIENTS] [-m SIZE] [-v BYTES] [-g PERCENT] [-z SKEW] [-s SECONDS] [-r SEED]
 *
 * The server is a process of one thread; it is filled first, with values of BYTES
 * (1000) until they are SIZE (40m) together. Each of CLIENTS (4) sends a request
 * over a UNIX socket of its own and waits for the answer: PERCENT (90) get, the
 * others set a new value. Keys are chosen by Zipf's law (0.99, as YCSB does:
 * Cooper and others 2010); a client has keys of its own, so that it knows what each
 * must hold, and checks it. ops are requests, mb_s values moved.
 */
#include "live/guest/load.h"
#include "live/guest/pattern.h"
#include "live/guest/size.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define VALUE_MAX 32768u

enum what { GET, SET, FILL }; /* FILL: a SET that is not answered */

struct message {
	uint32_t what; /* a reply: 0, or 1 where there is no such key */
	uint32_t size; /* of value */
	uint64_t key;
	uint8_t value[VALUE_MAX];
};

#define HEAD offsetof(struct message, value)

/* The server. */

struct entry {
	struct entry *next;
	uint64_t key;
	uint32_t size;
	uint8_t value[];
};

struct table {
	struct entry **bucket;
	uint64_t buckets; /* a power of two */
};

static struct entry **find(const struct table *t, uint64_t key)
{
	struct entry **at = &t->bucket[random_mix(key) & (t->buckets - 1)];

	while (*at && (*at)->key != key)
		at = &(*at)->next;
	return at;
}

static bool set(struct table *t, const struct message *m)
{
	struct entry **at = find(t, m->key), *e = *at;

	if (!e || e->size != m->size) {
		struct entry *next = e ? e->next : NULL;
		e = realloc(e, sizeof *e + m->size);
		if (!e)
			return false;
		*e = (struct entry){next, m->key, m->size};
		*at = e;
	}
	memcpy(e->value, m->value, m->size);
	return true;
}

/* Answers a request in place. False: the client is gone, or there is no memory. */
static bool answer(struct table *t, int fd, struct message *m)
{
	ssize_t n = recv(fd, m, sizeof *m, 0);

	if (n < (ssize_t)HEAD || (size_t)n != HEAD + m->size)
		return false;
	if (m->what != GET) {
		if (!set(t, m))
			return false;
		if (m->what == FILL)
			return true;
		m->size = 0;
		m->what = 0;
	} else {
		const struct entry *e = *find(t, m->key);
		m->what = !e;
		m->size = e ? e->size : 0;
		if (e)
			memcpy(m->value, e->value, e->size);
	}
	return send(fd, m, HEAD + m->size, MSG_NOSIGNAL) == (ssize_t)(HEAD + m->size);
}

static _Noreturn void serve(const int *socket, unsigned clients, uint64_t keys)
{
	static struct message m;
	struct table t = {.buckets = 1};
	struct epoll_event e;
	int epoll = epoll_create1(0);

	while (t.buckets < keys)
		t.buckets *= 2;
	t.bucket = calloc(t.buckets, sizeof(*t.bucket));
	if (epoll < 0 || !t.bucket)
		_exit(2);
	for (unsigned i = 0; i < clients; i++) {
		e = (struct epoll_event){EPOLLIN, {.fd = socket[i]}};
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket[i], &e))
			_exit(2);
	}
	while (clients) {
		if (epoll_wait(epoll, &e, 1, -1) != 1 || answer(&t, e.data.fd, &m))
			continue;
		close(e.data.fd);
		clients--;
	}
	_exit(0);
}

/* The clients. */

struct kv {
	uint64_t keys; /* of a client */
	uint32_t size;
	uint64_t gets; /* percent */
	double skew;
};

static struct kv kv = {.size = 1000, .gets = 90, .skew = 0.99};

struct own {
	int fd;
	uint32_t *version; /* [keys] */
	struct message m;
};

static uint64_t id_of(const struct load_client *c, uint64_t key)
{
	const struct own *o = c->own;

	return random_mix((uint64_t)c->id << 56 ^ key << 20 ^ o->version[key]);
}

static bool tell(struct own *o, enum what what, const struct load_client *c, uint64_t key)
{
	const uint32_t size = what == GET ? 0 : kv.size;

	o->m.what = what;
	o->m.size = size;
	o->m.key = key << 8 | c->id;
	return send(o->fd, &o->m, HEAD + size, MSG_NOSIGNAL) == (ssize_t)(HEAD + size);
}

/* Sends a request and waits for the answer. */
static bool ask(struct own *o, enum what what, const struct load_client *c, uint64_t key)
{
	if (!tell(o, what, c, key))
		return false;
	ssize_t n = recv(o->fd, &o->m, sizeof o->m, 0);
	if (n == 0)
		errno = ECONNRESET; /* the server has ended: no memory, perhaps */
	return n >= (ssize_t)HEAD;
}

/* A value that the key has not had. */
static void renew(struct load_client *c, uint64_t key)
{
	struct own *o = c->own;

	o->version[key]++;
	pattern_put(id_of(c, key), o->m.value, kv.size);
}

static bool do_set(struct load_client *c, uint64_t key)
{
	renew(c, key);
	if (!ask(c->own, SET, c, key))
		return false;
	load_count(c, 1, kv.size);
	return true;
}

static bool work(struct load_client *c)
{
	struct own *o = c->own;
	const uint64_t key = random_zipf(&c->random, kv.keys, kv.skew);

	if (random_below(&c->random, 100) >= kv.gets)
		return do_set(c, key);
	if (!ask(o, GET, c, key))
		return false;
	if (o->m.what != 0 || o->m.size != kv.size ||
	    !pattern_is(id_of(c, key), o->m.value, kv.size))
		load_bad(c);
	load_count(c, 1, kv.size);
	return true;
}

/* Starts the server; each client has its socket. */
static pid_t start(struct load *l)
{
	int fd[2], server[LOAD_CLIENTS];

	for (unsigned i = 0; i < l->clients; i++) {
		struct own *o = calloc(1, sizeof *o);
		l->client[i].own = o;
		l->client[i].id = i;
		if (!o || !(o->version = calloc(kv.keys, sizeof *o->version)) ||
		    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd))
			return -1;
		o->fd = fd[0];
		server[i] = fd[1];
	}
	pid_t pid = fork();
	for (unsigned i = 0; i < l->clients; i++) {
		const struct own *o = l->client[i].own;
		close(pid == 0 ? o->fd : server[i]);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(server, l->clients, kv.keys * l->clients);
	}
	return pid;
}

static bool fill(struct load *l)
{
	for (unsigned i = 0; i < l->clients; i++) {
		struct load_client *c = &l->client[i];
		struct own *o = c->own;
		uint64_t random = l->seed + i;
		for (uint32_t k = 0; k < kv.size; k++)
			o->m.value[k] = (uint8_t)random_next(&random);
		for (uint64_t key = 0; key < kv.keys; key++) {
			renew(c, key);
			if (!tell(o, FILL, c, key))
				return false;
		}
		if (!ask(o, GET, c, 0)) /* all is there */
			return false;
	}
	return true;
}

static int usage(void)
{
	fprintf(stderr, "usage: kv [-c CLIENTS] [-m SIZE] [-v BYTES] [-g PERCENT] [-z SKEW] "
			"[-s SECONDS] [-r SEED]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct load l = {.name = "kv", .seconds = 60, .seed = 1, .work = work};
	uint64_t clients = 4, size = 40 << 20, value = kv.size;
	bool ok = true;
	int option;

	while (ok && (option = getopt(argc, argv, "c:m:v:g:z:s:r:")) != -1) {
		const char *text = optarg;
		ok = option == 'c'   ? is_count(text, 1, LOAD_CLIENTS, &clients)
		     : option == 'm' ? take_size(&text, "", &size) && size > 0
		     : option == 'v' ? is_count(text, 16, VALUE_MAX, &value) && value % 8 == 0
		     : option == 'g' ? is_count(text, 0, 100, &kv.gets)
		     : option == 'z' ? is_skew(text, &kv.skew)
		     : option == 's' ? is_count(text, 1, 10000000, &l.seconds)
		     : option == 'r' ? is_count(text, 0, UINT32_MAX, &l.seed)
				     : false;
	}
	if (!ok || optind != argc || size < value * clients)
		return usage();
	l.clients = (unsigned)clients;
	kv.size = (uint32_t)value;
	kv.keys = size / (value * clients);
	pid_t server = start(&l);
	if (server < 0 || !fill(&l)) {
		fprintf(stderr, "kv: no server: %s\n", strerror(errno));
		return 2;
	}
	snprintf(l.further, sizeof l.further, "keys=%llu set_mb=%llu",
		 (unsigned long long)kv.keys * clients, (unsigned long long)(size >> 20));
	int rc = load_run(&l);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return rc;
}
