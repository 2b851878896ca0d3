/* SPDX-License-Identifier: MIT */
/* OS_* of the environment: as they are, or as they were when they were taken out of it. */
#include "cloud/clouds_int.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

/* "NAME=value", kept until the end of the process; written once, before any thread. */
static struct {
	char **vars;
	size_t n;
} taken;

/* Of other tools, as openstacksdk leaves them out. */
static bool is_ours(const char *var)
{
	return text_starts(var, "OS_") && !text_starts(var, "OS_TEST") && !text_starts(var, "OS_STD") &&
	       !text_starts(var, "OS_LOG") && strchr(var, '=') != NULL;
}

void clouds_take_environment(void)
{
	size_t first = taken.n;
	for (char **var = environ; var != NULL && *var != NULL; var++) {
		if (!is_ours(*var))
			continue;
		taken.vars = xrealloc(taken.vars, taken.n + 1, sizeof *taken.vars);
		taken.vars[taken.n++] = xstrdup(*var);
		/* unsetenv() only forgets it; /proc/PID/environ would go on showing it. */
		char *value = strchr(*var, '=') + 1;
		explicit_bzero(value, strlen(value));
	}
	for (size_t i = first; i < taken.n; i++) {
		AUTO_FREE char *name = xstrndup(taken.vars[i], strcspn(taken.vars[i], "="));
		unsetenv(name); // NOLINT(concurrency-mt-unsafe): before any thread
	}
}

const char *clouds_env(const char *name)
{
	size_t len = strlen(name);
	const char *value = NULL;
	for (size_t i = 0; i < taken.n && value == NULL; i++)
		if (strncmp(taken.vars[i], name, len) == 0 && taken.vars[i][len] == '=')
			value = taken.vars[i] + len + 1;
	if (value == NULL)
		value = getenv(name); // NOLINT(concurrency-mt-unsafe): nobody calls setenv
	return value != NULL && *value != '\0' ? value : NULL;
}

/* These choose among clouds; alone they make none. */
static bool is_selector(const char *var)
{
	static const char *const selectors[] = {
		"OS_CLOUD=", "OS_REGION_NAME=", "OS_CLIENT_CONFIG_FILE=", "OS_CLIENT_SECURE_FILE=", "OS_CLOUD_NAME="};
	for (size_t i = 0; i < ARRAY_SIZE(selectors); i++)
		if (text_starts(var, selectors[i]))
			return true;
	return false;
}

/* "OS_AUTH_URL=x" becomes {"auth_url": "x"}. */
static void add_var(json_t *entry, const char *var)
{
	if (is_selector(var) && !text_starts(var, "OS_REGION_NAME="))
		return;
	const char *value = strchr(var, '=') + 1;
	AUTO_FREE char *name = xstrndup(var, (size_t)(value - 1 - var));
	AUTO_FREE char *key = xstrdup(name + strlen("OS_"));
	for (char *p = key; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	if (*value != '\0' && json_object_set_new(entry, key, json_string(value)) != 0)
		log_warn(NULL, "%s: not UTF-8; left out", name);
}

json_t *clouds_env_entry(void)
{
	json_t *entry = json_object();
	bool any = false;
	for (size_t i = 0; i < taken.n; i++) {
		any = any || !is_selector(taken.vars[i]);
		add_var(entry, taken.vars[i]);
	}
	for (char **var = environ; var != NULL && *var != NULL; var++) {
		if (!is_ours(*var))
			continue;
		any = any || !is_selector(*var);
		add_var(entry, *var);
	}
	if (any)
		return entry;
	json_decref(entry);
	return NULL;
}
