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

// Whether lanes of T lie in an interval, from 32-bit numbers.
template <class T>
SUPERPOSE_INLINE typename Simd<T>::I is_interval(const std::int32_t* first, std::int64_t interval) {
    typename Simd<T>::Narrow narrow;
    std::memcpy(&narrow, first, sizeof narrow);
    return __builtin_convertvector(narrow, typename Simd<T>::I) == static_cast<typename Simd<T>::Integer>(interval);
}

// All rows of one input at n <= kRun samples, kRun apart, in the order of the coefficients.
template <class T, int K>
void spread(const Column<T>& column, bool of_slopes, std::int64_t begin, std::int64_t n, const Shape& shape, T* rows) {
    constexpr int width = Simd<T>::width;
    const T* from = column.weights(of_slopes) + begin;
    for (std::int64_t p = 0; p < n; p += width, from += width) {
        Vector<T> weights[K + 1], window[K + 1] = {};
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) weights[s] = load(from + s * column.stride);
        T* to = rows + p;
        for (std::int64_t m = 0; m < shape.intervals; ++m, to += kRun) {
            const typename Simd<T>::I here = is_interval<T>(column.first + begin + p, m);
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

// Calls take(o, p, edges) with the edge functions of outputs o, o + 1, ... at samples p, p + 1, ..., some at a time.
template <class T, int NO, class F>
SUPERPOSE_INLINE void for_edges(const T* rows, std::int64_t count, std::int64_t n, const T* coefficients,
                                std::int64_t outputs, std::int64_t o, F&& take) {
    for (std::int64_t p = 0; p < n; p += Simd<T>::width) {
        Vector<T> edge[NO] = {};
        const T *row = rows + p, *factors = coefficients + o;
        for (std::int64_t r = 0; r < count; ++r, row += kRun, factors += outputs) {
            const Vector<T> here = load(row);
#pragma GCC unroll 4
            for (int q = 0; q < NO; ++q) edge[q] += factors[q] * here;
        }
        take(o, p, edge);
    }
}

template <class T, class F>
SUPERPOSE_INLINE void for_all_edges(const T* rows, std::int64_t count, std::int64_t n, const T* coefficients,
                                    std::int64_t outputs, F&& take) {
    std::int64_t o = 0;
    for (; o + 4 <= outputs; o += 4)
        for_edges<T, 4>(rows, count, n, coefficients, outputs, o, [&](auto... a) { take(a..., 4); });
    if (o + 2 <= outputs) {
        for_edges<T, 2>(rows, count, n, coefficients, outputs, o, [&](auto... a) { take(a..., 2); });
        o += 2;
    }
    if (o < outputs) for_edges<T, 1>(rows, count, n, coefficients, outputs, o, [&](auto... a) { take(a..., 1); });
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
        rows = cutter.cut<T>(count * kRun);
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
                spread<T, K>(columns[c], false, 0, n, shape, rows);
                const bool fresh = i + c == 0;
                const T* coefficients = call.coefficients + (i + c) * count * O;
                for_all_edges(rows, count, n, coefficients, O,
                              [=](std::int64_t o, std::int64_t p, const Vector<T>* edge, int outputs) {
                                  for (int q = 0; q < outputs; ++q) {
                                      T* to = sums + (o + q) * kRun + p;
                                      store(to, fresh ? edge[q] : Vector<T>(load(to) + edge[q]));
                                  }
                              });
            }
        }
        scatter_columns(sums, kRun, n, static_cast<int>(O), call.out + b * O, O);
    }
    return true;
}

}  // namespace
}  // namespace superpose
