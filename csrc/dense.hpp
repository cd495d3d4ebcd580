// Few outputs on few intervals: all rows of the basis, zeros too, by vectors of samples. With so few rows the products with
// zeros cost less than finding those that are not zero, once for each sample.
#pragma once

#include "coefficients.hpp"

namespace superpose {
namespace {

constexpr std::int64_t kDenseRows = 14;

template <class T>
bool is_dense(const Shape& shape) {
    return shape.outputs <= Simd<T>::width && shape.rows() <= kDenseRows;
}

// Work space for the rows of a run.
template <class T>
std::int64_t work_size(const Shape& shape) {
    return larger(shape.rows() * kRun, shape.outputs * Simd<T>::width);
}

// A vector of 32-bit numbers in lanes as wide as T.
template <class T>
SUPERPOSE_INLINE typename Simd<T>::I intervals_at(const std::int32_t* first) {
    typename Simd<T>::Narrow narrow;
    std::memcpy(&narrow, first, sizeof narrow);
    return __builtin_convertvector(narrow, typename Simd<T>::I);
}

template <int N>
struct Number {
    static constexpr int value = N;
};

// All rows of one input at n <= kRun samples, kRun apart, in the order of the coefficients.
template <class T, int K>
void spread(const Column<T>& column, bool of_slopes, std::int64_t begin, std::int64_t n, const Shape& shape, T* rows) {
    constexpr int width = Simd<T>::width;
    const T* from = column.weights(of_slopes) + begin;
    for (std::int64_t p = 0; p < n; p += width, from += width) {
        const typename Simd<T>::I first = intervals_at<T>(column.first + begin + p);
        Vector<T> weights[K + 1], window[K + 1] = {};
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) weights[s] = load(from + s * column.stride);
        T* to = rows + p;
        for (std::int64_t m = 0; m < shape.intervals; ++m, to += kRun) {
            const typename Simd<T>::I here = first == static_cast<typename Simd<T>::Integer>(m);
#pragma GCC unroll 8
            for (int s = 0; s <= K; ++s) window[s] = here ? weights[s] : window[s];
            store(to, window[0]);
#pragma GCC unroll 8
            for (int s = 0; s < K; ++s) window[s] = window[s + 1];
            window[K] = Vector<T>{};
        }
#pragma GCC unroll 8
        for (int s = 0; s < K; ++s, to += kRun) store(to, window[s]);
        if (shape.base != kNone) store(to, load(from + (K + 1) * column.stride));
    }
}

// The edge functions of outputs o to o + NO at samples p, p + 1, ..., from all rows.
template <class T, int NO>
SUPERPOSE_INLINE void multiply_rows(const T* rows, std::int64_t count, std::int64_t p, const T* coefficients,
                                    std::int64_t outputs, std::int64_t o, Vector<T>* edge) {
    const T *row = rows + p, *factors = coefficients + o;
#pragma GCC unroll 4
    for (int q = 0; q < NO; ++q) edge[q] = Vector<T>{};
    for (std::int64_t r = 0; r < count; ++r, row += kRun, factors += outputs) {
        const Vector<T> here = load(row);
#pragma GCC unroll 4
        for (int q = 0; q < NO; ++q) edge[q] += factors[q] * here;
    }
}

// The same where one vector holds an output's coefficients: each sample picks those it needs.
template <class T, int K, int NO>
SUPERPOSE_INLINE void pick_rows(const Column<T>& column, const T* weights, std::int64_t p, const T* tables, const T* base,
                                std::int64_t o, Vector<T>* edge) {
    constexpr int width = Simd<T>::width;
    const typename Simd<T>::I first = intervals_at<T>(column.first + p);
    const Vector<T> w = load(weights + (K + 1) * column.stride + p);
#pragma GCC unroll 4
    for (int q = 0; q < NO; ++q) edge[q] = base ? base[o + q] * w : Vector<T>{};
#pragma GCC unroll 8
    for (int s = 0; s <= K; ++s) {
        const Vector<T> ws = load(weights + s * column.stride + p);
        const typename Simd<T>::I lanes = first + static_cast<typename Simd<T>::Integer>(s);
#pragma GCC unroll 4
        for (int q = 0; q < NO; ++q) edge[q] += ws * Picker<T>::pick(load(tables + (o + q) * width), lanes);
    }
}

// Calls take(o, p, edges, number of outputs) with the edge functions of outputs o, o + 1, ... at samples begin + p,
// begin + p + 1, ... of one input: some outputs and a vector of samples at a time, n <= kRun samples in all. `rows` is
// work space for all rows of that many samples.
template <class T, int K, class F>
SUPERPOSE_INLINE void for_edges(const Column<T>& column, bool of_slopes, std::int64_t begin, std::int64_t n,
                                const Shape& shape, const T* coefficients, T* rows, F&& take) {
    constexpr int width = Simd<T>::width;
    const std::int64_t outputs = shape.outputs, splines = shape.intervals + K;
    const bool picks = Picker<T>::exists && splines <= width;
    const T* base = shape.base == kNone ? nullptr : coefficients + splines * outputs;
    if (picks) {
        for (std::int64_t o = 0; o < outputs; ++o)
            for (std::int64_t r = 0; r < width; ++r)
                rows[o * width + r] = r < splines ? coefficients[r * outputs + o] : T(0);
    } else {
        spread<T, K>(column, of_slopes, begin, n, shape, rows);
    }
    const auto some = [&](std::int64_t o, auto number) {
        constexpr int NO = decltype(number)::value;
        for (std::int64_t p = 0; p < n; p += width) {
            Vector<T> edge[NO];
            if (picks) {
                pick_rows<T, K, NO>(column, column.weights(of_slopes), begin + p, rows, base, o, edge);
            } else {
                multiply_rows<T, NO>(rows, shape.rows(), p, coefficients, outputs, o, edge);
            }
            take(o, p, edge, NO);
        }
    };
    std::int64_t o = 0;
    for (; o + 4 <= outputs; o += 4) some(o, Number<4>());
    for (; o + 2 <= outputs; o += 2) some(o, Number<2>());
    for (; o < outputs; ++o) some(o, Number<1>());
}

// Samples [begin, end).
template <class T, int K>
bool sum_dense(const EdgeSum<T>& call, std::int64_t begin, std::int64_t end) {
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, count = shape.rows();
    Columns<T, K> columns(shape, kRun, Order::kNone);
    Knots<T>* knots;
    T *rows, *sums;
    const bool fits = lay_out([&](Cutter& cutter) {
        columns.cut(cutter, true, false, call.v);
        knots = cutter.cut<Knots<T>>(I);
        rows = cutter.cut<T>(work_size<T>(shape));
        sums = cutter.cut<T>(O * kRun);
    });
    if (!fits) return false;
    for (std::int64_t i = 0; i < I; ++i) knots[i] = read_knots(call.knots + i * shape.knots(), K, shape.intervals);
    for (std::int64_t b = begin; b < end; b += kRun) {
        const std::int64_t n = smaller<std::int64_t>(kRun, end - b);
        for (std::int64_t i = 0; i < I; i += kBlock) {
            const int some = static_cast<int>(smaller<std::int64_t>(kBlock, I - i));
            columns.read(knots + i, call.x + b * I + i, call.v ? call.v + b * I + i : nullptr, n, some);
            if (call.v) columns.weigh(false, n, some);
            for (int c = 0; c < some; ++c) {
                const bool fresh = i + c == 0;
                for_edges<T, K>(columns[c], false, 0, n, shape, call.coefficients + (i + c) * count * O, rows,
                                [=](std::int64_t o, std::int64_t p, const Vector<T>* edge, int outputs) {
                                    for (int q = 0; q < outputs; ++q) {
                                        T* to = sums + (o + q) * kRun + p;
                                        store(to, fresh ? edge[q] : Vector<T>(load(to) + edge[q]));
                                    }
                                });
            }
        }
        turn_round(sums, kRun, O, n, call.out + b * O, O);
    }
    return true;
}

}  // namespace
}  // namespace superpose
