// What is not zero at each sample: as records, or as columns whose samples are ordered by interval.
#pragma once

#include "basis.hpp"
#include "plan.hpp"

namespace superpose {
namespace {

// Samples whose rows are found at a time.
constexpr int kRun = 128;
// Inputs in a block.
constexpr int kBlock = 8;

// A run of one input's points, and their row functions.
template <class T, int K>
class Points {
  public:
    void cut(Cutter& cutter) {
        strip_.stride = kRun;
        strip_.place = cutter.cut<T>(kRun);
        strip_.logistic = cutter.cut<T>(kRun);
        strip_.local = cutter.cut<T>(2 * K * kRun);
    }

    // Finds the intervals of x[0..n), n <= kRun. x is filled up to whole vectors, and is read again by `rows`.
    void find(const Knots<T>& knots, int base, T* x, std::int64_t n, std::int32_t* first) {
        constexpr int width = Simd<T>::width;
        for (std::int64_t p = n; p % width != 0 || p % 4 != 0; ++p) x[p] = knots.low;
        strip_.x = x;
        locate(knots, strip_, first, n);
        // Of what fills the last vector too: multiplied by zero later, it must be a number.
        if (!knots.even) gather_knots<T, K>(knots, strip_, first, ceil_divide(n, width) * width);
        if (base == kSilu)
            for (std::int64_t p = 0; p < n; p += width) store(strip_.logistic + p, logistic<T>(load(x + p)));
    }

    // K + 1 splines, then the base function (zeros without one), `stride` apart.
    void rows(const Knots<T>& knots, const BaseFunction<T>& base, std::int64_t n, T* out, std::int64_t stride) const {
        active_rows<T, K>(knots, base, base.order, strip_, n, out, stride);
    }

  private:
    Strip<T> strip_;
};

// ----------------------------------------------------------------------------------------------------- records

// What one input does at one sample: its K + 1 spline rows, zeros up to four, in the last place but one the base
// function's, and which row is the first.
constexpr int kBaseWeight = 6;

template <class T>
struct alignas(8 * sizeof(T)) Record {
    T weights[7];
    typename Simd<T>::Integer first;
};
static_assert(sizeof(Record<float>) == 32 && kMostDegree < kBaseWeight);

// Turns one input's column of x into records.
template <class T, int K>
class Reader {
  public:
    void cut(Cutter& cutter) {
        points_.cut(cutter);
        x_ = cutter.cut<T>(kRun);
        rows_ = cutter.cut<T>((K + 2) * kRun);
        first_ = cutter.cut<std::int32_t>(kRun);
    }

    // `slopes` may be null, and is of the next order.
    void read(const Knots<T>& knots, const BaseFunction<T>& base, const BaseFunction<T>& next, const T* x,
              std::int64_t inputs, std::int64_t n, Record<T>* values, Record<T>* slopes) {
        for (std::int64_t b = 0; b < n; b += kRun) {
            const std::int64_t here = smaller<std::int64_t>(kRun, n - b);
            for (std::int64_t p = 0; p < here; ++p) x_[p] = x[(b + p) * inputs];
            points_.find(knots, base.kind, x_, here, first_);
            if (values) write(knots, base, here, values + b);
            if (slopes) write(knots, next, here, slopes + b);
        }
    }

  private:
    void write(const Knots<T>& knots, const BaseFunction<T>& base, std::int64_t n, Record<T>* records) {
        points_.rows(knots, base, n, rows_, kRun);
        typedef typename Four<T>::V V;
        // Copies: for all the compiler knows, a store to a record could change the members.
        const T* const rows = rows_;
        const std::int32_t* const first = first_;
        const auto finish = [=](Record<T>& record, std::int64_t p) {
#pragma GCC unroll 4
            for (int s = 4; s <= K; ++s) record.weights[s] = rows[s * kRun + p];
            record.weights[kBaseWeight] = rows[(K + 1) * kRun + p];
            record.first = first[p];
        };
        std::int64_t p = 0;
        for (; p + 4 <= n; p += 4) {
            V four[4] = {};
#pragma GCC unroll 4
            for (int s = 0; s <= (K < 3 ? K : 3); ++s) four[s] = load_four(rows + s * kRun + p);
            transpose<T>(four);
#pragma GCC unroll 4
            for (int q = 0; q < 4; ++q) {
                store_four(records[p + q].weights, four[q]);
                finish(records[p + q], p + q);
            }
        }
        for (; p < n; ++p) {
#pragma GCC unroll 4
            for (int s = 0; s < 4; ++s) records[p].weights[s] = s <= K ? rows[s * kRun + p] : T(0);
            finish(records[p], p);
        }
    }

    Points<T, K> points_;
    T *x_, *rows_;
    std::int32_t* first_;
};

template <class T, int K>
void scale_records(const T* by, std::int64_t inputs, std::int64_t n, Record<T>* records) {
    for (std::int64_t b = 0; b < n; ++b)
        for (int s = 0; s < 7; ++s)
            if (s <= K || s == kBaseWeight) records[b].weights[s] *= by[b * inputs];
}

// ----------------------------------------------------------------------------------------------------- columns

// Samples of one interval: those from order[begin] on, up to the next run's.
struct Run {
    std::int32_t interval, begin;
};

// How the samples of a column are ordered: by interval, as they stand with each a run of its own, or not at all.
enum class Order { kSorted, kKept, kNone };

// One input's samples. `values` and `slopes` hold K + 1 splines and the base function, `stride` apart, as the samples
// stand; `first` their intervals. runs[count].begin is the number of samples.
template <class T>
struct Column {
    T *values, *slopes;
    std::int32_t *first, *order;
    Run* runs;
    std::int64_t count, stride;

    T* weights(bool of_slopes) const { return of_slopes ? slopes : values; }
};

// The order of samples by interval.
class Sorter {
  public:
    // Places behind an order that may be written to, and behind `first` that may be read.
    static constexpr std::int64_t kSlack = 16;

    void cut(Cutter& cutter, std::int64_t intervals) { offsets_ = cutter.cut<std::int32_t>(intervals + 2); }

    // Returns how many runs there are, at most min(n, intervals).
    std::int64_t sort(const std::int32_t* first, std::int64_t n, std::int64_t intervals, std::int32_t* order,
                      Run* runs) {
        if (intervals <= kFew) {
            sort_few(first, n, intervals, order);
        } else {
            std::memset(offsets_, 0, sizeof(std::int32_t) * (intervals + 2));
            // One place further on, so that after counting, adding up and placing offsets_[m] is where m begins.
            for (std::int64_t b = 0; b < n; ++b) ++offsets_[first[b] + 2];
            for (std::int64_t m = 2; m <= intervals + 1; ++m) offsets_[m] += offsets_[m - 1];
            for (std::int64_t b = 0; b < n; ++b) order[offsets_[first[b] + 1]++] = static_cast<std::int32_t>(b);
        }
        std::int64_t count = 0;
        for (std::int64_t m = 0; m < intervals; ++m) {
            runs[count] = {static_cast<std::int32_t>(m), offsets_[m]};
            count += offsets_[m + 1] > offsets_[m];
        }
        runs[count] = {0, static_cast<std::int32_t>(n)};
        return count;
    }

    // Each sample by itself, as it stands: for few samples on many intervals.
    static std::int64_t keep(const std::int32_t* first, std::int64_t n, std::int32_t* order, Run* runs) {
        for (std::int64_t b = 0; b < n; ++b) {
            order[b] = static_cast<std::int32_t>(b);
            runs[b] = {first[b], static_cast<std::int32_t>(b)};
        }
        runs[n] = {0, static_cast<std::int32_t>(n)};
        return n;
    }

  private:
#if defined(__AVX512F__)
    // Interval after interval, sixteen samples at a time: counts would wait for each other where many samples have the
    // same interval.
    static constexpr std::int64_t kFew = 8;

    void sort_few(const std::int32_t* first, std::int64_t n, std::int64_t intervals, std::int32_t* order) {
        const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        std::int32_t* to = order;
        for (std::int64_t m = 0; m < intervals; ++m) {
            offsets_[m] = static_cast<std::int32_t>(to - order);
            const __m512i interval = _mm512_set1_epi32(static_cast<int>(m));
            const auto take = [&](std::int64_t b, __mmask16 which) __attribute__((always_inline)) {
                which &= _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(first + b), interval);
                const __m512i samples = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(b)));
                _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(which, samples));
                to += __builtin_popcount(which);
            };
            std::int64_t b = 0;
            for (; b + 16 <= n; b += 16) take(b, 0xffff);
            if (b < n) take(b, static_cast<__mmask16>((1 << (n - b)) - 1));
        }
        offsets_[intervals] = static_cast<std::int32_t>(n);
    }
#else
    // Intervals whose counts, of a byte each, fit into a word: counts in memory would wait for each other where many
    // samples have the same interval.
    static constexpr std::int64_t kFew = 8;

    void sort_few(const std::int32_t* first, std::int64_t n, std::int64_t intervals, std::int32_t* order) {
        constexpr std::int64_t most = 255;
        const auto each = [=](std::int64_t begin, auto&& take) {
            const std::int64_t end = smaller(n, begin + most);
            for (std::int64_t b = begin; b < end; ++b) take(b, 8 * first[b]);
        };
        const auto add = [&](std::uint64_t counts, std::int32_t* to) {
            for (std::int64_t m = 0; m < intervals; ++m) to[m] += static_cast<std::int32_t>(counts >> 8 * m & 255);
        };
        std::memset(offsets_, 0, sizeof(std::int32_t) * (intervals + 1));
        for (std::int64_t begin = 0; begin < n; begin += most) {
            std::uint64_t counts = 0;
            each(begin, [&](std::int64_t, int shift) { counts += std::uint64_t(1) << shift; });
            add(counts, offsets_ + 1);
        }
        for (std::int64_t m = 1; m <= intervals; ++m) offsets_[m] += offsets_[m - 1];
        std::int32_t next[kFew] = {};
        for (std::int64_t m = 0; m < intervals; ++m) next[m] = offsets_[m];
        for (std::int64_t begin = 0; begin < n; begin += most) {
            std::uint64_t counts = 0;
            each(begin, [&](std::int64_t b, int shift) {
                order[next[shift / 8] + static_cast<std::int32_t>(counts >> shift & 255)] = static_cast<std::int32_t>(b);
                counts += std::uint64_t(1) << shift;
            });
            add(counts, next);
        }
    }
#endif

    std::int32_t* offsets_;
};

// to[c][r] = from[r][c], rows of `from` and of `to` being so far apart.
template <class T>
void turn_round(const T* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns, T* to,
                std::int64_t to_stride) {
    const std::int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    const auto block = [=](std::int64_t r, std::int64_t c) __attribute__((always_inline)) {
        typename Four<T>::V four[4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) four[q] = load_four(from + (r + q) * from_stride + c);
        transpose<T>(four);
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) store_four(to + (c + q) * to_stride + r, four[q]);
    };
    // The longer way inside.
    if (rows > columns) {
        for (std::int64_t c = 0; c < whole_columns; c += 4)
            for (std::int64_t r = 0; r < whole_rows; r += 4) block(r, c);
    } else {
        for (std::int64_t r = 0; r < whole_rows; r += 4)
            for (std::int64_t c = 0; c < whole_columns; c += 4) block(r, c);
    }
    for (std::int64_t c = whole_columns; c < columns; ++c)
        for (std::int64_t r = 0; r < whole_rows; ++r) to[c * to_stride + r] = from[r * from_stride + c];
    for (std::int64_t r = whole_rows; r < rows; ++r)
        for (std::int64_t c = 0; c < columns; ++c) to[c * to_stride + r] = from[r * from_stride + c];
}

// Reads blocks of inputs into columns, for strips of up to `longest` samples.
template <class T, int K>
class Columns {
  public:
    Columns(const Shape& shape, std::int64_t longest, Order order)
        : shape_(shape), longest_(longest), stride_(ceil_divide(longest, kWhole) * kWhole), order_(order),
          base_(shape.base, shape.order), next_(shape.base, shape.order + 1) {}

    void cut(Cutter& cutter, bool values, bool slopes, bool weighted) {
        points_.cut(cutter);
        if (order_ == Order::kSorted) sorter_.cut(cutter, shape_.intervals);
        x_ = cutter.cut<T>(kBlock * stride_);
        v_ = weighted ? cutter.cut<T>(kBlock * stride_) : nullptr;
        for (auto& column : columns_) {
            column.stride = stride_;
            column.values = values ? cutter.cut<T>((K + 2) * stride_) : nullptr;
            column.slopes = slopes ? cutter.cut<T>((K + 2) * stride_) : nullptr;
            column.first = cutter.cut<std::int32_t>(stride_);
            if (order_ == Order::kNone) continue;
            column.order = cutter.cut<std::int32_t>(longest_ + Sorter::kSlack);
            const bool sorted = order_ == Order::kSorted;
            column.runs = cutter.cut<Run>((sorted ? smaller(longest_, shape_.intervals) : longest_) + 1);
        }
    }

    // `x` and `v` point to the block's first input at the strip's first sample.
    void read(const Knots<T>* knots, const T* x, const T* v, std::int64_t n, int count) {
        turn_round(x, shape_.inputs, n, count, x_, stride_);
        if (v) turn_round(v, shape_.inputs, n, count, v_, stride_);
        for (int c = 0; c < count; ++c) {
            Column<T>& column = columns_[c];
            for (std::int64_t b = 0; b < n; b += kRun) {
                const std::int64_t here = smaller<std::int64_t>(kRun, n - b);
                points_.find(knots[c], base_.kind, x_ + c * stride_ + b, here, column.first + b);
                if (column.values) points_.rows(knots[c], base_, here, column.values + b, stride_);
                if (column.slopes) points_.rows(knots[c], next_, here, column.slopes + b, stride_);
            }
            if (order_ == Order::kSorted) {
                column.count = sorter_.sort(column.first, n, shape_.intervals, column.order, column.runs);
            } else if (order_ == Order::kKept) {
                column.count = Sorter::keep(column.first, n, column.order, column.runs);
            }
        }
    }

    // Multiplies a block's values or slopes by what was read as `v`.
    void weigh(bool slopes, std::int64_t n, int count) {
        for (int c = 0; c < count; ++c) {
            T* weights = columns_[c].weights(slopes);
            const T* v = v_ + c * stride_;
            for (int s = 0; s < K + 2; ++s, weights += stride_)
                for (std::int64_t b = 0; b < n; ++b) weights[b] *= v[b];
        }
    }

    const Column<T>& operator[](int c) const { return columns_[c]; }
    std::int64_t stride() const { return stride_; }

  private:
    // A multiple of every vector's length, and of the four that are read together.
    static constexpr std::int64_t kWhole = 16;

    const Shape& shape_;
    const std::int64_t longest_, stride_;
    const Order order_;
    const BaseFunction<T> base_, next_;
    Points<T, K> points_;
    Sorter sorter_;
    T *x_, *v_;
    Column<T> columns_[kBlock];
};

}  // namespace
}  // namespace superpose
