/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a program or library was built for. Source: elf(5).
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "broker/cli/doctor/doctor.h"

#define PROGRAM_HEADERS_MAX 64

static bool has_interpreter(int fd, const Elf64_Ehdr *header)
{
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > PROGRAM_HEADERS_MAX)
		return false;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr program;
		off_t at = (off_t)(header->e_phoff + i * sizeof(program));

		if (pread(fd, &program, sizeof(program), at) != (ssize_t)sizeof(program))
			return false;
		if (program.p_type == PT_INTERP)
			return true;
	}
	return false;
}

int rh_elf_read(const char *path, struct rh_elf *ret_elf)
{
	_cleanup_(rh_closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	Elf64_Ehdr header;

	if (fd < 0)
		return rh_origin(-errno);

	ssize_t n = pread(fd, &header, sizeof(header), 0);

	/* A 32-bit header is shorter, but a file that is only a header is no program. */
	if (n != (ssize_t)sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return rh_origin(-ENOEXEC);
	*ret_elf = (struct rh_elf){
		.class = header.e_ident[EI_CLASS],
		.machine = header.e_machine,
		.interpreter =
			header.e_ident[EI_CLASS] == ELFCLASS64 && has_interpreter(fd, &header),
	};
	return 0;
}
