/* SPDX-License-Identifier: MIT */
#include "base/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"

/* How it works: libfyaml's events are built into a tree of our own nodes, where an alias is a second pointer to the
 * anchored node. Then the tree is written out as JSON, which is when aliases and merge keys multiply, so that is where
 * the limits are counted. libfyaml's own documents are not used: they do not bound expansion and lose the place of an
 * alias. */

/* What all expanded texts and all pointers in marks may take together; a file of YAML_MAX_BYTES without aliases stays
 * far below. */
#define YAML_MAX_EXPANDED ((size_t)64 << 20)

enum kind { KIND_NULL, KIND_TEXT, KIND_SEQ, KIND_MAP };

struct node;

/* One entry of a sequence (key NULL) or mapping; line and col are the place of the key or item, 0 when unknown. */
struct item {
	const struct node *key;
	const struct node *value;
	int line, col;
	bool merge;
};

struct node {
	enum kind kind;
	bool open;  /* its end was not seen yet: an alias to it would be a cycle */
	bool plain; /* a scalar without quotes */
	int line, col;
	char *text;
	size_t len;
	struct item *items;
	size_t n, cap;
};

struct builder {
	const char *name;
	struct fy_diag *diag;
	struct fy_parser *parser;
	int line, col;     /* of the last event that had a place */
	struct node **all; /* owns every node */
	size_t n, cap;
	json_t *anchors;    /* name → index in all */
	json_t *marks;      /* borrowed from the result */
	struct buf pointer; /* of the value being written */
	size_t values;
	size_t bytes;
	struct err *err;
};

__attribute__((format(printf, 4, 5))) static int fail(struct builder *b, int line, int col, const char *fmt, ...)
{
	char cause[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(cause, sizeof cause, fmt, ap);
	va_end(ap);
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe, cause, strlen(cause), sizeof cause);
	if (line <= 0)
		return err_set(b->err, ERR_USER, 0, "%s: %s", b->name, safe.data);
	return err_set(b->err, ERR_USER, 0, "%s:%d:%d: %s", b->name, line, col, safe.data);
}

/* ---- bytes ---- */

/* Length of the well-formed UTF-8 sequence at s (RFC 3629: no overlong forms, no surrogates), or 0. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	size_t want = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;
	if (want == 1)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4 || want > n)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return want;
}

/* What YAML 1.2 section 5.1 does not allow in a file; libfyaml drops such bytes silently. */
static const char *bad_char(const unsigned char *s, size_t len)
{
	if (s[0] == 0)
		return "NUL byte";
	if ((s[0] < 0x20 && s[0] != '\t' && s[0] != '\n' && s[0] != '\r') || s[0] == 0x7f)
		return "control character";
	if (len == 2 && s[0] == 0xc2 && s[1] < 0xa0 && s[1] != 0x85)
		return "control character";
	return NULL;
}

static int check_bytes(struct builder *b, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	int line = 1, col = 1;
	for (size_t i = 0; i < len;) {
		size_t step = utf8_len(s + i, len - i);
		if (step == 0)
			return fail(b, line, col, "not UTF-8 (byte 0x%02x)", s[i]);
		const char *bad = bad_char(s + i, step);
		if (bad != NULL)
			return fail(b, line, col, "%s (0x%02x)", bad, s[i + step - 1]);
		if (s[i] == '\n') {
			line++;
			col = 1;
		} else {
			col++;
		}
		i += step;
	}
	return 0;
}

/* ---- events to nodes ---- */

static void discard(struct fy_diag *diag, void *user, const char *text, size_t len)
{
	(void)diag, (void)user, (void)text, (void)len;
}

static int open_parser(struct builder *b, const char *text, size_t len)
{
	struct fy_diag_cfg diag_cfg;
	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.fp = NULL;
	diag_cfg.output_fn = discard;
	diag_cfg.colorize = false;
	b->diag = fy_diag_create(&diag_cfg);
	if (b->diag == NULL)
		return fail(b, 0, 0, "no memory for the YAML parser");
	fy_diag_set_collect_errors(b->diag, true);
	struct fy_parse_cfg cfg = {
		.search_path = "",
		.flags = (enum fy_parse_cfg_flags)(FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE),
		.diag = b->diag,
	};
	b->parser = fy_parser_create(&cfg);
	if (b->parser == NULL || fy_parser_set_string(b->parser, text, len) != 0)
		return fail(b, 0, 0, "no memory for the YAML parser");
	return 0;
}

/* libfyaml's place of a quoted text or an alias is behind the quote or star. */
static int mark_offset(const struct fy_event *ev)
{
	if (ev->type == FYET_ALIAS)
		return 1;
	if (ev->type != FYET_SCALAR || ev->scalar.value == NULL)
		return 0;
	enum fy_scalar_style style = fy_token_scalar_style(ev->scalar.value);
	return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
}

/* The next event, or NULL with the parser's complaint. */
static struct fy_event *next_event(struct builder *b)
{
	struct fy_event *ev = fy_parser_parse(b->parser);
	if (ev != NULL) {
		const struct fy_mark *mark = fy_event_start_mark(ev);
		if (mark != NULL && mark->line >= 0) {
			b->line = mark->line + 1;
			b->col = mark->column + 1 - mark_offset(ev);
			if (b->col < 1)
				b->col = 1;
		}
		return ev;
	}
	void *iter = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(b->diag, &iter);
	if (e == NULL || e->msg == NULL)
		fail(b, b->line, b->col, "not YAML");
	else
		fail(b, e->line, e->column, "%s", e->msg);
	return NULL;
}

static struct node *new_node(struct builder *b, enum kind kind)
{
	if (b->n == YAML_MAX_NODES) {
		fail(b, b->line, b->col, "more than %d values", YAML_MAX_NODES);
		return NULL;
	}
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->all = xrealloc(b->all, b->cap, sizeof(struct node *));
	}
	struct node *node = xcalloc(1, sizeof *node);
	b->all[b->n++] = node;
	node->kind = kind;
	node->line = b->line;
	node->col = b->col;
	return node;
}

static void add_item(struct node *node, struct item item)
{
	if (node->n == node->cap) {
		node->cap = node->cap ? node->cap * 2 : 8;
		node->items = xrealloc(node->items, node->cap, sizeof *node->items);
	}
	node->items[node->n++] = item;
}

static char *token_text(struct fy_token *token, size_t *len)
{
	*len = 0;
	const char *text = token ? fy_token_get_text(token, len) : NULL;
	return xstrndup(text ? text : "", text ? *len : 0);
}

/* Tags of the YAML core schema say what a reader would guess anyway; any other would be silently without effect. */
static int check_tag(struct builder *b, struct fy_event *ev, bool *is_text)
{
	static const char *const known[] = {"str", "int", "float", "bool", "null", "map", "seq", NULL};
	static const char prefix[] = "tag:yaml.org,2002:";
	struct fy_token *token = fy_event_get_tag_token(ev);
	*is_text = false;
	if (token == NULL)
		return 0;
	size_t len;
	AUTO_FREE char *tag = token_text(token, &len);
	*is_text = strcmp(tag, "!") == 0 || strcmp(tag, "tag:yaml.org,2002:str") == 0;
	if (*is_text)
		return 0;
	for (size_t i = 0; text_starts(tag, prefix) && known[i] != NULL; i++)
		if (strcmp(tag + sizeof prefix - 1, known[i]) == 0)
			return 0;
	return fail(b, b->line, b->col, "unknown tag %s", tag);
}

static struct node *build_scalar(struct builder *b, struct fy_event *ev)
{
	bool is_text;
	if (check_tag(b, ev, &is_text) != 0)
		return NULL;
	struct node *node = new_node(b, KIND_TEXT);
	if (node == NULL)
		return NULL;
	struct fy_token *token = ev->scalar.value;
	if (fy_event_start_mark(ev) == NULL)
		node->line = node->col = 0; /* an empty value stands nowhere */
	node->text = token_text(token, &node->len);
	if (strlen(node->text) != node->len) {
		fail(b, node->line, node->col, "NUL character in a text");
		return NULL;
	}
	node->plain = token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN;
	if (node->plain && !is_text &&
	    (node->len == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0))
		node->kind = KIND_NULL;
	return node;
}

static const struct node *find_anchor(struct builder *b, struct fy_event *ev)
{
	size_t len;
	AUTO_FREE char *name = token_text(ev->alias.anchor, &len);
	const json_t *index = json_object_get(b->anchors, name);
	if (index == NULL) {
		fail(b, b->line, b->col, "no anchor &%s before this alias", name);
		return NULL;
	}
	const struct node *node = b->all[json_integer_value(index)];
	if (node->open) {
		fail(b, b->line, b->col, "alias *%s inside its own anchor", name);
		return NULL;
	}
	return node;
}

static void set_anchor(struct builder *b, struct fy_event *ev, size_t index)
{
	struct fy_token *token = fy_event_get_anchor_token(ev);
	if (token == NULL)
		return;
	size_t len;
	AUTO_FREE char *name = token_text(token, &len);
	json_object_set_new(b->anchors, name, json_integer((json_int_t)index));
}

static const struct node *build(struct builder *b, struct fy_event *ev, int depth);

static int build_seq(struct builder *b, struct node *seq, int depth)
{
	for (;;) {
		struct fy_event *ev = next_event(b);
		if (ev == NULL)
			return -1;
		if (ev->type == FYET_SEQUENCE_END) {
			fy_parser_event_free(b->parser, ev);
			return 0;
		}
		bool placed = fy_event_start_mark(ev) != NULL;
		struct item item = {.line = placed ? b->line : 0, .col = placed ? b->col : 0};
		item.value = build(b, ev, depth);
		if (item.value == NULL)
			return -1;
		add_item(seq, item);
	}
}

/* Checks a key and remembers it in seen (key → line). */
static int check_key(struct builder *b, const struct item *item, json_t *seen)
{
	const struct node *key = item->key;
	if (key->kind != KIND_TEXT)
		return fail(b, item->line ? item->line : b->line, item->col ? item->col : b->col,
			    "a key must be a text, not %s",
			    key->kind == KIND_NULL  ? "null"
			    : key->kind == KIND_SEQ ? "a list"
						    : "a mapping");
	const json_t *first = json_object_get(seen, key->text);
	if (first != NULL)
		return fail(b, item->line, item->col, "duplicate key %.80s (first in line %d)", key->text,
			    (int)json_integer_value(first));
	if (json_object_set_new(seen, key->text, json_integer(item->line)) != 0)
		return fail(b, item->line, item->col, "key is not UTF-8");
	return 0;
}

static int build_map(struct builder *b, struct node *map, json_t *seen, int depth)
{
	for (;;) {
		struct fy_event *ev = next_event(b);
		if (ev == NULL)
			return -1;
		if (ev->type == FYET_MAPPING_END) {
			fy_parser_event_free(b->parser, ev);
			return 0;
		}
		bool placed = fy_event_start_mark(ev) != NULL;
		bool alias = ev->type == FYET_ALIAS;
		struct item item = {.line = placed ? b->line : 0, .col = placed ? b->col : 0};
		item.key = build(b, ev, depth);
		if (item.key == NULL || check_key(b, &item, seen) != 0)
			return -1;
		item.merge = item.key->plain && !alias && strcmp(item.key->text, "<<") == 0;
		ev = next_event(b);
		if (ev == NULL)
			return -1;
		item.value = build(b, ev, depth);
		if (item.value == NULL)
			return -1;
		add_item(map, item);
	}
}

static struct node *build_collection(struct builder *b, struct fy_event *ev, int depth)
{
	bool is_text;
	if (check_tag(b, ev, &is_text) != 0)
		return NULL;
	if (is_text) {
		fail(b, b->line, b->col, "a text tag on a list or mapping");
		return NULL;
	}
	if (depth >= YAML_MAX_DEPTH) {
		fail(b, b->line, b->col, "nested deeper than %d", YAML_MAX_DEPTH);
		return NULL;
	}
	bool is_map = ev->type == FYET_MAPPING_START;
	struct node *node = new_node(b, is_map ? KIND_MAP : KIND_SEQ);
	if (node == NULL)
		return NULL;
	node->open = true;
	set_anchor(b, ev, b->n - 1);
	json_t *seen = is_map ? json_object() : NULL;
	int rc = is_map ? build_map(b, node, seen, depth + 1) : build_seq(b, node, depth + 1);
	json_decref(seen);
	node->open = false;
	return rc == 0 ? node : NULL;
}

/* Builds the node that begins with ev, and frees ev. */
static const struct node *build(struct builder *b, struct fy_event *ev, int depth)
{
	const struct node *node = NULL;
	if (ev->type == FYET_ALIAS) {
		node = find_anchor(b, ev);
	} else if (ev->type == FYET_SCALAR) {
		node = build_scalar(b, ev);
		if (node != NULL)
			set_anchor(b, ev, b->n - 1);
	} else if (ev->type == FYET_MAPPING_START || ev->type == FYET_SEQUENCE_START) {
		node = build_collection(b, ev, depth);
	} else {
		fail(b, b->line, b->col, "not YAML");
	}
	fy_parser_event_free(b->parser, ev);
	return node;
}

/* Reads the stream, which must hold one document. */
static const struct node *build_stream(struct builder *b)
{
	const struct node *root = NULL;
	for (;;) {
		struct fy_event *ev = next_event(b);
		if (ev == NULL)
			return NULL;
		enum fy_event_type type = ev->type;
		if (type == FYET_DOCUMENT_START && root != NULL) {
			fail(b, b->line, b->col, "a second document; only one is read");
			fy_parser_event_free(b->parser, ev);
			return NULL;
		}
		if (type == FYET_STREAM_START || type == FYET_STREAM_END || type == FYET_DOCUMENT_START ||
		    type == FYET_DOCUMENT_END) {
			fy_parser_event_free(b->parser, ev);
			if (type != FYET_STREAM_END)
				continue;
			if (root == NULL || root->kind == KIND_NULL)
				fail(b, 0, 0, "empty");
			return root != NULL && root->kind != KIND_NULL ? root : NULL;
		}
		root = build(b, ev, 0);
		if (root == NULL)
			return NULL;
	}
}

/* ---- nodes to JSON ---- */

/* Counts work and memory that aliases can multiply. */
static int charge(struct builder *b, const struct node *at, size_t values, size_t bytes)
{
	b->values += values;
	if (b->values > YAML_MAX_NODES)
		return fail(b, at->line, at->col, "more than %d values with all aliases expanded", YAML_MAX_NODES);
	b->bytes += bytes;
	if (b->bytes > YAML_MAX_EXPANDED)
		return fail(b, at->line, at->col, "more than %zu MiB with all aliases expanded",
			    YAML_MAX_EXPANDED >> 20);
	return 0;
}

/* Appends "/key" as RFC 6901 writes it; returns the length before, for pop_pointer(). */
static size_t push_pointer(struct builder *b, const char *key)
{
	size_t before = b->pointer.len;
	buf_addc(&b->pointer, '/');
	for (; *key != '\0'; key++) {
		if (*key == '~')
			buf_adds(&b->pointer, "~0");
		else if (*key == '/')
			buf_adds(&b->pointer, "~1");
		else
			buf_addc(&b->pointer, *key);
	}
	return before;
}

static void pop_pointer(struct builder *b, size_t before)
{
	b->pointer.len = before;
	b->pointer.data[before] = '\0';
}

static void set_mark(struct builder *b, int line, int col)
{
	if (line > 0)
		json_object_set_new(b->marks, b->pointer.data, json_pack("[ii]", line, col));
}

static json_t *emit(struct builder *b, const struct node *node, int depth);

/* Writes the item's value as key into out, with its mark. */
static int emit_item(struct builder *b, json_t *out, const char *key, const struct item *item, int depth)
{
	size_t before = push_pointer(b, key);
	int rc = charge(b, item->value, 0, b->pointer.len);
	json_t *value = NULL;
	if (rc == 0) {
		set_mark(b, item->line, item->col);
		value = emit(b, item->value, depth);
		rc = value == NULL        ? -1
		     : json_is_array(out) ? json_array_append_new(out, value)
					  : json_object_set_new(out, key, value); /* takes value, also on failure */
		if (rc != 0 && value != NULL)
			fail(b, item->line, item->col, "text is not UTF-8");
	}
	pop_pointer(b, before);
	return rc;
}

static int merge(struct builder *b, json_t *out, const struct item *at, const struct node *from, int depth);

/* Adds the pairs of map that out has not yet: its own, then those it merges. */
static int emit_pairs(struct builder *b, json_t *out, const struct node *map, int depth)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct item *item = &map->items[i];
		if (item->merge)
			continue;
		if (json_object_get(out, item->key->text) != NULL) {
			if (charge(b, item->key, 1, 0) != 0)
				return -1;
		} else if (emit_item(b, out, item->key->text, item, depth) != 0) {
			return -1;
		}
	}
	for (size_t i = 0; i < map->n; i++)
		if (map->items[i].merge && merge(b, out, &map->items[i], map->items[i].value, depth + 1) != 0)
			return -1;
	return 0;
}

/* The value of a merge key: a mapping, or a list of mappings of which the earlier win. */
static int merge(struct builder *b, json_t *out, const struct item *at, const struct node *from, int depth)
{
	if (depth > YAML_MAX_DEPTH)
		return fail(b, at->line, at->col, "merged deeper than %d", YAML_MAX_DEPTH);
	if (charge(b, from, 1, 0) != 0)
		return -1;
	if (from->kind == KIND_MAP)
		return emit_pairs(b, out, from, depth);
	if (from->kind != KIND_SEQ)
		return fail(b, at->line, at->col, "<< merges a mapping or a list of mappings");
	for (size_t i = 0; i < from->n; i++) {
		if (from->items[i].value->kind != KIND_MAP)
			return fail(b, at->line, at->col, "<< merges a mapping or a list of mappings");
		if (merge(b, out, at, from->items[i].value, depth + 1) != 0)
			return -1;
	}
	return 0;
}

static json_t *emit_seq(struct builder *b, const struct node *node, int depth)
{
	json_t *out = json_array();
	for (size_t i = 0; i < node->n; i++) {
		char index[24];
		snprintf(index, sizeof index, "%zu", i);
		if (emit_item(b, out, index, &node->items[i], depth) != 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static json_t *emit_map(struct builder *b, const struct node *node, int depth)
{
	json_t *out = json_object();
	if (emit_pairs(b, out, node, depth) != 0) {
		json_decref(out);
		return NULL;
	}
	return out;
}

static json_t *emit(struct builder *b, const struct node *node, int depth)
{
	if (charge(b, node, 1, node->len) != 0)
		return NULL;
	if (node->kind == KIND_NULL)
		return json_null();
	if (node->kind == KIND_TEXT) {
		json_t *text = json_stringn(node->text, node->len);
		if (text == NULL)
			fail(b, node->line, node->col, "text is not UTF-8");
		return text;
	}
	if (depth >= YAML_MAX_DEPTH) {
		fail(b, node->line, node->col, "nested deeper than %d", YAML_MAX_DEPTH);
		return NULL;
	}
	return node->kind == KIND_SEQ ? emit_seq(b, node, depth + 1) : emit_map(b, node, depth + 1);
}

/* ---- public ---- */

static void finish_builder(struct builder *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->all[i]->text);
		free(b->all[i]->items);
		free(b->all[i]);
	}
	free(b->all);
	json_decref(b->anchors);
	buf_finish(&b->pointer);
	if (b->parser != NULL)
		fy_parser_destroy(b->parser);
	if (b->diag != NULL)
		fy_diag_destroy(b->diag);
}

static json_t *parse(struct builder *b, const char *text, size_t len)
{
	if (len > YAML_MAX_BYTES) {
		fail(b, 0, 0, "larger than %zu KiB", YAML_MAX_BYTES >> 10);
		return NULL;
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark is no content */
		text += 3;
		len -= 3;
	}
	if (check_bytes(b, text, len) != 0 || open_parser(b, text, len) != 0)
		return NULL;
	const struct node *root = build_stream(b);
	if (root == NULL)
		return NULL;
	set_mark(b, 1, 1);
	return emit(b, root, 0);
}

int yaml_parse(struct yaml *y, const char *name, const char *text, size_t len, struct err *err)
{
	*y = (struct yaml){.name = xstrdup(name), .marks = json_object()};
	struct builder b = {
		.name = name,
		.anchors = json_object(),
		.marks = y->marks,
		.pointer = buf_make(YAML_MAX_EXPANDED),
		.err = err,
	};
	y->root = parse(&b, text, len);
	finish_builder(&b);
	if (y->root != NULL)
		return 0;
	yaml_finish(y);
	return -1;
}

int yaml_load(struct yaml *y, const char *path, struct err *err)
{
	*y = (struct yaml){.root = NULL};
	AUTO_BUF text = buf_make(YAML_MAX_BYTES);
	if (fs_read(path, YAML_MAX_BYTES, &text, err) != 0)
		return -1;
	return yaml_parse(y, path, text.data, text.len, err);
}

void yaml_finish(struct yaml *y)
{
	json_decref(y->root);
	json_decref(y->marks);
	free(y->name);
	*y = (struct yaml){.root = NULL};
}

int yaml_err(const struct yaml *y, const char *pointer, struct err *err, const char *fmt, ...)
{
	char cause[800];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(cause, sizeof cause, fmt, ap);
	va_end(ap);
	AUTO_FREE char *at = xstrdup(pointer);
	const json_t *mark = json_object_get(y->marks, at);
	for (char *slash; mark == NULL && (slash = strrchr(at, '/')) != NULL;) {
		*slash = '\0';
		mark = json_object_get(y->marks, at);
	}
	if (mark == NULL)
		return err_set(err, ERR_USER, 0, "%s: %s", y->name, cause);
	return err_set(err, ERR_USER, 0, "%s:%d:%d: %s", y->name, (int)json_integer_value(json_array_get(mark, 0)),
		       (int)json_integer_value(json_array_get(mark, 1)), cause);
}
