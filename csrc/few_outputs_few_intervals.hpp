// Few outputs on few intervals: all rows of the basis, zeros included, by vectors of samples. With few rows the products with
// zeros cost less than finding the nonzero rows of each sample.
#pragma once

#include "coefficients.hpp"

namespace superpose {
namespace {

// Largest number of rows: cubic splines on up to 10 intervals with a base function. No measurement of other values is recorded.
constexpr std::int64_t kDenseRows = 14;

template <class T>
bool is_dense(const Shape& shape) {
    return shape.outputs <= Simd<T>::width && shape.rows() <= kDenseRows;
}

// Size of the work space of for_edges.
template <class T>
std::int64_t work_size(const Shape& shape) {
    return larger(shape.rows() * kRun, shape.outputs * Simd<T>::width);
}

// Intervals of a vector of samples, in lanes as wide as T.
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

// All rows of one input at n <= kRun samples, zeros included, kRun apart, in the order of the coefficients.
template <class T, int K>
void expand_rows(const Column<T>& column, bool of_next_order, std::int64_t begin, std::int64_t n, const Shape& shape, T* rows) {
    constexpr int width = Simd<T>::width;
    const T* from = column.weights(of_next_order) + begin;
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

// The same where one vector holds all coefficients of an output: each sample picks its K + 1 by a permutation. On
// (1000, 5, 1), G = 5, that took the forward pass from 8.4 to 6.0 us (docs/lab/kernels.md).
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
// begin + p + 1, ... of one input: 4, 2 or 1 outputs and a vector of samples at a time, n <= kRun samples in all. `rows` is
// work space of work_size numbers.
template <class T, int K, class F>
SUPERPOSE_INLINE void for_edges(const Column<T>& column, bool of_next_order, std::int64_t begin, std::int64_t n,
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
        expand_rows<T, K>(column, of_next_order, begin, n, shape, rows);
    }
    const auto some = [&](std::int64_t o, auto number) {
        constexpr int NO = decltype(number)::value;
        for (std::int64_t p = 0; p < n; p += width) {
            Vector<T> edge[NO];
            if (picks) {
                pick_rows<T, K, NO>(column, column.weights(of_next_order), begin + p, rows, base, o, edge);
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
    const bool fits = allocate_in_arena([&](Arena& arena) {
        columns.allocate(arena, true, false, call.v);
        knots = arena.take<Knots<T>>(I);
        rows = arena.take<T>(work_size<T>(shape));
        sums = arena.take<T>(O * kRun);
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
        transpose(sums, kRun, O, n, call.out + b * O, O);
    }
    return true;
}

// ------------------------------------------------------------------------------------------------ gradients

// Sets totals[(r, o)] (fresh) or adds to it: the products of row r and g[o] at n samples, lane by lane, for NR rows.
template <class T, int NR, int NO>
SUPERPOSE_INLINE void multiply_by(const T* rows, const T* g, std::int64_t stride, std::int64_t n, std::int64_t outputs,
                                    bool fresh, T* totals) {
    constexpr int width = Simd<T>::width;
    Vector<T> sum[NR][NO];
#pragma GCC unroll 4
    for (int r = 0; r < NR; ++r) {
#pragma GCC unroll 4
        for (int q = 0; q < NO; ++q) sum[r][q] = fresh ? Vector<T>{} : load(totals + (r * outputs + q) * width);
    }
    for (std::int64_t p = 0; p < n; p += width) {
        Vector<T> here[NO];
#pragma GCC unroll 4
        for (int q = 0; q < NO; ++q) here[q] = load(g + q * stride + p);
#pragma GCC unroll 4
        for (int r = 0; r < NR; ++r) {
            const Vector<T> row = load(rows + r * kRun + p);
#pragma GCC unroll 4
            for (int q = 0; q < NO; ++q) sum[r][q] += row * here[q];
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < NR; ++r) {
#pragma GCC unroll 4
        for (int q = 0; q < NO; ++q) store(totals + (r * outputs + q) * width, sum[r][q]);
    }
}

template <class T, int NO>
void multiply_all_by(const T* rows, std::int64_t count, const T* g, std::int64_t stride, std::int64_t n,
                       std::int64_t outputs, bool fresh, T* totals) {
    constexpr int width = Simd<T>::width, most = kRegisters == 32 ? 4 : 2;
    std::int64_t r = 0;
    for (; r + most <= count; r += most)
        multiply_by<T, most, NO>(rows + r * kRun, g, stride, n, outputs, fresh, totals + r * outputs * width);
    for (; r < count; ++r)
        multiply_by<T, 1, NO>(rows + r * kRun, g, stride, n, outputs, fresh, totals + r * outputs * width);
}

// Samples [begin, end) and inputs [first_input, last_input).
template <class T, int K>
bool vjp_dense(const Vjp<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
                std::int64_t last_input) {
    constexpr int width = Simd<T>::width;
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, count = shape.rows(), size = count * O;
    const std::int64_t longest = smaller(kRecordStrip, end - begin);
    Columns<T, K> columns(shape, longest, Order::kNone);
    const std::int64_t stride = columns.stride();
    Knots<T>* knots;
    T *g, *rows, *totals, *contracted;
    const bool needs_input_gradients = call.grad_v || call.grad_x;
    const bool fits = allocate_in_arena([&](Arena& arena) {
        columns.allocate(arena, call.grad_v || call.grad_coefficients, call.grad_x, call.v);
        knots = arena.take<Knots<T>>(last_input - first_input);
        g = arena.take<T>(O * stride);
        rows = arena.take<T>(work_size<T>(shape));
        totals = arena.take<T>(call.grad_coefficients ? size * width : 0);
        contracted = arena.take<T>(needs_input_gradients ? kBlock * stride : 0);
    });
    if (!fits) return false;
    for (std::int64_t i = first_input; i < last_input; ++i)
        knots[i - first_input] = read_knots(call.knots + i * shape.knots(), K, shape.intervals);
    for (std::int64_t b = begin; b < end; b += kRecordStrip) {
        const std::int64_t n = smaller(kRecordStrip, end - b);
        transpose(call.g + b * O, O, n, O, g, stride);
        for (std::int64_t o = 0; o < O; ++o)
            for (std::int64_t p = n; p < stride && p % width != 0; ++p) g[o * stride + p] = 0;
        const auto contract = [&](bool of_next_order, std::int64_t i, int some, T* to) {
            for (int c = 0; c < some; ++c) {
                for (std::int64_t p = 0; p < n; p += kRun) {
                    const std::int64_t here = smaller<std::int64_t>(kRun, n - p);
                    T* sums = contracted + c * stride + p;
                    const T* factors = g + p;
                    for_edges<T, K>(columns[c], of_next_order, p, here, shape, call.coefficients + (i + c) * size, rows,
                                    [=](std::int64_t o, std::int64_t q, const Vector<T>* edge, int outputs) {
                                        Vector<T> sum = o == 0 ? Vector<T>{} : load(sums + q);
                                        for (int j = 0; j < outputs; ++j)
                                            sum += edge[j] * load(factors + (o + j) * stride + q);
                                        store(sums + q, sum);
                                    });
                }
            }
            transpose(contracted, stride, some, n, to + b * I + i, I);
        };
        for (std::int64_t i = first_input; i < last_input; i += kBlock) {
            const int some = static_cast<int>(smaller<std::int64_t>(kBlock, last_input - i));
            columns.read(knots + (i - first_input), call.x + b * I + i, call.v ? call.v + b * I + i : nullptr, n, some);
            if (call.grad_v) contract(false, i, some, call.grad_v);
            if (call.grad_x) {
                if (call.v) columns.weigh(true, n, some);
                contract(true, i, some, call.grad_x);
            }
            if (!call.grad_coefficients) continue;
            if (call.v) columns.weigh(false, n, some);
            for (int c = 0; c < some; ++c) {
                for (std::int64_t p = 0; p < n; p += kRun) {
                    const std::int64_t here = smaller<std::int64_t>(kRun, n - p);
                    expand_rows<T, K>(columns[c], false, p, here, shape, rows);
                    std::int64_t o = 0;
                    const auto multiply = [&](auto&& some_rows, int outputs) {
                        some_rows(rows, count, g + o * stride + p, stride, here, O, p == 0, totals + o * width);
                        o += outputs;
                    };
                    while (o + 4 <= O) multiply(multiply_all_by<T, 4>, 4);
                    while (o + 2 <= O) multiply(multiply_all_by<T, 2>, 2);
                    while (o < O) multiply(multiply_all_by<T, 1>, 1);
                }
                T* to = call.grad_coefficients + (i + c) * size;
                for (std::int64_t at = 0; at < size; ++at) {
                    const T sum = sum_lanes<T>(load(totals + at * width));
                    to[at] = b == begin ? sum : to[at] + sum;
                }
            }
        }
    }
    return true;
}

}  // namespace
}  // namespace superpose
