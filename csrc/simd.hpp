// Vectors of one instruction set, by the compiler's own vector extensions: the same source serves all of them.
//
// Everything stands in an unnamed namespace. The file is compiled once for each instruction set, and a function that
// two of them shared could be linked from the wider one and run on a machine that lacks it; for the same reason no
// template of the standard library is used here.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef SUPERPOSE_VECTOR_BYTES
#error "SUPERPOSE_VECTOR_BYTES must be given: 16, 32 or 64"
#endif

#define SUPERPOSE_INLINE inline __attribute__((always_inline))

namespace superpose {
namespace {

// Vector registers: AVX-512 and 64-bit ARM have 32, others 16.
#if SUPERPOSE_VECTOR_BYTES == 64 || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

template <class T>
struct Simd;

template <>
struct Simd<float> {
    typedef float V __attribute__((vector_size(SUPERPOSE_VECTOR_BYTES)));
    typedef std::int32_t I __attribute__((vector_size(SUPERPOSE_VECTOR_BYTES)));
    typedef std::uint32_t U __attribute__((vector_size(SUPERPOSE_VECTOR_BYTES)));
    typedef std::int32_t Narrow __attribute__((vector_size(SUPERPOSE_VECTOR_BYTES)));
    static constexpr int width = SUPERPOSE_VECTOR_BYTES / 4;
    typedef std::int32_t Integer;
    static constexpr int mantissa = 23;
    // Adding 1.5 * 2^mantissa rounds to an integer, which then stands in the lowest bits.
    static constexpr float rounder = 12582912.0f;
    static constexpr float largest_exponent = 88.0f;
    static constexpr int exponential_terms = 8;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    // Knots that are even to within this share of an interval are taken as even: then the values differ from those
    // on the knots as they stand by a few units of rounding.
    static constexpr float even = 2e-6f;
    // Half a unit in the last place of 1, and what share of an interval such an error of a knot may be.
    static constexpr float rounding = 6e-8f, unseen = 3.2e-5f;
};

template <>
struct Simd<double> {
    typedef double V __attribute__((vector_size(SUPERPOSE_VECTOR_BYTES)));
    typedef std::int64_t I __attribute__((vector_size(SUPERPOSE_VECTOR_BYTES)));
    typedef std::uint64_t U __attribute__((vector_size(SUPERPOSE_VECTOR_BYTES)));
    typedef std::int32_t Narrow __attribute__((vector_size(SUPERPOSE_VECTOR_BYTES / 2)));
    static constexpr int width = SUPERPOSE_VECTOR_BYTES / 8;
    typedef std::int64_t Integer;
    static constexpr int mantissa = 52;
    static constexpr double rounder = 6755399441055744.0;
    static constexpr double largest_exponent = 708.0;
    static constexpr int exponential_terms = 14;
    static constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    static constexpr double even = 1e-13;
    static constexpr double rounding = 1.1e-16, unseen = 5e-13;
};

template <class T>
using Vector = typename Simd<T>::V;

template <class T>
SUPERPOSE_INLINE Vector<T> load(const T* p) {
    Vector<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
SUPERPOSE_INLINE void store(T* p, Vector<T> v) {
    std::memcpy(p, &v, sizeof v);
}

template <class T>
SUPERPOSE_INLINE Vector<T> all(T x) {
    return x - Vector<T>{};
}

// The first `count` lanes only, 0 < count <= width.
template <class T>
SUPERPOSE_INLINE void store_part(T* p, Vector<T> v, int count) {
    if (count == Simd<T>::width) {
        store(p, v);
        return;
    }
    T lanes[Simd<T>::width];
    store(lanes, v);
    for (int l = 0; l < count; ++l) p[l] = lanes[l];
}

template <class T>
SUPERPOSE_INLINE Vector<T> load_part(const T* p, int count) {
    if (count == Simd<T>::width) return load(p);
    T lanes[Simd<T>::width] = {};
    for (int l = 0; l < count; ++l) lanes[l] = p[l];
    return load(lanes);
}

// Halves are added until one lane is left.
template <class T, int bytes>
struct Halves {
    typedef T V __attribute__((vector_size(bytes)));
    typedef T H __attribute__((vector_size(bytes / 2)));
    static SUPERPOSE_INLINE T sum(V v) {
        union {
            V whole;
            H half[2];
        } parts;
        parts.whole = v;
        return Halves<T, bytes / 2>::sum(parts.half[0] + parts.half[1]);
    }
};

template <class T>
struct Halves<T, 16> {
    typedef T V __attribute__((vector_size(16)));
    static SUPERPOSE_INLINE T sum(V v) {
        if constexpr (sizeof(T) == 8) {
            return v[0] + v[1];
        } else {
            return (v[0] + v[2]) + (v[1] + v[3]);
        }
    }
};

template <class T>
SUPERPOSE_INLINE T sum_lanes(Vector<T> v) {
    return Halves<T, SUPERPOSE_VECTOR_BYTES>::sum(v);
}

// Whether any lane of a comparison holds.
template <class T>
SUPERPOSE_INLINE bool any(typename Simd<T>::I mask) {
#if defined(__AVX512F__)
    const auto words = reinterpret_cast<__m512i>(mask);
    return _mm512_test_epi64_mask(words, words) != 0;
#elif defined(__AVX2__)
    typedef long long Words __attribute__((vector_size(32)));
    Words words[SUPERPOSE_VECTOR_BYTES / 32];
    std::memcpy(words, &mask, sizeof words);
    for (int n = 1; n < SUPERPOSE_VECTOR_BYTES / 32; ++n) words[0] |= words[n];
    return !__builtin_ia32_ptestz256(words[0], words[0]);
#else
    std::int64_t words[SUPERPOSE_VECTOR_BYTES / 8], found = 0;
    std::memcpy(words, &mask, sizeof words);
    for (int n = 0; n < SUPERPOSE_VECTOR_BYTES / 8; ++n) found |= words[n];
    return found != 0;
#endif
}

// Four lanes, on every instruction set: as many as the rows of a cubic spline.
template <class T>
struct Four {
    typedef T V __attribute__((vector_size(4 * sizeof(T))));
};

template <class T>
SUPERPOSE_INLINE typename Four<T>::V load_four(const T* p) {
    typename Four<T>::V v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
SUPERPOSE_INLINE void store_four(T* p, typename Four<T>::V v) {
    std::memcpy(p, &v, sizeof v);
}

// Lanes of two vectors by their numbers, those of b after those of a.
#if defined(__clang__)
#define SUPERPOSE_PICK(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SUPERPOSE_PICK(type, a, b, ...) __builtin_shuffle(a, b, type{__VA_ARGS__})
#endif

// Lanes of a table by numbers that are known only when it runs, where one instruction does that.
template <class T>
struct Picker {
    static constexpr bool exists = false;
    static Vector<T> pick(Vector<T> table, typename Simd<T>::I) { return table; }
};
#if defined(__AVX512F__) && SUPERPOSE_VECTOR_BYTES == 64
template <>
struct Picker<float> {
    static constexpr bool exists = true;
    static SUPERPOSE_INLINE Vector<float> pick(Vector<float> table, Simd<float>::I lanes) {
        return _mm512_maskz_permutexvar_ps(0xffff, reinterpret_cast<__m512i>(lanes), table);
    }
};
template <>
struct Picker<double> {
    static constexpr bool exists = true;
    static SUPERPOSE_INLINE Vector<double> pick(Vector<double> table, Simd<double>::I lanes) {
        return _mm512_maskz_permutexvar_pd(0xff, reinterpret_cast<__m512i>(lanes), table);
    }
};
#elif defined(__AVX2__) && SUPERPOSE_VECTOR_BYTES == 32
template <>
struct Picker<float> {
    static constexpr bool exists = true;
    static SUPERPOSE_INLINE Vector<float> pick(Vector<float> table, Simd<float>::I lanes) {
        return _mm256_permutevar8x32_ps(table, reinterpret_cast<__m256i>(lanes));
    }
};
#endif

// From rows to columns, four by four.
template <class T>
SUPERPOSE_INLINE void transpose(typename Four<T>::V* v) {
    typedef typename Four<typename Simd<T>::Integer>::V I;
    const auto a = SUPERPOSE_PICK(I, v[0], v[1], 0, 4, 1, 5), b = SUPERPOSE_PICK(I, v[2], v[3], 0, 4, 1, 5);
    const auto c = SUPERPOSE_PICK(I, v[0], v[1], 2, 6, 3, 7), d = SUPERPOSE_PICK(I, v[2], v[3], 2, 6, 3, 7);
    v[0] = SUPERPOSE_PICK(I, a, b, 0, 1, 4, 5);
    v[1] = SUPERPOSE_PICK(I, a, b, 2, 3, 6, 7);
    v[2] = SUPERPOSE_PICK(I, c, d, 0, 1, 4, 5);
    v[3] = SUPERPOSE_PICK(I, c, d, 2, 3, 6, 7);
}

// 1 / j!, the factors of e^x, for j < terms.
template <class T, int terms>
struct ExponentialSeries {
    T factor[terms];

    constexpr ExponentialSeries() : factor{1} {
        for (int j = 1; j < terms; ++j) factor[j] = factor[j - 1] / T(j);
    }
};

// e^x to about one unit of rounding, infinity beyond what T holds, NaN for NaN.
template <class T>
SUPERPOSE_INLINE Vector<T> exponential(Vector<T> x) {
    using S = Simd<T>;
    typedef typename S::U U;
    const T top = S::largest_exponent;
    const typename S::I beyond = x > top;
    x = beyond ? all(top) : x;
    x = x < -top ? all(-top) : x;
    const Vector<T> shifted = x * T(1.44269504088896340736) + S::rounder;
    const Vector<T> n = shifted - S::rounder;
    Vector<T> r = x - n * S::ln2_high;
    r = r - n * S::ln2_low;
    constexpr int terms = S::exponential_terms;
    static constexpr ExponentialSeries<T, terms> series{};
    Vector<T> sum = all(series.factor[terms - 1]);
#pragma GCC unroll 16
    for (int j = terms - 2; j >= 0; --j) sum = sum * r + series.factor[j];
    const Vector<T> power = (Vector<T>)((U)sum + ((U)shifted << S::mantissa));
    return beyond ? all(T(__builtin_inf())) : power;
}

template <class T>
SUPERPOSE_INLINE Vector<T> logistic(Vector<T> x) {
    return T(1) / (T(1) + exponential<T>(-x));
}

template <class T>
constexpr SUPERPOSE_INLINE T smaller(T a, T b) {
    return b < a ? b : a;
}

template <class T>
constexpr SUPERPOSE_INLINE T larger(T a, T b) {
    return a < b ? b : a;
}

// A work space that a thread keeps, so that a call allocates nothing once it has grown.
class Workspace {
  public:
    Workspace() = default;
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;
    ~Workspace() { std::free(memory_); }

    // Null if memory ran out. What was there before is lost.
    void* get(std::size_t bytes) {
        if (bytes > size_) {
            std::free(memory_);
            const std::size_t rounded = (bytes + bytes / 4 + 4095) / 4096 * 4096;
            memory_ = std::aligned_alloc(64, rounded);
            size_ = memory_ ? rounded : 0;
        }
        return memory_;
    }

  private:
    void* memory_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace
}  // namespace superpose
