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

// Number of vector registers: AVX-512 and 64-bit ARM have 32, others 16.
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
    // Knots that are even to within this share of an interval are treated as even; values then differ from those on the
    // given knots by a few units of rounding, within the 1e-5 (float) and 1e-12 (double) of the tests.
    static constexpr float even = 2e-6f;
    // Half a unit in the last place of 1; and the largest share of an interval that this rounding of a knot may be.
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

// A vector of so many bytes.
template <class T, int bytes>
struct Piece {
    typedef T V __attribute__((vector_size(bytes)));
};

// Half a vector, which is more often inside one line of the cache than a whole one. 16 bytes have no half.
template <class T>
using HalfVector = typename Piece<T, SUPERPOSE_VECTOR_BYTES == 16 ? 16 : SUPERPOSE_VECTOR_BYTES / 2>::V;

// Type T and number `width` of the lanes of a vector V, and the vector I of its comparisons.
template <class V>
struct LanesOf {
    typedef __typeof__(V{}[0] + V{}[0]) T;
    static constexpr int width = sizeof(V) / sizeof(T);
    typedef typename Piece<typename Simd<T>::Integer, sizeof(V)>::V I;
};

template <class V>
SUPERPOSE_INLINE V load_as(const typename LanesOf<V>::T* p) {
    V v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class V>
SUPERPOSE_INLINE void store_as(typename LanesOf<V>::T* p, V v) {
    std::memcpy(p, &v, sizeof v);
}

template <class T>
SUPERPOSE_INLINE Vector<T> load(const T* p) {
    return load_as<Vector<T>>(p);
}

template <class T>
SUPERPOSE_INLINE void store(T* p, Vector<T> v) {
    store_as<Vector<T>>(p, v);
}

template <class T>
SUPERPOSE_INLINE Vector<T> all(T x) {
    return x - Vector<T>{};
}

// A vector of so many bytes as its halves, down to 16 bytes. Lanes are numbered by constants throughout: a number that is
// known only when it runs would keep the vector in memory.
template <class T, int bytes>
struct Halves {
    typedef T V __attribute__((vector_size(bytes)));
    typedef T H __attribute__((vector_size(bytes / 2)));
    typedef Halves<T, bytes / 2> Half;
    static constexpr int half = bytes / 2 / static_cast<int>(sizeof(T));
    union Parts {
        V whole;
        H part[2];
    };

    // Halves are added until one lane is left.
    static SUPERPOSE_INLINE T sum(V v) {
        Parts parts;
        parts.whole = v;
        return Half::sum(parts.part[0] + parts.part[1]);
    }

    // The first `count` lanes, 0 < count < width.
    static SUPERPOSE_INLINE void store(T* p, V v, int count) {
        Parts parts;
        parts.whole = v;
        if (count < half) {
            Half::store(p, parts.part[0], count);
            return;
        }
        store_as<H>(p, parts.part[0]);
        if (count > half) Half::store(p + half, parts.part[1], count - half);
    }

    static SUPERPOSE_INLINE V load(const T* p, int count) {
        Parts parts;
        parts.whole = V{};
        if (count < half) {
            parts.part[0] = Half::load(p, count);
        } else {
            parts.part[0] = load_as<H>(p);
            if (count > half) parts.part[1] = Half::load(p + half, count - half);
        }
        return parts.whole;
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

    static SUPERPOSE_INLINE void store(T* p, V v, int count) {
        p[0] = v[0];
        if constexpr (sizeof(T) == 4) {
            if (count > 1) p[1] = v[1];
            if (count > 2) p[2] = v[2];
        }
    }

    static SUPERPOSE_INLINE V load(const T* p, int count) {
        V v = {};
        v[0] = p[0];
        if constexpr (sizeof(T) == 4) {
            if (count > 1) v[1] = p[1];
            if (count > 2) v[2] = p[2];
        }
        return v;
    }
};

// A mask of the first `count` lanes.
template <class V>
SUPERPOSE_INLINE typename LanesOf<V>::I first_lanes(std::int64_t count) {
    typename LanesOf<V>::I mask = {};
    for (int l = 0; l < LanesOf<V>::width; ++l) mask[l] = l < count ? -1 : 0;
    return mask;
}

// The first `count` lanes only of a vector of any width, 0 < count <= width.
template <class T, class V>
SUPERPOSE_INLINE void store_part(T* p, V v, int count) {
    if (count == LanesOf<V>::width) {
        store_as<V>(p, v);
    } else {
        Halves<T, sizeof(V)>::store(p, v, count);
    }
}

template <class T, class V = Vector<T>>
SUPERPOSE_INLINE V load_part(const T* p, int count) {
    return count == LanesOf<V>::width ? load_as<V>(p) : Halves<T, sizeof(V)>::load(p, count);
}

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

// Lanes of a table by indices known only at run time, where one instruction does that.
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

// Lanes of two vectors added in pairs: first those of a, then those of b.
template <class V>
SUPERPOSE_INLINE V add_pairs(V a, V b) {
    typedef typename LanesOf<V>::I I;
    if constexpr (LanesOf<V>::width == 2) {
        return SUPERPOSE_PICK(I, a, b, 0, 2) + SUPERPOSE_PICK(I, a, b, 1, 3);
    } else if constexpr (LanesOf<V>::width == 4) {
        return SUPERPOSE_PICK(I, a, b, 0, 2, 4, 6) + SUPERPOSE_PICK(I, a, b, 1, 3, 5, 7);
    } else if constexpr (LanesOf<V>::width == 8) {
        return SUPERPOSE_PICK(I, a, b, 0, 2, 4, 6, 8, 10, 12, 14) + SUPERPOSE_PICK(I, a, b, 1, 3, 5, 7, 9, 11, 13, 15);
    } else {
        return SUPERPOSE_PICK(I, a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
               SUPERPOSE_PICK(I, a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    }
}

// Lane q of the result is the sum of the lanes of the q-th of N vectors.
template <class V, int N = LanesOf<V>::width>
SUPERPOSE_INLINE V sums_of_lanes(const typename LanesOf<V>::T* from) {
    if constexpr (N == 1) {
        return load_as<V>(from);
    } else {
        return add_pairs(sums_of_lanes<V, N / 2>(from), sums_of_lanes<V, N / 2>(from + N / 2 * LanesOf<V>::width));
    }
}

// Transposes a block of four by four.
template <class T>
SUPERPOSE_INLINE void transpose_four(typename Four<T>::V* v) {
    typedef typename Four<T>::V V;
    if constexpr (sizeof(V) > SUPERPOSE_VECTOR_BYTES) {
        // Two by two, in vectors that there are.
        typedef typename Piece<T, 16>::V H;
        typedef typename LanesOf<H>::I I;
        H from[4][2], to[4][2];
        std::memcpy(from, v, sizeof from);
#pragma GCC unroll 2
        for (int c = 0; c < 2; ++c) {
#pragma GCC unroll 2
            for (int r = 0; r < 2; ++r) {
                to[2 * c][r] = SUPERPOSE_PICK(I, from[2 * r][c], from[2 * r + 1][c], 0, 2);
                to[2 * c + 1][r] = SUPERPOSE_PICK(I, from[2 * r][c], from[2 * r + 1][c], 1, 3);
            }
        }
        std::memcpy(v, to, sizeof to);
    } else {
        typedef typename LanesOf<V>::I I;
        const V a = SUPERPOSE_PICK(I, v[0], v[1], 0, 4, 1, 5), b = SUPERPOSE_PICK(I, v[2], v[3], 0, 4, 1, 5);
        const V c = SUPERPOSE_PICK(I, v[0], v[1], 2, 6, 3, 7), d = SUPERPOSE_PICK(I, v[2], v[3], 2, 6, 3, 7);
        v[0] = SUPERPOSE_PICK(I, a, b, 0, 1, 4, 5);
        v[1] = SUPERPOSE_PICK(I, a, b, 2, 3, 6, 7);
        v[2] = SUPERPOSE_PICK(I, c, d, 0, 1, 4, 5);
        v[3] = SUPERPOSE_PICK(I, c, d, 2, 3, 6, 7);
    }
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

// A work space that a thread keeps between calls, so that a call allocates only when it needs more than all before.
class Workspace {
  public:
    Workspace() = default;
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;
    ~Workspace() { std::free(memory_); }

    // Null if memory ran out. Earlier contents are lost.
    void* get(std::size_t bytes) {
        if (bytes > size_) {
            std::free(memory_);
            // A quarter more, so that slowly growing calls do not allocate each time; whole pages.
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
