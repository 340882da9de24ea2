/*
 * Whether this is a sanitizer build, under gcc and clang alike: SANITIZED, and
 * SANITIZED_THREAD for ThreadSanitizer; 0 or 1.
 */
#ifndef PROTO_RUNTIME_SANITIZE_H
#define PROTO_RUNTIME_SANITIZE_H

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define SANITIZED_THREAD 1
#else
#define SANITIZED_THREAD 0
#endif

#if SANITIZED_THREAD || defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#if SANITIZED && defined(NDEBUG)
#error "sanitizer builds check assertions: -UNDEBUG (CMakeLists.txt)"
#endif

#endif
