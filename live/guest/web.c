/*
 * A web server under load: static files, served from a folder to clients on the
 * loopback interface.
 *
 *   web [-c CLIENTS] [-m SIZE] [-z SKEW] [-s SECONDS] [-r SEED] [-d] FOLDER
 *
 * First the files are made in FOLDER, until they are SIZE (40m) together, of 1 KiB
 * to 256 KiB, as many of each octave; -d then has the kernel write them out and
 * drop its caches. The server is a process with a thread for each of CLIENTS (4),
 * which open a TCP connection each and keep it, GET one file after the other, with
 * HTTP/1.1, and check what they get. Which file is by Zipf's law (1: what Web
 * requests follow, nearly; Breslau and others 1999). ops are requests, mb_s bodies.
 */
#include "live/guest/load.h"
#include "live/guest/pattern.h"
#include "live/guest/size.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define UNIT	  1024u
#define OCTAVES	  8
#define LARGEST	  (UNIT << OCTAVES)
#define FILES_MAX 1000000u
#define HEAD_MAX  512

struct web {
	const char *folder;
	uint32_t *size; /* [files] bytes */
	uint64_t files;
	double skew;
	struct sockaddr_in server;
};

static struct web web = {.skew = 1};

static void path_of(uint64_t file, char *path, size_t size)
{
	snprintf(path, size, "%s/%llu", web.folder, (unsigned long long)file);
}

/* A connection, with what of it was read ahead. */
struct stream {
	int fd;
	size_t at, n;
	char data[4096];
};

static bool read_more(struct stream *s)
{
	ssize_t got = recv(s->fd, s->data, sizeof s->data, 0);

	s->at = 0;
	s->n = got > 0 ? (size_t)got : 0;
	return got > 0;
}

/* Reads a head up to its empty line. */
static bool read_head(struct stream *s, char head[HEAD_MAX])
{
	size_t n = 0;

	while (n + 1 < HEAD_MAX && (s->at < s->n || read_more(s))) {
		head[n++] = s->data[s->at++];
		head[n] = '\0';
		if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	return false;
}

/* Reads so many bytes that follow a head. */
static bool read_body(struct stream *s, uint8_t *body, size_t size)
{
	size_t ahead = s->n - s->at < size ? s->n - s->at : size;

	memcpy(body, s->data + s->at, ahead);
	s->at += ahead;
	return ahead == size ||
	       recv(s->fd, body + ahead, size - ahead, MSG_WAITALL) == (ssize_t)(size - ahead);
}

/* The server. */

static bool send_all(int fd, const char *text, size_t n)
{
	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool send_file(int fd, int file, off_t size)
{
	char head[HEAD_MAX];
	off_t at = 0;

	int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n",
			 (long long)size);
	if (send(fd, head, (size_t)n, MSG_NOSIGNAL | MSG_MORE) != n)
		return false;
	while (at < size) {
		if (sendfile(fd, file, &at, (size_t)(size - at)) <= 0)
			return false;
	}
	return true;
}

/* A connection, until its client closes it. */
static void *serve_one(void *arg)
{
	static const char none[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
	struct stream s = {.fd = (int)(intptr_t)arg};
	char head[HEAD_MAX], path[400];
	unsigned long long file;
	struct stat st;
	bool ok = true;

	while (ok && read_head(&s, head)) {
		int opened = -1;
		if (sscanf(head, "GET /%llu HTTP/1.1\r\n", &file) == 1) {
			path_of(file, path, sizeof path);
			opened = open(path, O_RDONLY);
		}
		if (opened < 0 || fstat(opened, &st))
			ok = send_all(s.fd, none, sizeof none - 1);
		else
			ok = send_file(s.fd, opened, st.st_size);
		if (opened >= 0)
			close(opened);
	}
	close(s.fd);
	return NULL;
}

static void serve(int listener)
{
	for (int fd = accept(listener, NULL, NULL); fd >= 0; fd = accept(listener, NULL, NULL)) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd))
			break;
		pthread_detach(thread);
	}
	_exit(2);
}

static pid_t start(void)
{
	socklen_t n = sizeof web.server;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	web.server = (struct sockaddr_in){.sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)&web.server, n) || listen(fd, LOAD_CLIENTS) ||
	    getsockname(fd, (struct sockaddr *)&web.server, &n))
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN); /* sendfile() to a client that is gone */
		serve(fd);
	}
	close(fd);
	return pid;
}

/* The clients. */

struct own {
	struct stream stream;
	uint8_t body[LARGEST];
};

static bool connect_client(struct load_client *c)
{
	struct own *o = calloc(1, sizeof *o);
	int on = 1;

	c->own = o;
	if (!o)
		return false;
	o->stream.fd = socket(AF_INET, SOCK_STREAM, 0);
	return o->stream.fd >= 0 &&
	       connect(o->stream.fd, (struct sockaddr *)&web.server, sizeof web.server) == 0 &&
	       setsockopt(o->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

/* The answer's body; *size is what its head says. False: the connection broke. */
static bool read_answer(struct own *o, size_t *size)
{
	char head[HEAD_MAX];
	unsigned long long length = 0;

	if (!read_head(&o->stream, head))
		return false;
	const char *says = strstr(head, "Content-Length: ");
	if (!says || sscanf(says, "Content-Length: %llu", &length) != 1 || length > LARGEST)
		return false;
	*size = (size_t)length;
	return read_body(&o->stream, o->body, *size);
}

static bool work(struct load_client *c)
{
	struct own *o = c->own;
	const uint64_t file = random_zipf(&c->random, web.files, web.skew);
	char head[HEAD_MAX];
	size_t size;

	int n = snprintf(head, sizeof head, "GET /%llu HTTP/1.1\r\nHost: localhost\r\n\r\n",
			 (unsigned long long)file);
	if (!send_all(o->stream.fd, head, (size_t)n) || !read_answer(o, &size)) {
		errno = errno ? errno : ECONNRESET;
		return false;
	}
	if (size != web.size[file] || !pattern_is(random_mix(file), o->body, size))
		load_bad(c);
	load_count(c, 1, size);
	return true;
}

/* Files of `bytes` together. */
static bool make_files(uint64_t bytes, uint64_t *random)
{
	static uint8_t data[LARGEST];
	char path[400];

	web.size = calloc(bytes / UNIT, sizeof *web.size);
	for (uint32_t i = 0; i < LARGEST; i++)
		data[i] = (uint8_t)random_next(random);
	while (web.size && bytes && web.files < FILES_MAX) {
		uint64_t octave = UNIT << random_below(random, OCTAVES);
		uint64_t size = octave + random_below(random, octave / 8) * 8;
		size = size + UNIT < bytes ? size : bytes < LARGEST ? bytes : size;
		pattern_put(random_mix(web.files), data, size);
		path_of(web.files, path, sizeof path);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		bool ok = fd >= 0 && write(fd, data, size) == (ssize_t)size;
		if (fd >= 0)
			close(fd);
		if (!ok)
			return false;
		web.size[web.files++] = (uint32_t)size;
		bytes -= size;
	}
	return web.size != NULL;
}

static bool prepare(struct load *l, uint64_t bytes, bool drop)
{
	uint64_t random = random_mix(l->seed ^ UINT64_C(0x776562));

	if (!make_files(bytes, &random))
		return false;
	if (drop)
		load_drop_caches();
	if (start() < 0)
		return false;
	for (unsigned i = 0; i < l->clients; i++) {
		if (!connect_client(&l->client[i]))
			return false;
	}
	return true;
}

static int usage(void)
{
	fprintf(stderr, "usage: web [-c CLIENTS] [-m SIZE] [-z SKEW] [-s SECONDS] [-r SEED] [-d] "
			"FOLDER\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct load l = {.name = "web", .seconds = 60, .seed = 1, .work = work};
	uint64_t clients = 4, size = 40 << 20;
	bool ok = true, drop = false;
	int option;

	while (ok && (option = getopt(argc, argv, "c:m:z:s:r:d")) != -1) {
		const char *text = optarg;
		ok = option == 'c'   ? is_count(text, 1, LOAD_CLIENTS, &clients)
		     : option == 'm' ? take_size(&text, "", &size) && size > 0
		     : option == 'z' ? is_skew(text, &web.skew)
		     : option == 's' ? is_count(text, 1, 10000000, &l.seconds)
		     : option == 'r' ? is_count(text, 0, UINT32_MAX, &l.seed)
				     : option == 'd';
		drop |= option == 'd';
	}
	if (!ok || optind + 1 != argc || strlen(argv[optind]) > 300)
		return usage();
	l.clients = (unsigned)clients;
	web.folder = argv[optind];
	if (!prepare(&l, size, drop)) {
		fprintf(stderr, "web: no files or no server in %s: %s\n", web.folder,
			strerror(errno));
		return 2;
	}
	snprintf(l.further, sizeof l.further, "files=%llu set_mb=%llu",
		 (unsigned long long)web.files, (unsigned long long)(size >> 20));
	return load_run(&l);
}
