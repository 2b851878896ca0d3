/* SPDX-License-Identifier: MIT */
/* What a checkout uses, and the recipe's first lines for it. */
#include <fnmatch.h>
#include <glob.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"
#include "migrations/adapter.h"

#define DEFAULT_RANK 50
/* Text is looked for in so many files of one pattern, and in files of that size. */
#define MAX_FILES      100
#define MAX_FILE_BYTES ((size_t)256 << 10)

static void json_freep(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

struct found {
	int64_t rank;
	size_t ordinary; /* characters of the pattern that are no wildcards */
	char tool[ADAPTER_NAME_SIZE];
	char why[ADAPTER_FOUND_SIZE];
};

static size_t ordinary_chars(const char *pattern)
{
	size_t n = 0;
	for (; *pattern; pattern++)
		n += !strchr("*?[]", *pattern);
	return n;
}

/* The checkout's own path is no pattern. */
static char *glob_quoted(const char *checkout, const char *pattern)
{
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	for (const char *s = checkout; *s; s++) {
		if (strchr("*?[]\\", *s))
			buf_addc(&out, '\\');
		buf_addc(&out, *s);
	}
	buf_addf(&out, "/%s", pattern);
	return buf_take(&out);
}

static bool file_has(const char *path, const regex_t *re)
{
	struct err unused = ERR_INIT; /* what cannot be read says nothing */
	AUTO_BUF text = buf_make(MAX_FILE_BYTES + 1);
	return fs_read(path, MAX_FILE_BYTES, &text, &unused) == 0 && regexec(re, text.data, 0, NULL, 0) == 0;
}

/* The first file of the pattern (in which a line matches text, unless that is NULL), relative to the checkout, into
 * why. */
static bool match(const char *checkout, const char *pattern, const char *text, char why[ADAPTER_FOUND_SIZE])
{
	glob_t g = {0};
	regex_t re;
	size_t i = 0;
	AUTO_FREE char *full = glob_quoted(checkout, pattern);
	if (text && regcomp(&re, text, REG_EXTENDED | REG_NOSUB | REG_NEWLINE) != 0)
		return false;
	size_t n = glob(full, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
	while (text && i < n && i < MAX_FILES && !file_has(g.gl_pathv[i], &re))
		i++;
	bool found = i < n && i < MAX_FILES;
	if (found)
		snprintf(why, ADAPTER_FOUND_SIZE, "%s", g.gl_pathv[i] + strlen(checkout) + 1);
	globfree(&g);
	if (text)
		regfree(&re);
	return found;
}

static const char *of_sign(const json_t *sign, const char *key)
{
	return json_string_value(json_object_get(sign, key));
}

/* The pattern of one entry of `detect`: a text, or the `file` of a mapping. */
static const char *pattern_of(const json_t *sign)
{
	return json_is_object(sign) ? of_sign(sign, "file") : json_string_value(sign);
}

static void try_sign(const char *checkout, const char *tool, int64_t rank, const json_t *sign, struct found *best)
{
	char why[ADAPTER_FOUND_SIZE], unused[ADAPTER_FOUND_SIZE];
	const char *beside = of_sign(sign, "beside");
	size_t ordinary = ordinary_chars(pattern_of(sign));
	if (*best->tool && (rank > best->rank || (rank == best->rank && ordinary <= best->ordinary)))
		return;
	if (beside && !match(checkout, beside, of_sign(sign, "beside_text"), unused))
		return;
	if (!match(checkout, pattern_of(sign), of_sign(sign, "text"), why))
		return;
	best->rank = rank;
	best->ordinary = ordinary;
	snprintf(best->tool, sizeof(best->tool), "%s", tool);
	snprintf(best->why, sizeof(best->why), "%s", why);
}

static int64_t rank_of(const struct adapter *a)
{
	const char *text = adapter_get(a, "rank");
	int64_t rank = DEFAULT_RANK;
	struct err unused = ERR_INIT; /* checked when it was loaded */
	if (text && text_parse_int("rank", text, 0, ADAPTER_MAX_RANK, &rank, &unused) < 0)
		return DEFAULT_RANK;
	return rank;
}

static int try_tool(const char *checkout, const char *name, struct found *best, struct err *err)
{
	CLEANUP(adapter_freep) struct adapter *a = adapter_load_tool(name, err);
	const json_t *sign;
	size_t i;
	if (!a)
		return -1;
	json_array_foreach (json_object_get(adapter_json(a), "detect"), i, sign) {
		try_sign(checkout, name, rank_of(a), sign, best);
	}
	return 0;
}

int adapter_detect(const char *checkout, char tool[ADAPTER_NAME_SIZE], char why[ADAPTER_FOUND_SIZE], struct err *err)
{
	CLEANUP(json_freep) json_t *names = adapter_names(false);
	struct found best = {0};
	const json_t *name;
	size_t i;
	json_array_foreach (names, i, name) {
		if (try_tool(checkout, json_string_value(name), &best, err) < 0)
			return -1;
	}
	if (!*best.tool)
		return 0;
	snprintf(tool, ADAPTER_NAME_SIZE, "%s", best.tool);
	snprintf(why, ADAPTER_FOUND_SIZE, "%s", best.why);
	return 1;
}

/* ---- the starter ---- */

/* Length of found up to the `n`th slash, that slash not counted; 0 for n = 0. */
static size_t components(const char *found, size_t n)
{
	size_t len = 0;
	while (n-- > 0) {
		size_t part = strcspn(found + len + (len > 0), "/");
		len += part + (len > 0);
	}
	return len;
}

/* The entry of `detect` that found matches, or NULL. */
static const json_t *sign_of(const struct adapter *tool, const char *found)
{
	const json_t *v;
	size_t i;
	json_array_foreach (json_object_get(adapter_json(tool), "detect"), i, v) {
		if (fnmatch(pattern_of(v), found, FNM_PATHNAME) == 0)
			return v;
	}
	return NULL;
}

/* Length of found up to the first wildcard of its pattern, whole components, the last slash not counted. */
static size_t root_length(const struct adapter *tool, const char *found)
{
	const json_t *sign = sign_of(tool, found);
	const char *pattern = sign ? pattern_of(sign) : "";
	size_t n = 0;
	for (size_t wild = strcspn(pattern, "*?["); wild > 0; wild--)
		n += pattern[wild - 1] == '/';
	return components(found, n);
}

/* Length of found's directory, or of one so many above it as the entry's `up` says. */
static size_t dir_length(const struct adapter *tool, const char *found)
{
	const json_t *sign = sign_of(tool, found);
	const char *text = sign ? of_sign(sign, "up") : NULL;
	int64_t up = 0;
	struct err unused = ERR_INIT; /* checked when it was loaded */
	size_t len = strlen(found);
	if (text && text_parse_int("up", text, 0, ADAPTER_MAX_UP, &up, &unused) < 0)
		up = 0;
	for (up++; up > 0 && len > 0; up--)
		while (len > 0 && found[--len] != '/')
			;
	return len;
}

/* The default of the option whose "name: " ends at the end of out. */
static const char *default_before(const struct adapter *tool, const struct buf *out)
{
	size_t end = out->len, start;
	while (end > 0 && (out->data[end - 1] == ' ' || out->data[end - 1] == ':'))
		end--;
	for (start = end; start > 0 && strchr("abcdefghijklmnopqrstuvwxyz0123456789_", out->data[start - 1]);)
		start--;
	AUTO_FREE char *name = xstrndup(out->data + start, end - start);
	const char *text = json_string_value(json_object_get(json_object_get(adapter_json(tool), "options"), name));
	return text ? text : ".";
}

/* FOUND_FILE, FOUND_DIR or FOUND_ROOT. */
static void add_found(const struct adapter *tool, const char *found, const char *word, struct buf *out)
{
	if (!found) {
		buf_adds(out, default_before(tool, out));
		return;
	}
	size_t len = strcmp(word, "FOUND_FILE") == 0   ? strlen(found)
		     : strcmp(word, "FOUND_ROOT") == 0 ? root_length(tool, found)
						       : dir_length(tool, found);
	if (len == 0)
		buf_addc(out, '.');
	else
		buf_add(out, found, len);
}

void adapter_starter(const struct adapter *tool, const char *found, struct buf *out)
{
	static const char *const words[] = {"FOUND_DIR", "FOUND_ROOT", "FOUND_FILE"};
	const char *s = adapter_get(tool, "starter");
	while (s && *s) {
		const char *word = NULL;
		for (size_t i = 0; !word && i < ARRAY_SIZE(words); i++)
			if (text_starts(s, words[i]))
				word = words[i];
		if (word) {
			add_found(tool, found, word, out);
			s += strlen(word);
		} else {
			buf_addc(out, *s++);
		}
	}
}
