/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for tests: in a Runner.Worker every execve becomes that of record-exec, which notes
 * what the process was given and then becomes it.
 */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*execve_fn)(const char *path, char *const argv[], char *const envp[]);

static execve_fn original;
static bool armed;

__attribute__((constructor)) static void set_up(void)
{
	char path[4096] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *slash = n > 0 ? strrchr(path, '/') : NULL;
	void *symbol = dlsym(RTLD_NEXT, "execve");

	memcpy(&original, &symbol, sizeof(original));
	armed = slash && strcmp(slash, "/Runner.Worker") == 0;
	if (armed)
		(void)unsetenv("LD_PRELOAD");
}

__attribute__((visibility("default"))) int execve(
	const char *path, char *const argv[], char *const envp[])
{
	return original(armed ? RH_TEST_RECORD_EXEC : path, argv, envp);
}
