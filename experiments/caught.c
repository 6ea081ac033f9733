#include "experiments/caught.h"

#include <stddef.h>

static const int deadly[CAUGHT_SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static volatile sig_atomic_t caught; /* for the handler: it has nothing else */

static void on_signal(int sig)
{
	caught = sig;
}

void caught_begin(struct caught *c)
{
	const struct sigaction act = {.sa_handler = on_signal};

	caught = 0;
	for (size_t i = 0; i < CAUGHT_SIGNALS; i++) {
		sigaction(deadly[i], NULL, &c->old[i]);
		if (c->old[i].sa_handler != SIG_IGN)
			sigaction(deadly[i], &act, NULL);
	}
}

int caught_signal(void)
{
	return caught;
}

int caught_take(void)
{
	return __atomic_exchange_n(&caught, 0, __ATOMIC_RELAXED);
}

void caught_child(void)
{
	struct sigaction old;

	for (size_t i = 0; i < CAUGHT_SIGNALS; i++) {
		sigaction(deadly[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			signal(deadly[i], SIG_DFL);
	}
}

void caught_end(const struct caught *c)
{
	for (size_t i = 0; i < CAUGHT_SIGNALS; i++)
		sigaction(deadly[i], &c->old[i], NULL);
	if (caught)
		raise(caught);
}
