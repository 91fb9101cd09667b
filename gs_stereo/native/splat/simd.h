// One vector of floats of the machine's native width, for GCC (11 or newer) and clang.
//
// Everything else in the engine is written against this file. `F` is kLanes floats, `I` as many int32, `M` a mask.
// Arithmetic on F and I uses the compilers' vector extensions (operators work lane by lane, scalars broadcast);
// only what those cannot say well has a version for each instruction set: masks, minimum, square root, reciprocal,
// sums across lanes. Wider vectors than the hardware's are slower, hence one build of the engine a level.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define GSS_INLINE inline __attribute__((always_inline))
#define GSS_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define GSS_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

namespace gss {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define GSS_LANES 16
#elif defined(__AVX2__)
#define GSS_LANES 8
#else
#define GSS_LANES 4
#endif

constexpr int kLanes = GSS_LANES;
typedef float F __attribute__((vector_size(4 * GSS_LANES)));
typedef int32_t I __attribute__((vector_size(4 * GSS_LANES)));
typedef float F4 __attribute__((vector_size(16)));

GSS_INLINE F splat(float value) { return F{} + value; }
GSS_INLINE I splat_int(int32_t value) { return I{} + value; }

GSS_INLINE F load(const float* from) {
  F value;
  std::memcpy(&value, from, sizeof(F));
  return value;
}
GSS_INLINE void store(float* to, F value) { std::memcpy(to, &value, sizeof(F)); }
GSS_INLINE F4 load4(const float* from) {
  F4 value;
  std::memcpy(&value, from, sizeof(F4));
  return value;
}
GSS_INLINE void store4(float* to, F4 value) { std::memcpy(to, &value, sizeof(F4)); }

// The rows of a tile that one vector covers: a whole vector, or its lower and upper half.
GSS_INLINE F load_rows(const float* from, [[maybe_unused]] int64_t stride) {
#if GSS_LANES == 16
  return (F)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(from)), _mm256_loadu_ps(from + stride), 1);
#else
  return load(from);
#endif
}
GSS_INLINE void store_rows(float* to, [[maybe_unused]] int64_t stride, F value) {
#if GSS_LANES == 16
  _mm256_storeu_ps(to, _mm512_castps512_ps256((__m512)value));
  _mm256_storeu_ps(to + stride, _mm512_extractf32x8_ps((__m512)value, 1));
#else
  store(to, value);
#endif
}

GSS_INLINE I bits(F value) { return (I)value; }
GSS_INLINE F from_bits(I value) { return (F)value; }

// 0, 1, 2, ... in the lanes.
GSS_INLINE F lane_index() {
  F value;
  for (int lane = 0; lane < kLanes; lane++) value[lane] = float(lane);
  return value;
}

// --- masks ----------------------------------------------------------------------------------------------------

#if GSS_LANES == 16

typedef __mmask16 M;
GSS_INLINE M less(F a, F b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
GSS_INLINE M less_equal(F a, F b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ); }
GSS_INLINE M both(M a, M b) { return a & b; }
GSS_INLINE M either(M a, M b) { return a | b; }
GSS_INLINE M not_in(M a, M b) { return M(~a & b); }  // in b but not in a
GSS_INLINE bool any(M mask) { return mask != 0; }
GSS_INLINE int to_bits(M mask) { return mask; }
GSS_INLINE F select(M mask, F yes, F no) { return (F)_mm512_mask_blend_ps(mask, (__m512)no, (__m512)yes); }
GSS_INLINE F keep(M mask, F value) { return (F)_mm512_maskz_mov_ps(mask, (__m512)value); }
GSS_INLINE F min(F a, F b) { return (F)_mm512_min_ps((__m512)a, (__m512)b); }
GSS_INLINE F max(F a, F b) { return (F)_mm512_max_ps((__m512)a, (__m512)b); }
GSS_INLINE F sqrt(F a) { return (F)_mm512_sqrt_ps((__m512)a); }
GSS_INLINE F reciprocal_estimate(F a) { return (F)_mm512_rcp14_ps((__m512)a); }

#else

typedef I M;
GSS_INLINE M less(F a, F b) { return a < b; }
GSS_INLINE M less_equal(F a, F b) { return a <= b; }
GSS_INLINE M both(M a, M b) { return a & b; }
GSS_INLINE M either(M a, M b) { return a | b; }
GSS_INLINE M not_in(M a, M b) { return ~a & b; }
GSS_INLINE F keep(M mask, F value) { return from_bits(mask & bits(value)); }

#if GSS_LANES == 8
GSS_INLINE int to_bits(M mask) { return _mm256_movemask_ps((__m256)mask); }
GSS_INLINE bool any(M mask) { return to_bits(mask) != 0; }
GSS_INLINE F select(M mask, F yes, F no) { return (F)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)mask); }
GSS_INLINE F min(F a, F b) { return (F)_mm256_min_ps((__m256)a, (__m256)b); }
GSS_INLINE F max(F a, F b) { return (F)_mm256_max_ps((__m256)a, (__m256)b); }
GSS_INLINE F sqrt(F a) { return (F)_mm256_sqrt_ps((__m256)a); }
GSS_INLINE F reciprocal_estimate(F a) { return (F)_mm256_rcp_ps((__m256)a); }
#elif defined(__SSE2__)
GSS_INLINE int to_bits(M mask) { return _mm_movemask_ps((__m128)mask); }
GSS_INLINE bool any(M mask) { return to_bits(mask) != 0; }
GSS_INLINE F select(M mask, F yes, F no) { return from_bits((mask & bits(yes)) | (~mask & bits(no))); }
GSS_INLINE F min(F a, F b) { return (F)_mm_min_ps((__m128)a, (__m128)b); }
GSS_INLINE F max(F a, F b) { return (F)_mm_max_ps((__m128)a, (__m128)b); }
GSS_INLINE F sqrt(F a) { return (F)_mm_sqrt_ps((__m128)a); }
GSS_INLINE F reciprocal_estimate(F a) { return (F)_mm_rcp_ps((__m128)a); }
#else
GSS_INLINE int to_bits(M mask) { return (mask[0] & 1) | (mask[1] & 2) | (mask[2] & 4) | (mask[3] & 8); }
#if defined(__ARM_NEON) && defined(__aarch64__)
GSS_INLINE bool any(M mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }
GSS_INLINE F sqrt(F a) { return (F)vsqrtq_f32((float32x4_t)a); }
#else
GSS_INLINE bool any(M mask) { return to_bits(mask) != 0; }
GSS_INLINE F sqrt(F a) { return F{std::sqrt(a[0]), std::sqrt(a[1]), std::sqrt(a[2]), std::sqrt(a[3])}; }
#endif
GSS_INLINE F select(M mask, F yes, F no) { return from_bits((mask & bits(yes)) | (~mask & bits(no))); }
GSS_INLINE F min(F a, F b) { return select(a < b, a, b); }
GSS_INLINE F max(F a, F b) { return select(a > b, a, b); }
#endif
#endif

GSS_INLINE bool all(M mask) { return to_bits(mask) == (1 << kLanes) - 1; }
GSS_INLINE F clamp(F value, F low, F high) { return min(max(value, low), high); }
GSS_INLINE F absolute(F value) { return from_bits(bits(value) & splat_int(0x7fffffff)); }

// NaN and infinity have the largest bit patterns, so a maximum of integers finds them.
GSS_INLINE F max_magnitude(F largest, F value) {
  const I a = bits(largest), b = bits(absolute(value));
#if GSS_LANES == 16
  return (F)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif GSS_LANES == 8
  return (F)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
  const I larger = a < b;
  return from_bits((larger & b) | (~larger & a));
#endif
}
GSS_INLINE M finite_lanes(F value) {
  const I exponent = bits(value) & splat_int(0x7f800000);
  return less(__builtin_convertvector(exponent, F), splat(float(0x7f800000)));
}

// 1 / a to about 1e-7: the hardware's estimate and one Newton step, where there is one.
GSS_INLINE F reciprocal(F a) {
#if defined(__SSE2__)
  const F estimate = reciprocal_estimate(a);
  return estimate * (2.0f - a * estimate);
#else
  return 1.0f / a;
#endif
}

// --- elementary functions -------------------------------------------------------------------------------------

constexpr float kLog2E = 1.4426950408889634f;

// 2^fraction for |fraction| <= 1/2: minimax polynomial of degree 5, relative error 2e-7.
constexpr int kExp2Terms = 6;
constexpr float kExp2[kExp2Terms] = {1.33988744e-3f, 9.61843000e-3f, 5.55033000e-2f, 2.40226479e-1f, 6.93147180e-1f, 1.0f};
GSS_INLINE F exp2_fraction(F fraction) {
  F value = kExp2[0] * fraction + kExp2[1];
  for (int term = 2; term < kExp2Terms; term++) value = value * fraction + kExp2[term];
  return value;
}

// 2^power for several vectors where `shown`, else 0; |power| <= 126 where shown. The vectors advance side by side,
// because one alone would mostly wait for its own results.
template <int kCount>
GSS_INLINE void exp2_each(F* powers, const M* shown) {
#if GSS_LANES == 16
  // Minimax polynomial of degree 5 on [0, 1): relative error 1.5e-7 with its rounding.
  constexpr float kTerms[] = {1.87757669e-3f, 8.98933969e-3f, 5.58263175e-2f, 2.40153611e-1f, 6.93153083e-1f, 0.99999994f};
  constexpr int kRoundDown = 1;
  F value[kCount], fraction[kCount];
  for (int i = 0; i < kCount; i++) fraction[i] = (F)_mm512_reduce_ps((__m512)powers[i], kRoundDown);
  for (int i = 0; i < kCount; i++) value[i] = kTerms[0] * fraction[i] + kTerms[1];
  for (int term = 2; term < kExp2Terms; term++)
    for (int i = 0; i < kCount; i++) value[i] = value[i] * fraction[i] + kTerms[term];
  for (int i = 0; i < kCount; i++) powers[i] = (F)_mm512_maskz_scalef_ps(shown[i], (__m512)value[i], (__m512)powers[i]);
#else
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits, which then go straight into the exponent: no
  // -ffast-math here, it would fold the two additions away.
  const F shifter = splat(12582912.0f);
  F shifted[kCount], value[kCount];
  for (int i = 0; i < kCount; i++) shifted[i] = powers[i] + shifter;
  for (int i = 0; i < kCount; i++) powers[i] -= shifted[i] - shifter;
  for (int i = 0; i < kCount; i++) value[i] = kExp2[0] * powers[i] + kExp2[1];
  for (int term = 2; term < kExp2Terms; term++)
    for (int i = 0; i < kCount; i++) value[i] = value[i] * powers[i] + kExp2[term];
  for (int i = 0; i < kCount; i++) powers[i] = keep(shown[i], from_bits(bits(value[i]) + (bits(shifted[i]) << 23)));
#endif
}

// e^x with the product split in two parts, so that large |x| loses nothing; saturates outside +-87.
GSS_INLINE F exp(F x) {
  x = clamp(x, splat(-87.0f), splat(87.0f));
  const F shifter = splat(12582912.0f);
  const F shifted = x * kLog2E + shifter;
  const F whole = shifted - shifter;
  const F rest = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;  // ln 2 in two parts
  return from_bits(bits(exp2_fraction(rest * kLog2E)) + (bits(shifted) << 23));
}

// log2 of a positive normal number: exponent, then the series of atanh on the mantissa in [sqrt(1/2), sqrt(2)).
GSS_INLINE F log2(F x) {
  const I offset = bits(x) - splat_int(0x3f3504f3);  // bits of sqrt(1/2)
  const F exponent = __builtin_convertvector(offset >> 23, F);
  const F mantissa = from_bits((offset & splat_int(0x007fffff)) + splat_int(0x3f3504f3));
  const F s = (mantissa - 1.0f) / (mantissa + 1.0f), s2 = s * s;
  const F series = ((0.4121968f * s2 + 0.5770780f) * s2 + 0.9617967f) * s2 + 2.8853901f;
  return exponent + s * series;
}

// --- moving between rows and lanes ----------------------------------------------------------------------------

#if defined(__clang__)
#define GSS_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define GSS_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, I{__VA_ARGS__})
#endif

// a0 b0 a1 b1 ... from the lower and from the upper half.
#if GSS_LANES == 16
GSS_INLINE F zip_low(F a, F b) { return GSS_SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); }
GSS_INLINE F zip_high(F a, F b) {
  return GSS_SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif GSS_LANES == 8
GSS_INLINE F zip_low(F a, F b) { return GSS_SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
GSS_INLINE F zip_high(F a, F b) { return GSS_SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#else
GSS_INLINE F zip_low(F a, F b) { return GSS_SHUFFLE(a, b, 0, 4, 1, 5); }
GSS_INLINE F zip_high(F a, F b) { return GSS_SHUFFLE(a, b, 2, 6, 3, 7); }
#endif

// Transposes a square of kLanes vectors: each round of zips moves one bit of the row index into the lane index.
GSS_INLINE void transpose(F* rows) {
  F zipped[kLanes];
  for (int round = 1; round < kLanes; round *= 2) {
    for (int i = 0; i < kLanes / 2; i++) {
      zipped[2 * i] = zip_low(rows[i], rows[i + kLanes / 2]);
      zipped[2 * i + 1] = zip_high(rows[i], rows[i + kLanes / 2]);
    }
    for (int i = 0; i < kLanes; i++) rows[i] = zipped[i];
  }
}

// The sums over the lanes of four vectors.
GSS_INLINE F4 fold(F value) {
#if GSS_LANES == 16
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256((__m512)value), _mm512_extractf32x8_ps((__m512)value, 1));
  return (F4)_mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif GSS_LANES == 8
  return (F4)_mm_add_ps(_mm256_castps256_ps128((__m256)value), _mm256_extractf128_ps((__m256)value, 1));
#else
  return value;
#endif
}

#if defined(__clang__)
#define GSS_SHUFFLE4(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t I4 __attribute__((vector_size(16)));
#define GSS_SHUFFLE4(a, b, ...) __builtin_shuffle(a, b, I4{__VA_ARGS__})
#endif
GSS_INLINE F4 add_zipped(F4 a, F4 b) { return GSS_SHUFFLE4(a, b, 0, 4, 1, 5) + GSS_SHUFFLE4(a, b, 2, 6, 3, 7); }

GSS_INLINE F4 sums_of_4(F a, F b, F c, F d) {
  return add_zipped(add_zipped(fold(a), fold(c)), add_zipped(fold(b), fold(d)));
}

// The sums over the lanes of eight vectors, to eight floats. On AVX2 the two halves of a register stay apart until
// the last step: 21 instructions instead of 34.
GSS_INLINE void store_sums_of_8(float* to, F a, F b, F c, F d, F e, F f, F g, F h) {
#if GSS_LANES == 8
  const auto add = [](F x, F y) {
    return _mm256_add_ps(_mm256_unpacklo_ps((__m256)x, (__m256)y), _mm256_unpackhi_ps((__m256)x, (__m256)y));
  };
  const __m256 abcd = add((F)add(a, c), (F)add(b, d)), efgh = add((F)add(e, g), (F)add(f, h));
  const __m256 low = _mm256_permute2f128_ps(abcd, efgh, 0x20), high = _mm256_permute2f128_ps(abcd, efgh, 0x31);
  _mm256_storeu_ps(to, _mm256_add_ps(low, high));
#else
  store4(to, sums_of_4(a, b, c, d));
  store4(to + 4, sums_of_4(e, f, g, h));
#endif
}

GSS_INLINE float sum(F value) {
  const F4 folded = fold(value);
  return (folded[0] + folded[2]) + (folded[1] + folded[3]);
}

}  // namespace gss
