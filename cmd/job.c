/* SPDX-License-Identifier: MIT */
#include "cmd/job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/template.h"
#include "base/text.h"
#include "cloud/cloud.h"
#include "cloud/ledger.h"
#include "cmd/lookout.h"
#include "cmd/report.h"
#include "cmd/sshkit.h"
#include "migrations/walk.h"
#include "provision/flight.h"

/* The first box on a machine makes its base tree: a minute or two, on a slow mirror many. */
#define BOOT_LIMIT_MS    (45LL * 60 * 1000)
#define CONNECT_LIMIT_MS (60LL * 1000)
#define PACK_LIMIT_MS    (10LL * 60 * 1000)
#define STOP_LIMIT_MS    (5LL * 1000)
#define CONSOLE_LINES    20

#define TAIL_LINES 15
#define TAIL_MAX   ((size_t)256 << 10)

enum keep keep_parse(const char *text)
{
	if (text && strcmp(text, "always") == 0)
		return KEEP_ALWAYS;
	return text && strcmp(text, "on-failure") == 0 ? KEEP_ON_FAILURE : KEEP_NEVER;
}

/* What one life needs from stage to stage. */
struct life {
	struct db *db;
	struct pane *pane;
	struct screen *screen;
	const struct recipe *recipe;
	enum keep keep;
	bool boots; /* this life makes its box, so it ends it */
	struct plan *plan;
	int payload_fd; /* the packed source, or -1 */
	struct run run;
	struct box box;
	bool have_box;
	bool is_flown;                /* the box may have the plan */
	bool is_warming;              /* the task loads the tool */
	bool is_readying, is_unready; /* the task is the box's own; it did not come about */
	struct lookout *lookout;      /* while there is a flight to a box of a cloud */
	struct walk_view view;
	struct walker *walker;
	struct buf *list; /* job->list */
	int64_t n_steps;
	struct report_steps steps;
	mono_ms began;
};

/* -- what the user sees -------------------------------------------------------------------------------------------- */

static void on_stage(void *ctx, const char *stage, const char *detail, int64_t limit_ms)
{
	struct life *l = ctx;
	pane_doing(l->pane, stage, detail, limit_ms);
}

/* Length of a colour sequence at p ("ESC [ 0 ; 3 2 m"), also of one that lost its ESC on the way, as consoles do; else
 * 0. */
static size_t colour_len(const char *p)
{
	size_t n = *p == '\033';
	if (p[n] != '[')
		return 0;
	n += 1 + strspn(p + n + 1, "0123456789;");
	return p[n] == 'm' ? n + 1 : 0;
}

static void on_console(void *ctx, const char *text, size_t len)
{
	struct life *l = ctx;
	AUTO_BUF plain = buf_make(len);
	for (const char *p = text; p < text + len;) {
		size_t skip = colour_len(p);
		if (!skip)
			buf_addc(&plain, *p++);
		p += skip;
	}
	pane_progress(l->pane, "  the end of its console:");
	pane_output(l->pane, plain.data, plain.len, CONSOLE_LINES);
}

static void on_event(void *ctx, enum flight_event kind, const char *text, const char *detail)
{
	struct life *l = ctx;
	switch (kind) {
	case FLIGHT_CONTACT:
		pane_doing(l->pane, text, detail, l->recipe->connect_ms);
		break;
	case FLIGHT_STAGE:
		l->is_flown = true;
		pane_doing(l->pane, text, detail, 0);
		break;
	case FLIGHT_DROP:
	case FLIGHT_BACK:
		pane_progress(l->pane, "  %s", text);
		break;
	}
}

static bool is_gone(void *ctx)
{
	struct life *l = ctx;
	struct err ignored = ERR_INIT;
	return cloud_alive(l->db, l->box.name, &ignored) == 0;
}

/* The same for who has no time to wait for an answer. */
static bool is_known_gone(void *ctx)
{
	struct life *l = ctx;
	return cloud_is_remote(l->box.cloud) ? lookout_gone(l->lookout) : is_gone(l);
}

static void on_task(void *ctx, int64_t n, const char *kind, const char *title)
{
	struct life *l = ctx;
	AUTO_FREE char *what = xasprintf("%s: %s", kind, title);
	(void)n;
	l->is_readying = strcmp(kind, COMPILE_READY) == 0;
	l->is_warming = strcmp(kind, WALK_WARM) == 0;
	pane_doing(l->pane, what, NULL, 0);
}

static void show_tail(struct life *l, char kind, int64_t n, size_t lines)
{
	AUTO_BUF out = buf_make(TAIL_MAX);
	struct err err = ERR_INIT;
	if (screen_is_verbose(l->screen) || screen_is_json(l->screen))
		return;
	if (store_output_read(l->db, l->run.id, kind, n, TAIL_MAX, &out, &err) == 0 && out.len)
		pane_output(l->pane, out.data, out.len, lines);
}

static void on_task_end(void *ctx, int64_t n, int64_t rc, const char *why, int64_t ms)
{
	struct life *l = ctx;
	struct task_line t = {.n = n, .rc = rc, .ms = ms, .why = why};
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	if (report_task_line(l->db, l->run.id, &t, &line, &err) == 0)
		pane_progress(l->pane, "%s", line.data);
	pane_json(l->pane, json_pack("{s:s, s:s, s:I, s:I, s:s, s:I}", "event", "task", "run", l->run.id, "n",
				     (json_int_t)n, "rc", (json_int_t)rc, "why", why, "ms", (json_int_t)ms));
	bool bad = rc != 0 || strcmp(why, "exit") != 0;
	l->is_unready |= bad && l->is_readying;
	if (bad)
		show_tail(l, 't', n, l->is_warming ? 1 : TAIL_LINES);
}

static void on_list(void *ctx, const char *text, size_t len)
{
	struct life *l = ctx;
	if (l->list) {
		buf_reset(l->list);
		buf_add(l->list, text, len);
	}
}

static void on_walk(void *ctx, const char *from, const char *to, const char *dir, int64_t n)
{
	struct life *l = ctx;
	l->n_steps = n;
	l->steps.width = report_version_width(from, report_version_width(to, l->steps.width));
	pane_progress(l->pane, "  %-9s %s on %s, %s from %s to %s: %lld step%s", "walk", l->run.tool, l->run.engine,
		      strcmp(dir, "roundtrip") == 0 ? "up, down and up again" : dir, from, to, (long long)n,
		      n == 1 ? "" : "s");
}

static void on_step(void *ctx, int64_t n, const char *version, const char *dir)
{
	struct life *l = ctx;
	l->steps.width = report_version_width(version, l->steps.width);
	AUTO_FREE char *what =
		n ? xasprintf("step %lld of %lld: %s %s", (long long)n, (long long)l->n_steps, dir, version)
		  : xasprintf("before the first step: %s", version);
	pane_doing(l->pane, what, NULL, l->recipe ? l->recipe->step_timeout_s * 1000 : 0);
}

static void on_output(void *ctx, char kind, int64_t n, const char *data, size_t len)
{
	struct life *l = ctx;
	(void)kind;
	(void)n;
	if (screen_is_verbose(l->screen))
		pane_output(l->pane, data, len, 0);
}

static void on_step_end(void *ctx, const struct step *s, const char *brief)
{
	struct life *l = ctx;
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	json_t *o = report_step_json(s, l->steps.counts);
	l->steps.verbose = screen_is_verbose(l->screen);
	report_step(&l->steps, s, brief, &lines);
	for (const char *p = lines.data; *p;) {
		size_t n = strcspn(p, "\n");
		pane_result(l->pane, "%.*s", (int)n, p);
		p += n + (p[n] == '\n');
	}
	json_object_set_new(o, "event", json_string("step"));
	json_object_set_new(o, "run", json_string(l->run.id));
	json_object_set_new(o, "change", report_json_text(brief));
	pane_json(l->pane, o);
	/* That a tool does not go down here is said in a word. */
	bool refused = s->leg == 2 && s->outcome == OUTCOME_REFUSED;
	if (!outcome_is_good(s->outcome) && !refused)
		show_tail(l, 's', s->n, TAIL_LINES);
}

static void life_view(struct life *l)
{
	l->view = (struct walk_view){
		.task = on_task,
		.task_end = on_task_end,
		.list = on_list,
		.walk = on_walk,
		.step = on_step,
		.output = on_output,
		.step_end = on_step_end,
		.ctx = l,
	};
}

/* -- the stages ---------------------------------------------------------------------------------------------------- */

static int prepare(struct life *l, struct job *job, struct err *err)
{
	const struct recipe *r = l->recipe;
	l->plan = compile(r, job->what, job->to, err);
	if (!l->plan)
		return -1;
	if (job->question) {
		AUTO_FREE char *dir = xasprintf("/srv/%s", r->name);
		plan_question(l->plan, job->question_title, dir, job->question, r->step_timeout_s);
	}
	if (job->what != COMPILE_WALK) {
		if (r->local_path)
			pane_doing(l->pane, "packing the source", r->local_path, 0);
		if (compile_payload(r, &l->payload_fd, clock_deadline(PACK_LIMIT_MS), err) < 0)
			return -1;
	}
	snprintf(l->run.name, sizeof(l->run.name), "%s", r->name);
	snprintf(l->run.variant, sizeof(l->run.variant), "%s", r->variant);
	snprintf(l->run.box, sizeof(l->run.box), "%s", l->have_box ? l->box.name : "");
	snprintf(l->run.tool, sizeof(l->run.tool), "%s", job->what != COMPILE_PROVISION && r->tool ? r->tool : "");
	snprintf(l->run.engine, sizeof(l->run.engine), "%s", r->engine);
	random_hex(l->run.nonce, JOURNAL_NONCE_LEN / 2);
	AUTO_FREE char *text = recipe_json(r);
	if (job->turn)
		job->turn(job, false);
	if (store_run_add(l->db, &l->run, text, err) < 0)
		return -1;
	snprintf(job->run, sizeof(job->run), "%s", l->run.id);
	pane_set_tag(l->pane, l->run.id);
	pane_json(l->pane, json_pack("{s:s, s:s, s:s}", "event", "run", "run", l->run.id, "variant", r->variant));
	return 0;
}

/* The box carries the name of the run that boots it. */
static int boot(struct life *l, struct err *err)
{
	const struct recipe *r = l->recipe;
	struct key host, login;
	mono_ms t0 = clock_mono();
	if (key_generate(&host, l->run.id, err) < 0 || key_generate(&login, "stepbox", err) < 0)
		return -1;
	struct box_spec spec = r->box;
	spec.name = spec.run = l->run.id;
	spec.host_key = &host;
	spec.login_key = &login;
	struct cloud_watch watch = {.stage = on_stage, .console = on_console, .ctx = l};
	AUTO_BUF layer = buf_make(BUF_TEXT_MAX);
	AUTO_BUF title = buf_make(BUF_TEXT_MAX);
	if (r->layer && compile_packages(r, &layer, &title, err) < 0)
		return -1;
	if (layer.len) {
		spec.layer = layer.data;
		spec.layer_title = title.data;
	}
	pane_doing(l->pane, "booting", r->box.image, 0);
	int rc = cloud_boot(l->db, &spec, &watch, BOOT_LIMIT_MS, &l->box, err);
	explicit_bzero(&host, sizeof(host));
	explicit_bzero(&login, sizeof(login));
	if (rc < 0)
		return -1;
	l->have_box = true;
	snprintf(l->run.box, sizeof(l->run.box), "%s", l->box.name);
	char span[32];
	clock_span(clock_mono() - t0, span);
	pane_progress(l->pane, "%s: box of %s on %s, up in %s", l->run.id, l->box.image, l->box.cloud, span);
	pane_json(l->pane,
		  json_pack("{s:s, s:s, s:s, s:s, s:i, s:I}", "event", "box", "run", l->run.id, "box", l->box.name,
			    "address", l->box.address, "port", l->box.port, "ms", (json_int_t)(clock_mono() - t0)));
	return 0;
}

struct fetch_ctx {
	const struct ssh_target *target;
	const char *run;
};

static int fetch_dump(void *ctx, const char *sha256, struct buf *out, struct err *err)
{
	struct fetch_ctx *f = ctx;
	return flight_fetch_dump(f->target, f->run, sha256, out, clock_deadline(CONNECT_LIMIT_MS), err);
}

/* Why nobody could get in is often said there. */
static void show_console(struct life *l)
{
	AUTO_BUF text = buf_make(TAIL_MAX);
	cloud_console(&l->box, CONSOLE_LINES, &text);
	if (text.len)
		on_console(l, text.data, text.len);
}

/* Sends the plan (unless the box has it) and takes in the journal until its trailer. */
static int fly(struct life *l, bool launch, struct err *err)
{
	struct ssh_target target;
	AUTO_BUF runner = buf_make(BUF_TEXT_MAX);
	AUTO_BUF script = buf_make((size_t)64 << 20);
	const struct adapter *tool = l->recipe->tool_adapter;
	if (sshkit_target(&l->box, &target, err) < 0)
		return -1;
	struct fetch_ctx fetch = {&target, l->run.id};
	struct walk w = {
		.db = l->db,
		.refused = tool ? adapter_get(tool, "refused") : NULL,
		.env_failed = tool ? adapter_get(tool, "env_failed") : NULL,
		.limits = l->recipe->limits,
		.view = &l->view,
		.fetch = fetch_dump,
		.fetch_ctx = &fetch,
	};
	snprintf(w.run, sizeof(w.run), "%s", l->run.id);
	snprintf(w.engine, sizeof(w.engine), "%s", l->run.engine);
	l->walker = walker_new(&w, err);
	if (!l->walker)
		return -1;
	/* Whoever followed it before us was killed between the trailer and the end of the run. */
	if (walker_is_done(l->walker))
		return 0;
	AUTO_FREE char *payload = xasprintf("/proc/self/fd/%d", l->payload_fd);
	struct flight f = {
		.run = l->run.id, .nonce = l->run.nonce, .event = on_event, .gone = is_known_gone, .event_ctx = l};
	l->is_flown |= !launch;
	f.fresh = launch && l->boots && cloud_is_remote(l->box.cloud);
	if (launch) {
		if (template_file("runner.sh", &runner, err) < 0)
			return -1;
		plan_script(l->plan, &script);
		f.runner = runner.data;
		f.plan = script.data;
		f.payload = l->payload_fd >= 0 ? payload : NULL;
	}
	CLEANUP(journal_freep)
	struct journal *j = journal_new(l->run.nonce, l->run.received, walker_record, l->walker);
	walker_set_journal(l->walker, j);
	pane_doing(l->pane, "connecting", l->box.address, l->recipe->connect_ms);
	l->lookout = cloud_is_remote(l->box.cloud) ? lookout_new(l->db, l->box.name) : NULL;
	int rc = flight_run(&target, NULL, &f, j, clock_deadline(l->recipe->connect_ms), err);
	if (rc < 0 && err->code == ENODEV && *lookout_why(l->lookout)) {
		struct err gone = *err;
		err_set(err, gone.reach, gone.code, "%.600s: %s", gone.msg, lookout_why(l->lookout));
	}
	lookout_free(l->lookout);
	l->lookout = NULL;
	if (rc < 0 && err->reach == ERR_BOX && journal_offset(j) == 0)
		show_console(l);
	walker_set_journal(l->walker, NULL);
	explicit_bzero(&target, sizeof(target));
	return rc;
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* Stopping a runner on a box that stays: the user asked for no further steps. */
static void stop_runner(struct life *l)
{
	struct ssh_target target;
	struct err err = ERR_INIT;
	if (sshkit_target(&l->box, &target, &err) < 0 ||
	    flight_stop(&target, l->run.id, clock_deadline(STOP_LIMIT_MS), &err) < 0)
		log_warn(l->run.id, "its current command may still run on the box: %s", err.msg);
	explicit_bzero(&target, sizeof(target));
}

/* Ends the box or lets it stay. Returns 0, or -1 with err when it may still be running. what gets a few words on it. */
static int settle(struct life *l, bool stay, struct buf *what, struct err *err)
{
	if (!l->have_box)
		return 0;
	if ((stay || !l->boots) && !is_gone(l)) {
		char until[32];
		clock_iso(l->box.expires, until);
		buf_addf(what, "box %s stays until %s: stepbox ssh %s, stepbox down %s", l->box.name, until,
			 l->box.name, l->box.name);
		cloud_leave(&l->box);
		return ledger_release(l->db, l->box.name, true, err);
	}
	/* One that went away by itself, too: its row and key are still there. */
	pane_doing(l->pane, "tearing down", l->box.name, cloud_teardown_ms(l->box.cloud));
	if (cloud_delete(l->db, l->box.name, err) < 0) {
		buf_addf(what, "box %s may still be running: stepbox gc", l->box.name);
		return -1;
	}
	buf_adds(what, "box gone");
	return 0;
}

/* Which of the words of runs.status, and the exit code, this end deserves. */
static const char *judge(struct life *l, int rc, struct err *err, char *why, size_t size, int *exit_code)
{
	char finding[512] = "";
	if (rc == 0 && walker_verdict(l->walker, finding) == 1) {
		*exit_code = 0;
		return "ok";
	}
	if (rc == 0) {
		snprintf(why, size, "%s", finding);
		*exit_code = l->is_unready ? 3 : 1;
		return l->is_unready ? "error" : "finding";
	}
	snprintf(why, size, "%s", err->msg);
	*exit_code = err_exit_code(err);
	if (err->reach == ERR_CANCELED)
		return "stopped";
	return err->reach == ERR_BOX && l->have_box ? "lost" : "error";
}

/* Where the time of a walk with a loaded tool went. */
static void say_times(struct life *l)
{
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	if (l->run.id[0] && report_times(l->db, l->run.id, &line, &err) == 0 && line.len)
		pane_progress(l->pane, "  %-9s %s", "times", line.data);
}

static void say_end(struct life *l, const char *status, const char *why, const char *box)
{
	char span[32];
	clock_span(clock_mono() - l->began, span);
	if (strcmp(status, "error") == 0 || strcmp(status, "lost") == 0) {
		log_err(l->run.id[0] ? l->run.id : "stepbox", "%s%s%s", why, *box ? "; " : "", box);
		return;
	}
	AUTO_BUF trips = buf_make(BUF_TEXT_MAX);
	struct err ignored = ERR_INIT;
	if (l->run.id[0] && report_trips(l->db, l->run.id, &trips, &ignored) == 0 && trips.len)
		pane_result(l->pane, "%s: %s", l->run.id, trips.data);
	AUTO_FREE char *tail = xasprintf("%s%s%s", why, *why && *box ? "; " : "", box);
	pane_verdict(l->pane, "%s: %s in %s%s%s", l->run.id, status, span, *tail ? ": " : "", tail);
}

/* Whatever happened: the run gets its end in the store, the box its end (or its stay), the user one line. */
static int conclude(struct life *l, int rc, struct err *err)
{
	char why[1024] = "";
	int exit_code;
	AUTO_BUF box = buf_make(BUF_TEXT_MAX);
	struct err torn = ERR_INIT, kept = ERR_INIT;
	const char *status = judge(l, rc, err, why, sizeof(why), &exit_code);
	bool stay = l->keep == KEEP_ALWAYS || (l->keep == KEEP_ON_FAILURE && exit_code != 0 && exit_code != 130);
	bool lost = strcmp(status, "lost") == 0;
	if (l->walker && (lost || rc < 0) && walker_lost(l->walker, &kept) < 0)
		log_err(l->run.id, "%s", kept.msg);
	if (err->reach == ERR_CANCELED && l->is_flown && l->run.id[0] && (stay || !l->boots))
		stop_runner(l);
	/* The end is in the store before the box goes: whoever is killed in between leaves a run that says what it
	 * knows. */
	if (l->run.id[0] && store_run_end(l->db, l->run.id, status, why, &kept) < 0)
		log_err(l->run.id, "%s", kept.msg);
	if (settle(l, stay, &box, &torn) < 0) {
		log_err(l->run.id, "%s", torn.msg);
		exit_code = 4;
	}
	pane_doing(l->pane, "", NULL, 0);
	say_times(l);
	say_end(l, status, why, box.data);
	if (l->run.id[0] && screen_is_json(l->screen)) {
		json_t *o = report_run_json(l->db, l->run.id, &kept);
		if (o)
			pane_json(l->pane, o);
	}
	return exit_code;
}

static void life_finish(struct life *l)
{
	walker_free(l->walker);
	plan_free(l->plan);
	fd_closep(&l->payload_fd);
	report_steps_finish(&l->steps);
	pane_free(l->pane);
}

void job_run(struct job *job)
{
	struct err err = ERR_INIT;
	struct life l = {
		.db = job->db,
		.screen = job->screen,
		.pane = pane_new(job->screen),
		.recipe = job->recipe,
		.keep = job->keep,
		.list = job->list,
		.boots = job->box == NULL,
		.payload_fd = -1,
		.began = clock_mono(),
	};
	int rc = 0;
	life_view(&l);
	if (job->box) {
		rc = ledger_find(job->db, job->box, &l.box, &err);
		l.have_box = rc == 1;
		rc = rc < 0 ? -1 : ledger_adopt(job->db, l.box.name, &err);
	}
	if (rc == 0)
		rc = prepare(&l, job, &err);
	if (job->turn)
		job->turn(job, true);
	if (rc == 0 && l.boots)
		rc = boot(&l, &err);
	if (rc == 0)
		rc = fly(&l, true, &err);
	job->exit_code = conclude(&l, rc, &err);
	life_finish(&l);
}

int job_attach(struct db *db, struct screen *screen, const char *id, enum keep keep, struct err *err)
{
	struct recipe recipe;
	AUTO_BUF json = buf_make(BUF_TEXT_MAX);
	struct life l = {
		.db = db, .screen = screen, .recipe = &recipe, .keep = keep, .payload_fd = -1, .began = clock_mono()};
	if (report_find_run(db, id, &l.run, err) < 0 || store_run_recipe(db, l.run.id, &json, err) < 0)
		return -1;
	if (strcmp(l.run.status, "running") != 0)
		return err_set(err, ERR_USER, 0, "%s: has ended (%s); `stepbox show %s` shows it", l.run.id,
			       l.run.status, l.run.id);
	if (l.run.owned)
		return err_set(err, ERR_USER, 0, "%s: another stepbox follows it right now", l.run.id);
	int found = ledger_find(db, l.run.box, &l.box, err);
	if (found <= 0 || strcmp(l.box.state, "active") != 0)
		return found < 0 ? -1 : err_set(err, ERR_BOX, 0, "%s: its box is gone", l.run.id);
	if (recipe_from_json(&recipe, json.data, NULL, err) < 0) {
		recipe_finish(&recipe);
		return -1;
	}
	l.have_box = true;
	/* A run that booted its own box ends it, as its first process would have. */
	l.boots = strcmp(l.box.run, l.run.id) == 0;
	l.pane = pane_new(screen);
	life_view(&l);
	pane_set_tag(l.pane, l.run.id);
	int rc = store_run_adopt(db, l.run.id, err) < 0 || ledger_adopt(db, l.box.name, err) < 0 ? -1 : 0;
	if (rc == 0)
		rc = fly(&l, false, err);
	rc = conclude(&l, rc, err);
	life_finish(&l);
	recipe_finish(&recipe);
	return rc;
}
