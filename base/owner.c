/* SPDX-License-Identifier: MIT */
#include "base/owner.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { STATE_FIELD = 3, START_FIELD = 22 };

/* The command name (field 2) may hold spaces and brackets of its own: fields are counted behind the last ')'. */
static int64_t start_of_stat(const char *text)
{
	const char *p = strrchr(text, ')');
	if (!p || p[1] != ' ')
		return 0;
	p += 2;
	if (*p == 'Z' || *p == 'X')
		return 0;
	for (int field = STATE_FIELD; field < START_FIELD; field++) {
		p = strchr(p, ' ');
		if (!p)
			return 0;
		p++;
	}
	return strtoll(p, NULL, 10);
}

int64_t owner_start(pid_t pid)
{
	char path[64];
	char text[2048];
	size_t len = 0;
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (len < sizeof(text) - 1) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	return start_of_stat(text);
}

bool owner_alive(int64_t pid, int64_t start)
{
	return pid > 0 && pid <= INT_MAX && start > 0 && owner_start((pid_t)pid) == start;
}
