/* SPDX-License-Identifier: MIT */
/* What git prints of a repository that may be anybody's, and the text of its migrations. The first byte says which of
 * them the rest is. Every version that came of it must get a commit, and every walk must be in order. */
#include "migrations/history.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char spec_text[] =
	"[{\"paths\": [\"m\"], \"name\": [\"/([0-9]+)_[^/]*$\"], \"order\": \"number\"},"
	" {\"paths\": [\"n\"], \"name\": [\"/([^/]+)\\\\.sql$\"], \"skip\": \"down\", \"order\": \"natural\"},"
	" {\"paths\": [\"v\"], \"order\": \"alembic\"},"
	" {\"paths\": [\":(glob)**/migrations/*.py\"], \"name\": [\"([^/]+)/migrations/([^/]+)[.]py$\"],"
	"  \"version\": \"\\\\1.\\\\2\", \"order\": \"django\"}]";

static void count_file(void *ctx, const char *path, const char *blob)
{
	if (!*path || !*blob)
		abort();
	++*(size_t *)ctx;
}

static void ask(const struct history *h)
{
	size_t n = history_n(h), files = 0;
	size_t *line = xcalloc(n + 1, sizeof(*line));
	struct history_pick *picks = xcalloc(n + 1, sizeof(*picks));
	for (size_t first = 0; first <= n && first < 8; first++) {
		size_t m = history_line(h, first < n ? first : HISTORY_NONE, line);
		if (m > n)
			abort();
		for (size_t i = 1; i < m; i++)
			if (line[i - 1] >= line[i])
				abort();
		history_picks(h, line, m, picks);
		for (size_t i = 0; i < m; i++)
			if (!picks[i].commit || strcmp(picks[i].version, history_name(h, line[i])) != 0)
				abort();
	}
	for (size_t i = 0; i < n && i < 64; i++) {
		history_pick(h, i, NULL, 0, &picks[i]);
		history_files(h, &picks[i], count_file, &files);
		(void)history_find(h, history_name(h, i));
	}
	free(line);
	free(picks);
}

static void scan(enum history_order order, const uint8_t *data, size_t size)
{
	struct history_node node;
	history_scan(order, (const char *)data, size, &node);
	if (strlen(node.version) > HISTORY_VERSION_MAX || strpbrk(node.version, " \n\t"))
		abort();
	history_node_finish(&node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct history_map *map;
	struct err err = ERR_INIT;
	if (!map) {
		json_t *spec = json_loads(spec_text, 0, NULL);
		map = history_map_new(spec, &err);
		json_decref(spec);
	}
	if (!map)
		abort();
	if (size < 1)
		return 0;
	if (data[0] % 4 == 0) {
		scan(HISTORY_ALEMBIC, data + 1, size - 1);
		scan(HISTORY_DJANGO, data + 1, size - 1);
		return 0;
	}
	/* A log, and behind the first byte 3 what is said of its blobs. */
	const uint8_t *split = data[0] % 2 ? memchr(data, 3, size) : NULL;
	size_t len = split ? (size_t)(split - data) - 1 : size - 1;
	CLEANUP(history_freep)
	struct history *h = history_parse_log(map, "tip", (const char *)data + 1, len, &err);
	if (!h)
		return 0;
	if (split && history_parse_contents(h, (const char *)split + 1, size - len - 2, &err) < 0)
		return 0;
	if (history_order(h, &err) == 0)
		ask(h);
	return 0;
}
