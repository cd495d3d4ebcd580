// The nonzero basis functions at the points of one input: interval, B-splines and base function, a strip of samples at a
// time. The counterpart of locate, active_basis and base_function in reference.py.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

namespace superpose {
namespace {

// The knots of one input, indexed from the left end of its domain: interval m begins at t[m], the first knot is t[-degree].
template <class T>
struct Knots {
    const T* t;
    T low, high, step, inverse;
    std::int32_t intervals, last;
    // even: evenly spaced to rounding. near: nearly so, and then the interval found for even knots can be wrong only for
    // points that lie within `edge` (in intervals) of one of its ends.
    bool even, near;
    T edge;
};

// Largest distance of a nearly even knot from the even one, in intervals: small, so that few points lie near a knot and need
// the exact comparison (2/1024 on either side of it). No measurement of other values is recorded.
constexpr double kAstray = 1.0 / 1024;

template <class T>
Knots<T> read_knots(const T* row, int degree, std::int64_t intervals) {
    Knots<T> knots;
    const T* t = row + degree;
    knots.t = t;
    knots.intervals = static_cast<std::int32_t>(intervals);
    knots.low = t[0];
    knots.high = t[intervals];
    knots.step = (knots.high - knots.low) / T(intervals);
    knots.inverse = T(intervals) / (knots.high - knots.low);
    knots.last = knots.intervals - 1;
    const T tolerance = Simd<T>::even * knots.step, astray = T(kAstray) * knots.step;
    // Far from zero the rounding of the knots is a large part of an interval; uneven knots could then pass as even.
    const T reach = larger<T>(__builtin_fabs(knots.low), __builtin_fabs(knots.high));
    int uneven = !(knots.step > 0) | !(reach * Simd<T>::rounding <= knots.step * Simd<T>::unseen), far = 0;
    const std::int32_t end = knots.intervals + degree;
    for (std::int32_t j = -degree; j <= end; ++j) {
        const T off = t[j] - (knots.low + T(j) * knots.step);
        uneven |= !(__builtin_fabs(off) <= tolerance);
        far |= !(__builtin_fabs(off) <= astray);
    }
    knots.even = !uneven;
    // Bound of the rounding error of a computed position, in intervals.
    const T moved = 8 * Simd<T>::rounding * (T(intervals) + reach * knots.inverse);
    knots.near = knots.even || (!far && moved < T(kAstray));
    knots.edge = knots.even ? 64 * Simd<T>::even : T(2 * kAstray);
    // Repeated knots at the right end make empty intervals, which hold no point.
    while (!knots.even && knots.last > 0 && !(t[knots.last] < knots.high)) --knots.last;
    return knots;
}

// Work space for one strip; all arrays have `stride` elements, a multiple of the vector width.
template <class T>
struct Strip {
    T *x, *place, *local, *logistic;
    std::int64_t stride;
    bool beyond;
};

// The interval of each point by bisection: the last one that does not begin after it.
template <class T>
std::int32_t bisect(const Knots<T>& knots, T x) {
    if (x != x) return knots.last;
    std::int32_t first = 0, count = knots.last + 1;
    while (count > 1) {
        const std::int32_t half = count / 2;
        first = knots.t[first + half] <= x ? first + half : first;
        count -= half;
    }
    return first;
}

// Finds intervals `first` of the points x[0..n); `place` becomes the position inside the interval, 0 to 1, on even
// knots, and the point itself, held inside the domain, on others.
template <class T>
void locate(const Knots<T>& knots, Strip<T>& strip, std::int32_t* first, std::int64_t n) {
    using S = Simd<T>;
    typedef typename S::Narrow Narrow;
    constexpr int width = S::width;
    const T low = knots.low, high = knots.high, most = T(knots.intervals - 1);
    const T edge = knots.edge;
    typename S::I outside = {};
    for (std::int64_t b = 0; b < n; b += width) {
        const Vector<T> x = load(strip.x + b);
        Vector<T> near = x < low ? all(low) : x;
        near = near > high ? all(high) : near;
        outside |= (x < low) | (x > high);
        Vector<T> cell = (near - low) * knots.inverse;
        // Comparisons with NaN are false, so NaN goes to the last interval.
        cell = cell < most ? cell : all(most);
        cell = cell > 0 ? cell : Vector<T>{};
        Narrow interval = __builtin_convertvector(cell, Narrow);
        const Vector<T> begin = __builtin_convertvector(interval, Vector<T>) * knots.step + low;
        Vector<T> u = (near - begin) * knots.inverse;
        // Close to a knot the side is decided by comparing with the knot itself, as in reference.py.
        if (!knots.near || any<T>((u < edge) | (u > 1 - edge))) {
            for (int l = 0; l < width; ++l) {
                const std::int32_t m = interval[l];
                if (knots.t[m] <= near[l] && (near[l] < knots.t[m + 1] || m == knots.last)) continue;
                interval[l] = bisect(knots, near[l]);
                u[l] = (near[l] - knots.t[interval[l]]) * knots.inverse;
            }
        }
        store(strip.place + b, knots.even ? u : near);
        std::memcpy(first + b, &interval, sizeof interval);
    }
    strip.beyond = any<T>(outside);
}

// local[j] = t[m + j - degree + 1] for each point: the 2 K knots that its B-splines depend on. Four points at a time, four
// knots of each, the last four beginning where all are inside.
template <class T, int K>
void gather_knots(const Knots<T>& knots, Strip<T>& strip, const std::int32_t* first, std::int64_t n) {
    const T* const t = knots.t - (K - 1);
    T* const local = strip.local;
    const std::int64_t stride = strip.stride;
    std::int64_t b = 0;
    if constexpr (K >= 2) {
        for (; b + 4 <= n; b += 4) {
#pragma GCC unroll 4
            for (int part = 0; part < (K + 1) / 2; ++part) {
                const int begin = 4 * part < 2 * K - 4 ? 4 * part : 2 * K - 4;
                typename Four<T>::V four[4];
#pragma GCC unroll 4
                for (int q = 0; q < 4; ++q) four[q] = load_four(t + first[b + q] + begin);
                transpose_four<T>(four);
#pragma GCC unroll 4
                for (int j = 0; j < 4; ++j) store_four(local + (begin + j) * stride + b, four[j]);
            }
        }
    }
    for (; b < n; ++b)
        for (int j = 0; j < 2 * K; ++j) local[j * stride + b] = t[first[b] + j];
}

// B-splines on even knots as polynomials of the position u: factor[s][j] of u^j, differentiated ORDER times.
template <int K, int ORDER>
struct EvenBasis {
    double factor[K + 1][K + 1];

    constexpr EvenBasis() : factor{} {
        factor[0][0] = 1;
        for (int d = 1; d <= K; ++d) {
            double raised[K + 1][K + 1] = {};
            for (int r = 0; r < d; ++r) {
                for (int j = 0; j < d; ++j) {
                    const double share = factor[r][j] / d;
                    raised[r][j] += (r + 1) * share;
                    raised[r][j + 1] -= share;
                    raised[r + 1][j] += (d - 1 - r) * share;
                    raised[r + 1][j + 1] += share;
                }
            }
            for (int s = 0; s <= K; ++s)
                for (int j = 0; j <= K; ++j) factor[s][j] = raised[s][j];
        }
        for (int n = 0; n < ORDER; ++n) {
            for (int s = 0; s <= K; ++s) {
                for (int j = 0; j < K; ++j) factor[s][j] = (j + 1) * factor[s][j + 1];
                factor[s][K] = 0;
            }
        }
    }
};

template <class T, int K, int ORDER>
SUPERPOSE_INLINE void even_rows(Vector<T> u, T scale, Vector<T>* rows) {
    static constexpr EvenBasis<K, ORDER> basis{};
    // Adding zero times u keeps NaN where the polynomial is a constant.
    const Vector<T> nothing = ORDER >= K ? T(0) * u : Vector<T>{};
#pragma GCC unroll 8
    for (int s = 0; s <= K; ++s) {
        Vector<T> sum = nothing + T(basis.factor[s][K - ORDER < 0 ? 0 : K - ORDER]);
#pragma GCC unroll 8
        for (int j = K - ORDER - 1; j >= 0; --j) sum = sum * u + T(basis.factor[s][j]);
        rows[s] = ORDER == 0 || ORDER > K ? sum : sum * scale;
    }
}

// The recurrences of Cox and de Boor on the knots as they stand; see _local_basis and _interior_basis in reference.py.
template <class T, int K, int ORDER>
SUPERPOSE_INLINE void uneven_rows(const T* local, std::int64_t stride, Vector<T> x, Vector<T>* rows) {
    Vector<T> t[2 * K];
#pragma GCC unroll 16
    for (int j = 0; j < 2 * K; ++j) t[j] = load(local + j * stride);
    if constexpr (ORDER > K) {
        for (int s = 0; s <= K; ++s) rows[s] = T(0) * x;
        return;
    }
    constexpr int start = K - ORDER;
    rows[0] = T(0) * x + T(1);
#pragma GCC unroll 8
    for (int j = 1; j <= start; ++j) {
        Vector<T> carried = {};
#pragma GCC unroll 8
        for (int r = 0; r < j; ++r) {
            const Vector<T> right = t[K + r] - x, left = x - t[K - j + r];
            const Vector<T> share = rows[r] / (right + left);
            rows[r] = carried + right * share;
            carried = left * share;
        }
        rows[j] = carried;
    }
#pragma GCC unroll 8
    for (int q = start + 1; q <= K; ++q) {
        Vector<T> before = {};
#pragma GCC unroll 8
        for (int r = 0; r < q; ++r) {
            const Vector<T> share = T(q) * rows[r] / (t[K + r] - t[K - q + r]);
            rows[r] = before - share;
            before = share;
        }
        rows[q] = before;
    }
}

template <class T, int K, int ORDER>
void spline_rows(const Knots<T>& knots, const Strip<T>& strip, std::int64_t n, T* out, std::int64_t stride) {
    T scale = 1;
    for (int j = 0; j < ORDER; ++j) scale *= knots.inverse;
    for (std::int64_t b = 0; b < n; b += Simd<T>::width) {
        const Vector<T> place = load(strip.place + b);
        Vector<T> rows[K + 1];
        if (knots.even) {
            even_rows<T, K, ORDER>(place, scale, rows);
        } else {
            uneven_rows<T, K, ORDER>(strip.local + b, strip.stride, place, rows);
        }
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) store(out + s * stride + b, rows[s]);
    }
    if (ORDER == 1 || !strip.beyond) return;
    // Outside the domain a spline is the straight line through its boundary value and slope.
    for (std::int64_t b = 0; b < n; b += Simd<T>::width) {
        const Vector<T> x = load(strip.x + b), place = load(strip.place + b);
        const typename Simd<T>::I outside = (x < knots.low) | (x > knots.high);
        if (!any<T>(outside)) continue;
        Vector<T> slope[K + 1];
        if constexpr (ORDER == 0) {
            if (knots.even) {
                even_rows<T, K, 1>(place, knots.inverse, slope);
            } else {
                uneven_rows<T, K, 1>(strip.local + b, strip.stride, place, slope);
            }
        }
        const Vector<T> distance = x < knots.low ? x - knots.low : x - knots.high;
        for (int s = 0; s <= K; ++s) {
            const Vector<T> inside = load(out + s * stride + b);
            const Vector<T> line = ORDER == 0 ? inside + slope[s] * distance : Vector<T>{};
            store(out + s * stride + b, outside ? line : inside);
        }
    }
}

// x * s(x) and its derivatives: with s' = s - s^2 those of the logistic function s are polynomials in s.
template <class T>
struct BaseFunction {
    int kind, order, terms;
    T upper[kMaxOrder + 4], lower[kMaxOrder + 4];

    BaseFunction(int kind_, int order_) : kind(kind_), order(order_), terms(order_ + 2) {
        double powers[kMaxOrder + 5] = {0, 1};
        for (int n = 0; n < kMaxOrder + 4; ++n) upper[n] = lower[n] = 0;
        for (int q = 0;; ++q) {
            if (q == order - 1)
                for (int n = 0; n < order + 2; ++n) lower[n] = T(order * powers[n]);
            if (q == order) break;
            for (int n = q + 2; n > 0; --n) powers[n] = n * powers[n] - (n - 1) * powers[n - 1];
        }
        for (int n = 0; n < order + 2; ++n) upper[n] = T(powers[n]);
    }

    // `logistic` holds the logistic function at x, which derivatives of all orders share.
    void rows(const T* x, const T* logistic, std::int64_t n, T* out) const {
        for (std::int64_t b = 0; b < n; b += Simd<T>::width) {
            const Vector<T> point = load(x + b);
            Vector<T> value = {};
            if (kind == kSilu) {
                const Vector<T> s = load(logistic + b);
                if (order == 0) {
                    value = point * s;
                } else if (order == 1) {
                    value = s + point * (s - s * s);
                } else {
                    Vector<T> high = {}, low = {};
                    for (int j = terms - 1; j >= 0; --j) {
                        high = high * s + upper[j];
                        low = low * s + lower[j];
                    }
                    value = point * high + low;
                }
            } else if (kind == kIdentity) {
                value = order == 0 ? point : T(0) * point + T(order == 1);
            }
            store(out + b, value);
        }
    }
};

// Row functions of one input at a strip of points: K + 1 splines, then the base function (zeros without one).
template <class T, int K>
void active_rows(const Knots<T>& knots, const BaseFunction<T>& base, int order, const Strip<T>& strip, std::int64_t n,
                 T* out, std::int64_t stride) {
    switch (order) {
        case 0: spline_rows<T, K, 0>(knots, strip, n, out, stride); break;
        case 1: spline_rows<T, K, 1>(knots, strip, n, out, stride); break;
        case 2: spline_rows<T, K, smaller(2, K + 1)>(knots, strip, n, out, stride); break;
        case 3: spline_rows<T, K, smaller(3, K + 1)>(knots, strip, n, out, stride); break;
        case 4: spline_rows<T, K, smaller(4, K + 1)>(knots, strip, n, out, stride); break;
        case 5: spline_rows<T, K, smaller(5, K + 1)>(knots, strip, n, out, stride); break;
        default: spline_rows<T, K, K + 1>(knots, strip, n, out, stride); break;
    }
    base.rows(strip.x, strip.logistic, n, out + (K + 1) * stride);
}

}  // namespace
}  // namespace superpose
