/* SPDX-License-Identifier: MIT */
/* Functions that must not be used become compile errors (as in git). Their own headers come first, so that their
 * declarations are not hit; base/mem.h includes this file, so everybody has it.
 *
 * Unbounded writes: strcpy strcat sprintf vsprintf. No terminator: strncpy. Hidden shared state: strtok gmtime
 * localtime. Errors that cannot be seen: atoi atol sscanf. A shell between us and the program: system popen. */
#ifndef STEPBOX_BASE_BANNED_H
#define STEPBOX_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#define strcpy(...) sorry_strcpy_is_banned_use_struct_buf
#undef strcat
#define strcat(...) sorry_strcat_is_banned_use_struct_buf
#undef strncpy
#define strncpy(...) sorry_strncpy_is_banned_use_snprintf
#undef sprintf
#define sprintf(...) sorry_sprintf_is_banned_use_snprintf
#undef vsprintf
#define vsprintf(...) sorry_vsprintf_is_banned_use_vsnprintf
#undef strtok
#define strtok(...) sorry_strtok_is_banned_use_strchr_or_strcspn
#undef atoi
#define atoi(...) sorry_atoi_is_banned_use_text_parse_int
#undef atol
#define atol(...) sorry_atol_is_banned_use_text_parse_int
#undef sscanf
#define sscanf(...) sorry_sscanf_is_banned_use_text_parse_int
#undef gmtime
#define gmtime(...) sorry_gmtime_is_banned_use_clock_iso_or_gmtime_r
#undef localtime
#define localtime(...) sorry_localtime_is_banned_use_localtime_r
#undef system
#define system(...) sorry_system_is_banned_use_proc_run
#undef popen
#define popen(...) sorry_popen_is_banned_use_proc_run

#endif
