/* SPDX-License-Identifier: MIT */
#include "migrations/outcome.h"

#include <regex.h>
#include <string.h>

struct pattern {
	regex_t re;
	bool set;
};

struct outcome_patterns {
	struct pattern refused, env_failed;
};

static int compile(struct pattern *p, const char *name, const char *text, struct err *err)
{
	char why[200];
	if (!text || *text == '\0')
		return 0;
	int rc = regcomp(&p->re, text, REG_EXTENDED | REG_NEWLINE | REG_NOSUB);
	if (rc == 0) {
		p->set = true;
		return 0;
	}
	regerror(rc, &p->re, why, sizeof(why));
	return err_set(err, ERR_USER, rc, "%s: %s: '%s'", name, why, text);
}

struct outcome_patterns *outcome_patterns_new(const char *refused, const char *env_failed, struct err *err)
{
	struct outcome_patterns *p = xcalloc(1, sizeof(*p));
	if (compile(&p->refused, "refused", refused, err) < 0 ||
	    compile(&p->env_failed, "env_failed", env_failed, err) < 0) {
		outcome_patterns_free(p);
		return NULL;
	}
	return p;
}

void outcome_patterns_free(struct outcome_patterns *p)
{
	if (!p)
		return;
	if (p->refused.set)
		regfree(&p->refused.re);
	if (p->env_failed.set)
		regfree(&p->env_failed.re);
	free(p);
}

static bool matches(const struct pattern *p, const struct outcome_signs *s)
{
	regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)s->output_len};
	return p->set && regexec(&p->re, s->output, 0, &range, REG_STARTEND) == 0;
}

enum outcome outcome_classify(const struct outcome_signs *s, const struct outcome_patterns *p)
{
	if (s->ok)
		return s->base ? OUTCOME_BASE : s->changed ? OUTCOME_APPLIED : OUTCOME_APPLIED_EMPTY;
	if (strcmp(s->why, "timeout") == 0)
		return OUTCOME_TIMEOUT;
	if (strcmp(s->why, "env") == 0) /* the code of the step, or its setup: nothing was stepped */
		return OUTCOME_ENV_FAILED;
	if (strcmp(s->why, "wrong") == 0)
		return OUTCOME_WRONG_TARGET;
	if (matches(&p->refused, s))
		return OUTCOME_REFUSED;
	/* The tool itself did well, but the database could not be looked at: that is no fault of the migration. */
	if (matches(&p->env_failed, s) || strcmp(s->why, "look") == 0 || strcmp(s->why, "seed") == 0)
		return OUTCOME_ENV_FAILED;
	if (strcmp(s->why, "noop") == 0)
		return OUTCOME_SILENT_NOOP;
	/* Not knowing what is there now, we do not promise that it is as before. */
	return s->changed || !s->dumped ? OUTCOME_FAILED_PARTIAL : OUTCOME_FAILED_CLEAN;
}
