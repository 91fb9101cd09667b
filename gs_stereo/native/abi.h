// What the libraries of this folder share at their C interface, each library's interface.h.
//
// A function takes pointers to structs and returns a Code; what went wrong is said by gs_message(). Structs hold arrays
// as pointers, with the sizes beside them; Python checks the arrays against the sizes, C++ checks values that lead to
// an address (indices, and sizes that must agree). No C++ type and no exception crosses the interface.
//
// library.py reads an interface.h too: a line of a struct declares fields of one type, a comment behind it gives the
// shape of the arrays that they point to, `[rows, 3] or null`, by numbers and fields of the struct. A pointer without a
// shape leads to structs that stand above (their number beside it), or, if there are none of that name, is opaque.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>

#define GS_EXPORT extern "C" __attribute__((visibility("default")))

namespace gs {

// Goes up when a struct or a function changes its meaning but not its size. A library that was built with another
// number than this file has now is refused.
constexpr int32_t kAbi = 2;

// The error of errors.py that a call ends with.
enum Code : int32_t { kOk = 0, kInputError = 1, kStageError = 2 };

inline thread_local char message[256] = "";

__attribute__((format(printf, 2, 3))) inline void require(bool good, const char* format, ...) {
  if (good) return;
  va_list values;
  va_start(values, format);
  std::vsnprintf(message, sizeof message, format, values);
  va_end(values);
  throw kInputError;
}

inline Code failure(Code code, const char* text) {
  std::snprintf(message, sizeof message, "%s", text);
  return code;
}

// Runs a function's work. `exhausted` says what to do when there is not enough memory.
template <class Work>
int32_t guarded(const char* exhausted, Work work) {
  try {
    work();
    return kOk;
  } catch (Code code) {
    return code;
  } catch (const std::exception&) {  // bad_alloc, or a vector longer than there can be
    return failure(kStageError, exhausted);
  }
}

struct StructSize {
  const char* name;
  int64_t bytes;
};

}  // namespace gs

// Once a library: what Python asks before it calls anything else. Takes {"Name", sizeof(Name)} of every struct.
#define GS_LIBRARY(...)                                                \
  GS_EXPORT int32_t gs_abi() { return gs::kAbi; }                      \
  GS_EXPORT const char* gs_message() { return gs::message; }           \
  GS_EXPORT int64_t gs_struct_bytes(const char* name) {                \
    const gs::StructSize structs[] = {__VA_ARGS__};                    \
    for (const gs::StructSize& known : structs)                        \
      if (std::strcmp(known.name, name) == 0) return known.bytes;      \
    return -1;                                                         \
  }
