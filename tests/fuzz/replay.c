/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs a fuzz target over the files of the given directories: how seeds are replayed in every
 * build.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return 0;
	}

	uint8_t *data = malloc((size_t)st.st_size + 1);
	ssize_t n = data ? read(fd, data, (size_t)st.st_size) : -1;

	if (n == st.st_size)
		(void)LLVMFuzzerTestOneInput(data, (size_t)n);
	free(data);
	(void)close(fd);
	return n == st.st_size;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		for (struct dirent *e; dir && (e = readdir(dir));)
			n += replay(dirfd(dir), e->d_name);
		if (dir)
			(void)closedir(dir);
	}
	(void)printf("%d seeds\n", n);
	return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
