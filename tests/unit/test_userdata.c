/* SPDX-License-Identifier: MIT */
/* userdata.c, and what its text and the tasks beside it do on a box: their shell runs in a mount namespace with a /run
 * and /var/lib of its own, where poweroff is a file that appears. */
#include "cloud/userdata.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/proc.h"
#include "base/template.h"
#include "base/yaml.h"

#define SOON_MS 60000
#define SKIP    77

static struct key host_key, login_key;
static char dir[] = "/tmp/stepbox-userdata-XXXXXX";

static void make(const char *user, int64_t ttl_s, struct buf *out)
{
	struct err err = ERR_INIT;
	struct userdata u = {.user = user, .host_key = &host_key, .login_key = &login_key, .ttl_s = ttl_s};
	if (userdata_make(out, &u, &err) < 0)
		fail_msg("%s", err.msg);
}

static struct yaml parse(const struct buf *text)
{
	struct yaml y = {0};
	struct err err = ERR_INIT;
	if (yaml_parse(&y, "user-data", text->data, text->len, &err) < 0)
		fail_msg("%s", err.msg);
	return y;
}

static const char *get(const struct yaml *y, const char *key, const char *inner)
{
	json_t *value = json_object_get(y->root, key);
	return json_string_value(inner ? json_object_get(value, inner) : value);
}

/* ---- the text ---- */

static void test_user(void **state)
{
	(void)state;
	AUTO_BUF text = buf_make(USERDATA_MAX);
	make("debian", 7200, &text);
	assert_int_equal(strncmp(text.data, "#cloud-config\n", 14), 0); /* by this line it is known */
	CLEANUP(yaml_finish) struct yaml y = parse(&text);
	const json_t *user = json_array_get(json_object_get(y.root, "users"), 0);
	assert_int_equal(json_array_size(json_object_get(y.root, "users")), 1);
	assert_string_equal(json_string_value(json_object_get(user, "name")), "debian");
	assert_string_equal(json_string_value(json_object_get(user, "sudo")), "ALL=(ALL) NOPASSWD:ALL");
	assert_string_equal(json_string_value(json_object_get(user, "lock_passwd")), "true");
	const json_t *keys = json_object_get(user, "ssh_authorized_keys");
	assert_int_equal(json_array_size(keys), 1);
	assert_string_equal(json_string_value(json_array_get(keys, 0)), login_key.public_line);
	assert_string_equal(get(&y, "ssh_keys", "ed25519_private"), host_key.private_pem); /* its last newline, too */
	assert_string_equal(get(&y, "ssh_keys", "ed25519_public"), host_key.public_line);
	assert_int_equal(json_object_size(json_object_get(y.root, "ssh_keys")), 2);
	assert_string_equal(get(&y, "disable_root", NULL), "true");
	assert_string_equal(get(&y, "ssh_pwauth", NULL), "false");
	assert_null(strstr(text.data, "${"));
	assert_null(strstr(text.data, login_key.private_pem)); /* stays with us */
	assert_true(text.len < 16384);                         /* the least of what clouds take */
}

static void test_root(void **state)
{
	(void)state;
	AUTO_BUF text = buf_make(USERDATA_MAX);
	make("root", 60, &text);
	CLEANUP(yaml_finish) struct yaml y = parse(&text);
	const json_t *user = json_array_get(json_object_get(y.root, "users"), 0);
	assert_string_equal(json_string_value(json_object_get(user, "name")), "root");
	assert_null(json_object_get(user, "sudo"));
	assert_string_equal(json_string_value(json_object_get(user, "lock_passwd")), "false");
	assert_string_equal(get(&y, "disable_root", NULL), "false");
}

/* What looks like something else in YAML is still a name and a key. */
static void test_quoting(void **state)
{
	(void)state;
	AUTO_BUF text = buf_make(USERDATA_MAX);
	struct key odd = login_key;
	struct err err = ERR_INIT;
	snprintf(odd.public_line, sizeof(odd.public_line), "ssh-ed25519 AAAA a\"b: #c\\ ${x} 'd");
	struct userdata u = {.user = "null", .host_key = &host_key, .login_key = &odd, .ttl_s = 1};
	assert_int_equal(userdata_make(&text, &u, &err), 0);
	CLEANUP(yaml_finish) struct yaml y = parse(&text);
	const json_t *user = json_array_get(json_object_get(y.root, "users"), 0);
	assert_string_equal(json_string_value(json_object_get(user, "name")), "null");
	assert_string_equal(json_string_value(json_array_get(json_object_get(user, "ssh_authorized_keys"), 0)),
			    odd.public_line);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const users[] = {
		"",   "-x",    "0day",   "a b", "a\nb: c", "a:b", "a/b", "../a",
		"\"", "$(id)", "${ttl}", "é",   "a\"",     "a{b", "a;b", "a123456789012345678901234567890123",
	};
	static const int64_t lives[] = {0, -1, INT64_MIN, INT64_MAX, 367LL * 24 * 3600};
	AUTO_BUF text = buf_make(USERDATA_MAX);
	struct userdata u = {.host_key = &host_key, .login_key = &login_key, .ttl_s = 60};
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		struct err err = ERR_INIT;
		u.user = users[i];
		assert_int_equal(userdata_make(&text, &u, &err), -1);
		assert_int_equal(err.reach, ERR_USER);
		assert_null(strchr(err.msg, '\n'));
	}
	u.user = "debian";
	for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
		struct err err = ERR_INIT;
		u.ttl_s = lives[i];
		assert_int_equal(userdata_make(&text, &u, &err), -1);
	}
	assert_int_equal(text.len, 0);
}

static void test_too_long(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char path[128];
	AUTO_BUF big = buf_make(1 << 20);
	AUTO_BUF text = buf_make(1 << 20);
	struct userdata u = {.user = "a", .host_key = &host_key, .login_key = &login_key, .ttl_s = 60};
	snprintf(path, sizeof(path), "%s/cloud-init", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/cloud-init/user-data.yaml", dir);
	for (size_t n = 0; n < USERDATA_MAX - 100; n += 10)
		buf_adds(&big, "#23456789\n");
	buf_adds(&big, "${host.private}\n");
	assert_int_equal(fs_write(path, big.data, big.len, 0644, &err), 0);
	setenv("STEPBOX_TEMPLATES", dir, 1);
	assert_int_equal(userdata_make(&text, &u, &err), -1);
	assert_null(strstr(err.msg, "PRIVATE"));
	assert_int_equal(fs_write(path, "${host.secret}", 14, 0644, &err), 0);
	assert_int_equal(userdata_make(&text, &u, &err), -1);
	assert_non_null(strstr(err.msg, "${host.secret}"));
	assert_null(strstr(err.msg, "PRIVATE"));
	unsetenv("STEPBOX_TEMPLATES");
	assert_int_equal(text.len, 0);
}

/* ---- on the box ---- */

/* Runs a script in a world of its own; what it says, stdout and stderr, is appended to out. Returns the exit code. */
static int on_box(const char *script, struct buf *out)
{
	static const char world[] =
		"set -e\n"
		"mount -t tmpfs none /run; mount -t tmpfs none /var/lib; mount -t tmpfs none /var/log\n"
		"mkdir -p /run/bin /var/lib/cloud/instance\n"
		"printf '#!/bin/sh\\necho off >/run/off\\n' >/run/bin/poweroff; chmod +x /run/bin/poweroff\n"
		"PATH=/run/bin:$PATH; set +e\n";
	struct err err = ERR_INIT;
	AUTO_FREE char *all = xasprintf("%s%s", world, script);
	const char *const argv[] = {"unshare", "-m", "sh", "-c", all, NULL};
	struct proc_opts o = {.out = out, .merge = true, .deadline = clock_deadline(SOON_MS)};
	int rc = proc_run(argv, &o, &err);
	if (rc < 0)
		fail_msg("%s\n%s", err.msg, out->data);
	return rc;
}

/* The shell text of bootcmd as cloud-init runs it, as a function boot. */
static void add_boot(struct buf *script, int64_t ttl_s)
{
	AUTO_BUF text = buf_make(USERDATA_MAX);
	make("debian", ttl_s, &text);
	CLEANUP(yaml_finish) struct yaml y = parse(&text);
	const json_t *commands = json_object_get(y.root, "bootcmd");
	assert_int_equal(json_array_size(commands), 1);
	AUTO_FREE char *path = xasprintf("%s/bootcmd", dir);
	const char *command = json_string_value(json_array_get(commands, 0));
	struct err err = ERR_INIT;
	assert_int_equal(fs_write(path, command, strlen(command), 0755, &err), 0);
	buf_addf(script, "boot() { /bin/sh %s; }\nfile=/var/lib/cloud/instance/stepbox-expires\n", path);
}

static void add_task(struct buf *script, const char *name)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *from = xasprintf("tasks/%s", name);
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	assert_int_equal(template_file(from, &text, &err), 0);
	assert_int_equal(fs_write(path, text.data, text.len, 0644, &err), 0);
	/* as the runner runs it */
	buf_addf(script, "task() { (set -eu; . %s) </dev/null; }\n", path);
}

static void expect(const char *script, int rc, const char *want, struct buf *out)
{
	buf_reset(out);
	int got = on_box(script, out);
	if (got != rc || !strstr(out->data, want))
		fail_msg("exit code %d, said:\n%s\nwanted %d and:\n%s", got, out->data, rc, want);
}

/* No systemd here: the sleeper. */
static void test_end_without_systemd(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_boot(&script, 2);
	buf_adds(&script, "boot; [ -e /run/off ] && echo early; read -r at max <$file; now=$(date +%s)\n"
			  "echo max=$max left=$((at - now))\n"
			  "i=0; until [ -e /run/off ]; do sleep 0.1; i=$((i+1)); [ $i -lt 300 ] || exit 1; done\n"
			  "[ $i -ge 10 ] && echo in time");
	expect(script.data, 0, "max=2 left=", &out);
	assert_non_null(strstr(out.data, "in time"));
	assert_null(strstr(out.data, "early"));
}

/* A reboot, and what a clock may do meanwhile. stepbox_left is what the sleeper was given. */
static void test_end_after_reboot(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_boot(&script, 5000);
	buf_adds(&script, "printf '#!/bin/sh\\necho sleeps $1 >>/run/slept\\nexec /bin/sleep 0' >/run/bin/sleep; chmod "
			  "+x /run/bin/sleep\n"
			  "one() { rm -f /run/slept /run/off; boot; until [ -e /run/off ]; do /bin/sleep 0.05; done; "
			  "cat /run/slept; }\n"
			  "now=$(date +%s); one; cat $file | sed s/.*.\\ /max\\ /\n"
			  "one\n"                                    /* at once again: 5000, or a second or two less */
			  "echo $((now - 10)) 5000 >$file; one\n"    /* it is over */
			  "echo $((now + 90000)) 5000 >$file; one\n" /* the clock was set back */
			  "echo >$file; one; echo x y >$file; one\n" /* what a crash may leave */
			  "echo $((now + 100000)) 200000 >$file; one\n"); /* extended */
	expect(script.data, 0, "sleeps 5000\nmax 5000\nsleeps ", &out);
	assert_non_null(strstr(out.data, "sleeps 1\nsleeps 5000\nsleeps 5000\nsleeps 5000\nsleeps "));
	assert_true(strstr(out.data, "sleeps 100000\n") || strstr(out.data, "sleeps 9999"));
}

/* With a systemd-run that writes down how it was called; it blocks, as the real one does in an early boot. */
static void test_end_with_systemd(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_boot(&script, 5000);
	buf_adds(
		&script,
		"mkdir -p /run/systemd/system\n"
		"printf '#!/bin/sh\\nexit 3' >/run/bin/systemctl\n"
		"printf '#!/bin/sh\\nsleep 1\\necho $* >/run/asked.new; mv /run/asked.new /run/asked' "
		">/run/bin/systemd-run\n"
		"chmod +x /run/bin/*\n"
		"boot; [ -e /run/asked ] && echo blocked; until [ -e /run/asked ]; do sleep 0.1; done; cat /run/asked\n"
		"sleep 0.3; ls /run/stepbox-expiry.pid\n"
		"printf '#!/bin/sh\\nexit 1' >/run/bin/systemd-run; echo $(date +%s) 1 >$file\n"
		"boot; until [ -e /run/off ]; do sleep 0.1; done; echo off all the same");
	expect(script.data, 0,
	       "--no-block --unit=stepbox-expiry --on-active=5000 --timer-property=AccuracySec=1s systemctl poweroff\n",
	       &out);
	assert_null(strstr(out.data, "blocked\n"));
	assert_non_null(strstr(out.data, "cannot access '/run/stepbox-expiry.pid'"));
	assert_non_null(strstr(out.data, "off all the same"));
}

static void test_extend(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_boot(&script, 3);
	add_task(&script, "expire.sh");
	buf_adds(
		&script,
		"boot; until [ -s /run/stepbox-expiry.pid ]; do sleep 0.1; done; read -r old </run/stepbox-expiry.pid\n"
		/* the client's clock is another: only the difference counts */
		"EXPIRES=5000 NOW=1000 task; read -r at max <$file; echo rc=$? max=$max left=$((at - $(date +%s)))\n"
		"sleep 3.5; [ -e /run/off ] && echo went off; kill -0 $old 2>/dev/null && echo old one lives\n"
		"EXPIRES=$(($(date +%s) + 1)) NOW= task; until [ -e /run/off ]; do sleep 0.1; done; echo went by the "
		"new one\n"
		"rm -f /run/off; EXPIRES=1 NOW=1000 task; until [ -e /run/off ]; do sleep 0.1; done; echo past is "
		"now\n");
	expect(script.data, 0, "the box ends itself in 4000 s\nrc=0 max=4000 left=", &out);
	assert_null(strstr(out.data, "went off"));
	assert_null(strstr(out.data, "old one lives"));
	assert_non_null(strstr(out.data, "went by the new one"));
	assert_non_null(strstr(out.data, "past is now"));
}

static void test_extend_with_systemd(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_boot(&script, 3000);
	add_task(&script, "expire.sh");
	buf_adds(&script, "mkdir -p /run/systemd/system\n"
			  "cat >/run/bin/systemctl <<'E'\n#!/bin/sh\n"
			  "case $1 in -q) exit 3 ;; list-units) printf 'stepbox-expiry.timer loaded "
			  "a\\nstepbox-expiry-5.timer loaded b\\n' ;;\n"
			  "*) echo systemctl $* ;; esac\nE\n"
			  "printf '#!/bin/sh\\necho run $*\\n' >/run/bin/systemd-run; chmod +x /run/bin/*\n"
			  "EXPIRES=5000 NOW=1000 task; echo rc=$?; cat $file\n");
	expect(script.data, 0,
	       "--on-active=4000 --timer-property=AccuracySec=1s systemctl poweroff\n"
	       "systemctl stop stepbox-expiry.timer\nsystemctl stop stepbox-expiry-5.timer\n"
	       "the box ends itself in 4000 s\nrc=0\n",
	       &out);
	assert_int_equal(strncmp(out.data, "run --quiet --unit=stepbox-expiry-", 34), 0); /* the new one comes first */
	assert_non_null(strstr(out.data, " 4000\n"));
}

/* ---- readiness ---- */

/* cloud-init's status file, as it writes it. */
static void add_status(struct buf *script, const char *stage, const char *errors, const char *more)
{
	buf_addf(script,
		 "cat >/run/cloud-init/status.json <<'E'\n{\n \"v1\": {\n  \"datasource\": \"X\",\n  \"init\": {\n"
		 "   \"errors\": %s,\n   \"finished\": 1.5,\n%s   \"start\": 1.0\n  },\n  \"stage\": %s\n }\n}\nE\n",
		 errors, more, stage);
}

static void test_ready(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_task(&script, "ready.sh");
	buf_adds(&script, "mkdir -p /run/cloud-init; TIMEOUT=30\n{ sleep 0.4\n");
	add_status(&script, "\"init\"", "[]", "");
	buf_adds(&script, "sleep 0.5\n");
	add_status(&script, "null", "[]", "");
	buf_adds(&script, "sleep 0.3\n");
	add_status(&script, "\"modules-final\"", "[]", "");
	buf_adds(&script, "sleep 0.5; touch /run/stepbox-ready; } &\ntask");
	expect(script.data, 0, "", &out);
	assert_string_equal(out.data, "cloud-init: init\ncloud-init: modules-final\nready\n");
	buf_reset(&script);
	add_task(&script, "ready.sh");
	buf_adds(&script, "TIMEOUT=30; touch /var/lib/cloud/instance/stepbox-ready; task"); /* after a reboot */
	expect(script.data, 0, "", &out);
	assert_string_equal(out.data, "ready\n");
}

/* The marker is never made. */
static void test_never_ready(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_task(&script, "ready.sh");
	buf_adds(&script,
		 "printf '#!/bin/sh\\necho status: running\\n' >/run/bin/cloud-init; chmod +x /run/bin/*; TIMEOUT=1\n"
		 "task; echo rc=$?; mkdir /run/cloud-init; touch /run/cloud-init/disabled; task; echo rc=$?\n"
		 "rm /run/cloud-init/disabled; TIMEOUT=60; echo '{}' >/run/cloud-init/result.json\n"
		 "printf 'ci-info: table\\n%s\\nrun-parts: no\\n' \"$(seq 100)\" >/var/log/cloud-init-output.log\n");
	add_status(&script, "null", "[\n    \"('scripts-user', RuntimeError('no'))\"\n   ]", "");
	buf_adds(&script, "task");
	expect(script.data, 1, "status: running\ncloud-init is not done after 1 s\nrc=1\n", &out);
	assert_non_null(strstr(out.data, "the image has no cloud-init, or has it disabled"));
	assert_non_null(strstr(out.data, "cloud-init has ended, but has not done what the box was given\n"
					 "  ('scripts-user', RuntimeError('no'))\n"
					 "the last lines of /var/log/cloud-init-output.log:\n77\n"));
	assert_non_null(strstr(out.data, "\nrun-parts: no\n"));
	assert_null(strstr(out.data, "ci-info"));
}

static void test_no_cloud_init(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_task(&script, "ready.sh");
	buf_adds(&script, "if command -v cloud-init >/dev/null; then echo the image has no cloud-init; exit 1; fi\n"
			  "TIMEOUT=60; task");
	expect(script.data, 1, "the image has no cloud-init", &out);
}

static void test_ready_with_errors(void **state)
{
	(void)state;
	static const char recoverable[] =
		"   \"recoverable_errors\": {\n    \"WARNING\": [\n     \"mirror is slow\"\n    ],\n"
		"    \"DEPRECATED\": [\n     \"old\",\n     \"older\"\n    ]\n   },\n";
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	add_task(&script, "ready.sh");
	buf_adds(&script, "TIMEOUT=9; mkdir /run/cloud-init; touch /run/stepbox-ready\n");
	add_status(&script, "\"modules-final\"", "[]", recoverable);
	buf_adds(&script, "task; echo rc=$?\n");
	add_status(&script, "\"modules-final\"", "[\n    \"one\",\n    \"two\"\n   ]", "");
	buf_adds(&script, "task");
	expect(script.data, 0, "ready\nrc=0\n", &out);
	assert_non_null(strstr(out.data, "cloud-init reports (WARNING, it went on):\n  mirror is slow\n"));
	assert_non_null(strstr(out.data, "cloud-init reports (DEPRECATED, it went on):\n  old\n  older\n"));
	assert_non_null(strstr(out.data, "cloud-init reports (errors, it went on):\n  one\n  two\n"));
}

static void test_ready_waits_for_apt(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	AUTO_BUF script = buf_make(100000);
	if (access("/usr/bin/python3", X_OK) < 0)
		skip();
	add_task(&script, "ready.sh");
	buf_adds(&script,
		 "TIMEOUT=30; touch /run/stepbox-ready; mkdir -p /var/lib/dpkg; : >/var/lib/dpkg/lock-frontend\n"
		 "python3 -c 'import fcntl,time\n"
		 "f=open(\"/var/lib/dpkg/lock-frontend\",\"w\"); fcntl.lockf(f,fcntl.LOCK_EX)\n"
		 "open(\"/run/held\",\"w\"); time.sleep(1.5); open(\"/run/freed\",\"w\")' &\n"
		 "until [ -e /run/held ]; do sleep 0.05; done; task; ls /run/freed; wait");
	expect(script.data, 0, "apt is busy with something of the image's own: waiting\nready\n/run/freed\n", &out);
}

static int setup(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	return mkdtemp(dir) && key_generate(&host_key, "r-1", &err) == 0 &&
			       key_generate(&login_key, "stepbox", &err) == 0
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	return fs_remove_tree(dir, &err);
}

int main(void)
{
	static const struct CMUnitTest text[] = {
		cmocka_unit_test(test_user),    cmocka_unit_test(test_root),     cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_too_long),
	};
	static const struct CMUnitTest box[] = {
		cmocka_unit_test(test_end_without_systemd), cmocka_unit_test(test_end_after_reboot),
		cmocka_unit_test(test_end_with_systemd),    cmocka_unit_test(test_extend),
		cmocka_unit_test(test_extend_with_systemd), cmocka_unit_test(test_ready),
		cmocka_unit_test(test_never_ready),         cmocka_unit_test(test_no_cloud_init),
		cmocka_unit_test(test_ready_with_errors),   cmocka_unit_test(test_ready_waits_for_apt),
	};
	struct err err = ERR_INIT;
	const char *const try[] = {"unshare", "-m", "mount", "-t", "tmpfs", "none", "/run", NULL};
	struct proc_opts o = {.deadline = clock_deadline(SOON_MS)};
	int failed = cmocka_run_group_tests(text, setup, teardown);
	if (failed || proc_run(try, &o, &err) != 0) {
		if (!failed)
			fprintf(stderr, "skipped: what the text does on a box needs mount namespaces\n");
		return failed ? failed : SKIP;
	}
	snprintf(dir, sizeof(dir), "/tmp/stepbox-userdata-XXXXXX");
	return cmocka_run_group_tests(box, setup, teardown);
}
