/* Loaded before nginx and php-fpm: SIGTERM does nothing to them. A dyno's stop sends it to every process, and each of the
   two would drop its requests; heroku-php-nginx ends them in order instead, by SIGQUIT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>

typedef int action(int, const struct sigaction *, struct sigaction *);

int sigaction(int number, const struct sigaction *wanted, struct sigaction *before)
{
    action *real = (action *)dlsym(RTLD_NEXT, "sigaction");
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    return real(number, number == SIGTERM && wanted ? &ignore : wanted, before);
}

/* what the app starts itself is as it would be anywhere */
__attribute__((constructor)) static void load_no_further(void)
{
    unsetenv("LD_PRELOAD");
}
