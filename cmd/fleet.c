/* SPDX-License-Identifier: MIT */
#include "cmd/fleet.h"

#include <stdio.h>
#include <string.h>

static void ship_free(struct ship *s)
{
	for (size_t i = 0; i < s->n_text; i++)
		free(s->text[i]);
	recipe_finish(&s->recipe);
	free(s);
}

void fleet_finish(struct fleet *f)
{
	for (size_t i = 0; i < f->n; i++)
		ship_free(f->ships[i]);
	*f = (struct fleet){0};
}

static int add_set(struct ship *s, char *text /* takes */, struct err *err)
{
	if (s->sets.n == OPT_LIST_MAX || s->n_text == OPT_LIST_MAX) {
		free(text);
		return err_set(err, ERR_USER, 0, "--set: more than %d assignments", OPT_LIST_MAX);
	}
	s->text[s->n_text++] = text;
	s->sets.v[s->sets.n++] = text;
	return 0;
}

static size_t count_values(const char *values)
{
	size_t n = 1;
	for (const char *p = values; *p; p++)
		n += *p == ',';
	return n;
}

static char *nth_value(const char *values, size_t n)
{
	for (; n > 0; n--)
		values += strcspn(values, ",") + 1;
	return xstrndup(values, strcspn(values, ","));
}

/* Gives ship `index` its value of each --vary: the index is read as a number with one digit per option. */
static int vary(struct ship *s, const struct opt_list *list, size_t index, char *name, size_t size, struct err *err)
{
	size_t used = 0;
	for (size_t i = 0; i < list->n; i++) {
		const char *eq = strchr(list->v[i], '=');
		if (!eq || eq == list->v[i] || !eq[1])
			return err_set(err, ERR_USER, 0, "--vary %s: KEY.PATH=A,B is wanted", list->v[i]);
		size_t n = count_values(eq + 1);
		AUTO_FREE char *value = nth_value(eq + 1, index % n);
		index /= n;
		char *text = xasprintf("%.*s=%s", (int)(eq - list->v[i]), list->v[i], value);
		if (used < size)
			used += (size_t)snprintf(name + used, size - used, "%s%s", used ? " " : "", text);
		if (add_set(s, text, err) < 0)
			return -1;
	}
	return 0;
}

static int ship_load(struct ship *s, const struct fleet_order *o, size_t index, struct err *err)
{
	char name[sizeof(s->recipe.variant)] = "";
	for (size_t i = 0; i < o->set.n; i++) {
		if (add_set(s, xstrdup(o->set.v[i]), err) < 0)
			return -1;
	}
	if (o->cold && add_set(s, xstrdup("migrations.cold=true"), err) < 0)
		return -1;
	if (o->from && add_set(s, xasprintf("migrations.from=%s", o->from), err) < 0)
		return -1;
	if (o->to && add_set(s, xasprintf("migrations.to=%s", o->to), err) < 0)
		return -1;
	if (vary(s, &o->vary, index, name, sizeof(name), err) < 0)
		return -1;
	int rc = o->json ? recipe_from_json(&s->recipe, o->json, &s->sets, err)
			 : recipe_load(&s->recipe, o->path, &s->sets, err);
	AUTO_FREE char *variant = xasprintf("%s%s%s", o->label ? o->label : "", o->label && *name ? " " : "", name);
	snprintf(s->recipe.variant, sizeof(s->recipe.variant), "%s", variant);
	if (rc == 0 && !s->recipe.tool)
		return err_set(err, ERR_USER, 0, "%s: the recipe has no migrations: `stepbox up` boots it without",
			       s->recipe.name);
	return rc;
}

int fleet_add(struct fleet *f, const struct fleet_order *order, struct err *err)
{
	size_t n = 1;
	for (size_t i = 0; i < order->vary.n && n <= FLEET_MAX; i++)
		n *= count_values(order->vary.v[i] + strcspn(order->vary.v[i], "="));
	if (f->n + n > FLEET_MAX)
		return err_set(err, ERR_USER, 0, "--vary: more than %d runs at a time", FLEET_MAX);
	for (size_t i = 0; i < n; i++) {
		struct ship *s = f->ships[f->n++] = xcalloc(1, sizeof(*s));
		if (ship_load(s, order, i, err) < 0)
			return -1;
	}
	return 0;
}

/* Runs get their ids in the order of the ships, whoever is ready first: A is nova-1, B is nova-2. */
static void take_turn(struct job *job, bool over)
{
	struct ship *s = job->turn_ctx;
	struct fleet *f = s->fleet;
	pthread_mutex_lock(&f->lock);
	while (f->turn < s->place)
		pthread_cond_wait(&f->next, &f->lock);
	if (over) {
		f->turn = s->place + 1;
		pthread_cond_broadcast(&f->next);
	}
	pthread_mutex_unlock(&f->lock);
}

static void *job_thread(void *arg)
{
	job_run(arg);
	return NULL;
}

int fleet_worse(int a, int b)
{
	static const int order[] = {0, 1, 2, 3, 130, 4};
	size_t ra = 0, rb = 0;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		ra = order[i] == a ? i : ra;
		rb = order[i] == b ? i : rb;
	}
	return ra >= rb ? a : b;
}

int fleet_run(struct fleet *f, const struct fleet_run *how)
{
	int code = 0;
	f->turn = 0;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->next, NULL);
	for (size_t i = 0; i < f->n; i++) {
		struct ship *s = f->ships[i];
		s->job = (struct job){.db = how->db,
				      .screen = how->screen,
				      .recipe = &s->recipe,
				      .what = how->what,
				      .keep = how->keep,
				      .question = how->question,
				      .question_title = how->question_title,
				      .list = s->list,
				      .turn = take_turn,
				      .turn_ctx = s};
		s->fleet = f;
		s->place = i;
		s->started = f->n > 1 && pthread_create(&s->thread, NULL, job_thread, &s->job) == 0;
		if (!s->started)
			job_run(&s->job);
	}
	for (size_t i = 0; i < f->n; i++) {
		if (f->ships[i]->started)
			pthread_join(f->ships[i]->thread, NULL);
		code = fleet_worse(f->ships[i]->job.exit_code, code);
	}
	pthread_cond_destroy(&f->next);
	pthread_mutex_destroy(&f->lock);
	return code;
}
