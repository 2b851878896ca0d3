/* SPDX-License-Identifier: MIT */
#include "cloud/userdata.h"

#include <jansson.h>
#include <string.h>

#include "base/template.h"
#include "base/text.h"

#define TTL_MAX_S  ((int64_t)366 * 24 * 3600)
#define KEY_INDENT "    " /* of the block scalar in the template */

/* Both stand at the indent of the user's entry. Root needs no right of its own, and /etc/sudoers must not come into
 * being on an image without sudo: its package would ask about that file later. Nor is root's password locked: without
 * PAM, sshd lets nobody in whose account is locked. */
static const char user_rights[] = "shell: /bin/bash\n"
				  "    sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n"
				  "    lock_passwd: true";
static const char root_rights[] = "lock_passwd: false";

static bool is_user(const char *s)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.-";
	return *s && strchr(first, *s) && s[strspn(s, rest)] == '\0' && strlen(s) <= 32;
}

/* A JSON text is a YAML scalar, whatever is in it. */
static void set_quoted(json_t *vars, const char *name, const char *text)
{
	json_t *value = json_string(text);
	AUTO_FREE char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
	json_object_set_new(vars, name, json_string(quoted ? quoted : ""));
	json_decref(value);
}

/* The lines of the key, each at the block's indent. */
static void set_block(json_t *vars, const char *name, const char *text)
{
	AUTO_BUF block = buf_make(BUF_TEXT_MAX);
	for (const char *end; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		buf_adds(&block, block.len ? "\n" KEY_INDENT : "");
		buf_add(&block, text, (size_t)(end - text));
	}
	json_object_set_new(vars, name, json_string(block.data));
	explicit_bzero(block.data, block.len);
}

static void wipe(const json_t *vars, const char *name)
{
	const json_t *value = json_object_get(vars, name);
	if (value)
		explicit_bzero((char *)(uintptr_t)json_string_value(value), json_string_length(value));
}

int userdata_make(struct buf *out, const struct userdata *u, struct err *err)
{
	AUTO_BUF text = buf_make(USERDATA_MAX);
	AUTO_BUF filled = buf_make(USERDATA_MAX);
	bool root = strcmp(u->user, "root") == 0;
	if (!is_user(u->user)) {
		AUTO_BUF safe = buf_make(256);
		text_safe_line(&safe, u->user, strlen(u->user), 64);
		return err_set(err, ERR_USER, 0, "login user: not the name of a user: %s", safe.data);
	}
	if (u->ttl_s < 1 || u->ttl_s > TTL_MAX_S)
		return err_set(err, ERR_BUG, 0, "user data: life of %lld s", (long long)u->ttl_s);
	if (template_file("cloud-init/user-data.yaml", &text, err) < 0)
		return -1;
	json_t *vars = json_pack("{s:I, s:s, s:s}", "ttl", (json_int_t)u->ttl_s, "root.disabled",
				 root ? "false" : "true", "user.rights", root ? root_rights : user_rights);
	set_quoted(vars, "user.name", u->user);
	set_quoted(vars, "host.public", u->host_key->public_line);
	set_quoted(vars, "login.public", u->login_key->public_line);
	set_block(vars, "host.private", u->host_key->private_pem);
	int rc = text.overflow ? err_set(err, ERR_USER, 0, "over %d bytes", USERDATA_MAX)
			       : template_fill(&filled, text.data, vars, err);
	wipe(vars, "host.private");
	json_decref(vars);
	if (rc == 0 && buf_add(out, filled.data, filled.len) < 0)
		rc = err_set(err, ERR_BUG, 0, "%zu bytes are over the limit", filled.len);
	explicit_bzero(filled.data, filled.len);
	return rc < 0 ? err_ctx(err, "cloud-init/user-data.yaml") : 0;
}
