/* SPDX-License-Identifier: MIT */
#include "cloud/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

static void assert_fault(int status, const char *body, const char *expected)
{
	char out[FAULT_MAX];
	fault_text(NULL, status, body, strlen(body), out);
	assert_string_equal(out, expected);
}

/* Bodies as real services sent them. */
static void test_shapes(void **state)
{
	(void)state;
	assert_fault(403,
		     "{\"forbidden\": {\"code\": 403, \"message\": \"Quota exceeded for instances: Requested 11, but "
		     "already "
		     "used 0 of 10 instances\"}}",
		     "Quota exceeded for instances: Requested 11, but already used 0 of 10 instances");
	assert_fault(
		401,
		"{\"error\":{\"code\":401,\"message\":\"The request you have made requires authentication.\",\"title\":"
		"\"Unauthorized\"}}",
		"The request you have made requires authentication.");
	assert_fault(409,
		     "{\"NeutronError\": {\"type\": \"SecurityGroupInUse\", \"message\": \"Security Group fe722eb5 in "
		     "use.\", \"detail\": \"\"}}",
		     "Security Group fe722eb5 in use.");
	assert_fault(400, "{\"NeutronError\": \"a bare string\"}", "a bare string");
	assert_fault(404,
		     "{\"message\": \"The resource could not be found.<br /><br />\\n\\n\\n\", \"code\": \"404 Not "
		     "Found\", \"title\": \"Not Found\"}",
		     "The resource could not be found.");
	assert_fault(413,
		     "{\"overLimit\":{\"code\":413,\"message\":\"OverLimit Retry...\",\"details\":\"Error "
		     "Details...\",\"retryAt\":\"2012-11-27T17:29:55Z\"}}",
		     "OverLimit Retry...");
	assert_fault(409, "{\"errors\": [{\"status\": 409, \"title\": \"Conflict\", \"detail\": \"in use\"}]}",
		     "in use");
	assert_fault(401, "Authentication required", "Authentication required");
	assert_fault(500, "{\"computeFault\": {\"code\": 500, \"message\": \"\"}}", "Internal Server Error");
}

static void test_no_json(void **state)
{
	(void)state;
	assert_fault(502, "", "Bad Gateway");
	assert_fault(418, "", "refused");
	assert_fault(599, " \n\t", "server error");
	assert_fault(503, "null", "null");
	assert_fault(503, "{}", "Service Unavailable");
	assert_fault(503, "[1,2]", "Service Unavailable");
	assert_fault(502,
		     "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
		     "Gateway</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>",
		     "Bad Gateway nginx/1.18.0");
	assert_fault(
		503,
		"<!DOCTYPE HTML><!-- > --><html><head><style>b{}</style><title>Busy &amp; closed</title></head><body "
		"a='b'><script>x()</script></body></html>",
		"Busy & closed");
	assert_fault(
		404,
		"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested "
		"URL was not found.</p>",
		"Not Found The requested URL was not found.");
	assert_fault(500, "<html><body>cut in the mid", "cut in the mid");
	assert_fault(500, "<html><body", "Internal Server Error");
}

static void test_truncated(void **state)
{
	(void)state;
	assert_fault(403, "{\"forbidden\": {\"code\": 403, \"message\": \"Quota exceeded for co",
		     "Quota exceeded for co");
	assert_fault(403, "{\"forbidden\": {\"message\": \"a \\\"b\\\" \\u00e4\\n\\", "a \"b\" ä");
	assert_fault(403, "{\"forbidden\": {\"message\"", "{\"forbidden\": {\"message\"");
	assert_fault(403, "{\"message\": \"\\u00", "?");
}

static void test_markup_that_is_text(void **state)
{
	(void)state;
	assert_fault(400, "{\"message\": \"give <uuid> or <br/> a < b && c &lt;d&gt; &#39;e&#x27;\"}",
		     "give <uuid> or a < b && c <d> 'e'");
	assert_fault(400, "{\"message\": \"1 &#0; &#x110000; &#xD800; &#; &#x; &#9999999999; &\"}",
		     "1 ? ? ? &#; &#x; &#9999999999; &");
}

static void test_safe_and_short(void **state)
{
	(void)state;
	char out[FAULT_MAX];
	assert_fault(400, "{\"message\": \"\\u001b[31mred\\u0000gone\"}", "\\x1b[31mred");
	assert_fault(400,
		     "a\x1b]0;title\x07"
		     "b",
		     "a\\x1b]0;title\\x07b");
	AUTO_BUF body = buf_make(BUF_TEXT_MAX);
	while (body.len < 3000)
		buf_adds(&body, "\xc3\xa4x ");
	fault_text(NULL, 400, body.data, body.len, out);
	assert_in_range(strlen(out), FAULT_MAX - 10, FAULT_MAX - 1);
	assert_string_equal(out + strlen(out) - 3, "…");
}

static void assert_cut(const struct secrets *s, const char *text, const char *expected)
{
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	secrets_cut(s, &b, text, strlen(text));
	assert_string_equal(b.data, expected);
}

static void test_base64(void **state)
{
	(void)state;
	assert_cut(NULL, "req-8fd6c1f8-3d05-4d5b-8d5e-7d6a0b7a9b1c", "req-8fd6c1f8-3d05-4d5b-8d5e-7d6a0b7a9b1c");
	assert_cut(NULL, "01234567890123456789012345678901234567890123",
		   "01234567890123456789012345678901234567890123");
	assert_cut(NULL, "x 012345678901234567890123456789012345678901234 y", "x [cut] y");
	assert_cut(NULL, "'I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogZGVtb3B3I2Nsb3VkLWNvbmZpZw=='", "'[cut]'");
	/* wrapped, with a short last line */
	assert_cut(NULL, "I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogZGVtb3B3I2Nsb3VkLWNvbmZpZwx\nb3B3\n tail", "[cut]\n tail");
	assert_cut(NULL, "I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogZGVtb3B3I2Nsb3VkLWNvbmZpZwx\\nb3B3. tail", "[cut]. tail");
	/* paths are no base64 */
	assert_cut(NULL, "GET http://h/compute/servers/0781c6656793424e83ec61e6734312f1/os-interface/port",
		   "GET http://h/compute/servers/0781c6656793424e83ec61e6734312f1/os-interface/port");
	assert_cut(NULL, "/a/0781c6656793424e83ec61e6734312f10781c6656793424e83ec61e6734312f1", "[cut]");
}

/* nova's schema errors repeat the value: up to 174 kB in the wild. */
static void test_echo_of_user_data(void **state)
{
	(void)state;
	static char raw[60000], out[FAULT_MAX];
	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (char)(i * 7 + i / 251);
	AUTO_BUF body = buf_make(BUF_TEXT_MAX);
	buf_adds(
		&body,
		"{\"badRequest\": {\"code\": 400, \"message\": \"Invalid input for field/attribute user_data. Value: ");
	base64_encode(&body, raw, sizeof(raw));
	buf_adds(&body, ". '");
	base64_encode(&body, raw, sizeof(raw));
	buf_adds(&body, "' is too long\"}}");
	fault_text(NULL, 400, body.data, body.len, out);
	/* Only so much is looked at: the end of such a long message is not seen. */
	assert_string_equal(out, "Invalid input for field/attribute user_data. Value: [cut]");
}

static void test_secrets(void **state)
{
	(void)state;
	struct secrets s = {0};
	secrets_add(&s, NULL);
	secrets_add(&s, "");
	assert_int_equal(s.n, 0);
	secrets_add(&s, "pä<ss>'\"\\ w&rd");
	secrets_add(&s, "demo");
	assert_cut(&s, "a pä<ss>'\"\\ w&rd b", "a [cut] b");
	assert_cut(&s, "{\"p\": \"pä<ss>'\\\"\\\\ w&rd\"}", "{\"p\": \"[cut]\"}");
	assert_cut(&s, "{\"p\": \"p\\u00E4<ss>'\\\"\\\\ w&rd\"}", "{\"p\": \"[cut]\"}");
	assert_cut(&s, "{'p': 'pä<ss>\\'\"\\\\ w&rd'}", "{'p': '[cut]'}");
	assert_cut(&s, "<b>pä&lt;ss&gt;&#39;&#34;\\ w&amp;rd</b>", "<b>[cut]</b>");
	assert_cut(&s, "<b>pä&lt;ss&gt;&#x27;&quot;\\ w&amp;rd</b>", "<b>[cut]</b>");
	assert_cut(&s, "?p=p%C3%A4%3Css%3E%27%22%5C%20w%26rd&q", "?p=[cut]&q");
	assert_cut(&s, "cMOkPHNzPicic=", "cMOkPHNzPicic="); /* another one */
	/* short ones as words only */
	assert_cut(&s, "demo democracy demo2 _demo (demo)", "[cut] democracy demo2 _demo ([cut])");
	/* somebody cut the text */
	assert_cut(&s, "Value: pä<ss>'\"", "Value: [cut]");
	assert_cut(&s, "Value: pä", "Value: pä");
	assert_cut(&s, "", "");
	secrets_finish(&s);
	assert_int_equal(s.n, 0);
}

static void test_secret_in_base64(void **state)
{
	(void)state;
	struct secrets s = {0};
	secrets_add(&s, "correct horse");
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	buf_adds(&b, "Basic ");
	base64_encode(&b, "correct horse", strlen("correct horse"));
	assert_cut(&s, b.data, "Basic [cut]==");
	secrets_finish(&s);
}

static void test_secrets_in_faults(void **state)
{
	(void)state;
	struct secrets s = {0};
	char out[FAULT_MAX];
	secrets_add(&s, "s3cr<br>et & co");
	static const char *const bodies[] = {
		"{\"error\": {\"message\": \"no: s3cr<br>et & co\"}}",
		"{\"error\": {\"message\": \"no: s3cr&lt;br&gt;et &amp; co\"}}",
		"<html><body>no: s3cr&lt;br&gt;et\n &amp;\tco</body></html>",
		"<html><body>no: s3cr<br>et & co</body></html>",
		"{\"error\": {\"message\": \"no: s3cr<br>et & c",
		"no: s3cr<br>et & co",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		fault_text(&s, 401, bodies[i], strlen(bodies[i]), out);
		assert_string_equal(out, "no: [cut]");
	}
	char text[20] = "is s3cr<br>et & co!";
	secrets_cut_text(&s, text, sizeof(text));
	assert_string_equal(text, "is [cut]!");
	secrets_finish(&s);
}

static void test_cut_text_grows(void **state)
{
	(void)state;
	struct secrets s = {0};
	secrets_add(&s, "x");
	char text[9] = "x x ä";
	secrets_cut_text(&s, text, sizeof(text));
	assert_string_equal(text, "[cut] [c");
	secrets_finish(&s);
	char umlauts[8] = "äää";
	secrets_cut_text(NULL, umlauts, 6);
	assert_string_equal(umlauts, "ää");
}

static void test_many_secrets(void **state)
{
	(void)state;
	struct secrets s = {0};
	for (int i = 0; i < 2 * SECRETS_MAX; i++) {
		char text[32];
		snprintf(text, sizeof(text), "secret number %d", i);
		secrets_add(&s, text);
	}
	assert_in_range(s.n, 1, SECRETS_MAX);
	secrets_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_no_json),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_markup_that_is_text),
		cmocka_unit_test(test_safe_and_short),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_echo_of_user_data),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_secret_in_base64),
		cmocka_unit_test(test_secrets_in_faults),
		cmocka_unit_test(test_cut_text_grows),
		cmocka_unit_test(test_many_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
