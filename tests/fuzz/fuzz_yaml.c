/* SPDX-License-Identifier: MIT */
/* A file of a stranger through yaml_parse(): no crash, no leak, nothing unbounded; and what comes out keeps the
 * promises of base/yaml.h. */
#include "base/yaml.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 forgets a text buffer of its scanner after some errors ("''…'':" as a key); ours are all tracked. */
const char *__lsan_default_suppressions(void); // NOLINT(bugprone-reserved-identifier): the sanitizer's own name
const char *__lsan_default_suppressions(void)  // NOLINT(bugprone-reserved-identifier)
{
	return "leak:libfyaml.so\n";
}

static size_t check(const json_t *value, int depth)
{
	size_t n = 1, i;
	const char *key;
	json_t *child;
	assert(depth <= YAML_MAX_DEPTH);
	assert(json_is_null(value) || json_is_string(value) || json_is_array(value) || json_is_object(value));
	if (json_is_string(value))
		assert(strlen(json_string_value(value)) == json_string_length(value));
	json_array_foreach (value, i, child)
		n += check(child, depth + 1);
	json_object_foreach ((json_t *)(uintptr_t)value, key, child)
		n += check(child, depth + 1);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct yaml y;
	struct err err = ERR_INIT;
	if (yaml_parse(&y, "f", (const char *)data, size, &err) != 0) {
		assert(err.reach == ERR_USER && strncmp(err.msg, "f:", 2) == 0);
		return 0;
	}
	assert(check(y.root, 0) <= YAML_MAX_NODES);
	assert(json_object_get(y.marks, "") != NULL);
	(void)!yaml_err(&y, "/a/b/c", &err, "x");
	yaml_finish(&y);
	return 0;
}
