// The nonzero basis functions at each sample: as records, one for each sample, or as columns with samples sorted by
// interval.
#pragma once

#include "basis.hpp"
#include "plan.hpp"

namespace superpose {
namespace {

// Samples whose basis functions are computed at a time: their rows stay in the first-level cache (2.5 KiB for cubic float).
constexpr int kRun = 128;
// Inputs in a block: 8 doubles are one line of the cache. Blocks of 4 and of 8 inputs were compared on 22 November
// (docs/lab/kernels.md).
constexpr int kBlock = 8;

// Up to kRun points of one input, and the basis functions there.
template <class T, int K>
class Points {
  public:
    void allocate(Arena& arena) {
        strip_.stride = kRun;
        strip_.place = arena.take<T>(kRun);
        strip_.logistic = arena.take<T>(kRun);
        strip_.local = arena.take<T>(2 * K * kRun);
    }

    // Finds the intervals of x[0..n), n <= kRun. Pads x to whole vectors; `rows` reads it again.
    void find(const Knots<T>& knots, int base, T* x, std::int64_t n, std::int32_t* first) {
        constexpr int width = Simd<T>::width;
        for (std::int64_t p = n; p % width != 0 || p % 4 != 0; ++p) x[p] = knots.low;
        strip_.x = x;
        locate(knots, strip_, first, n);
        // For the padding too: it is multiplied by zero later, and zero times NaN is NaN.
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

// The basis at one sample of one input: its K + 1 B-splines (filled up with zeros to four), at index 6 the base function,
// and the number of the first row. Eight numbers, so that a float record is half a line of the cache.
constexpr int kBaseWeight = 6;

template <class T>
struct alignas(8 * sizeof(T)) Record {
    T weights[7];
    typename Simd<T>::Integer first;
};
static_assert(sizeof(Record<float>) == 32 && kMaxDegree < kBaseWeight);

// Turns one input's column of x into records.
template <class T, int K>
class Reader {
  public:
    void allocate(Arena& arena) {
        points_.allocate(arena);
        x_ = arena.take<T>(kRun);
        rows_ = arena.take<T>((K + 2) * kRun);
        first_ = arena.take<std::int32_t>(kRun);
    }

    // Either output may be null; `slopes` is of the next order.
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
        // Local copies, because a store to a record might alias the members and force the compiler to reload them.
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
            transpose_four<T>(four);
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

// The samples of one interval: order[begin] up to the next run's begin.
struct IntervalRun {
    std::int32_t interval, begin;
};

// How the samples of a column are ordered: sorted by interval; in their given order, each a run of its own; or no order,
// where the kernel does not need one.
enum class Order { kSorted, kKept, kNone };

// One input's samples. `values` and `slopes` hold K + 1 B-splines and the base function, `stride` apart, in the given order
// of the samples; `first` holds their intervals. runs[count].begin is the number of samples.
template <class T>
struct Column {
    T *values, *slopes;
    std::int32_t *first, *order;
    IntervalRun* runs;
    std::int64_t count, stride;

    T* weights(bool of_next_order) const { return of_next_order ? slopes : values; }
};

// Sorts samples by interval: a counting sort.
class Sorter {
  public:
    // Elements that `sort` may write behind the end of `order`: it stores whole vectors of 16.
    static constexpr std::int64_t kSlack = 16;

    void allocate(Arena& arena, std::int64_t intervals) { offsets_ = arena.take<std::int32_t>(intervals + 2); }

    // Returns the number of runs, at most min(n, intervals).
    std::int64_t sort(const std::int32_t* first, std::int64_t n, std::int64_t intervals, std::int32_t* order,
                      IntervalRun* runs) {
        if (intervals <= kFew) {
            sort_few(first, n, intervals, order);
        } else {
            std::memset(offsets_, 0, sizeof(std::int32_t) * (intervals + 2));
            // Counted two places further on, so that after the prefix sum and the placing offsets_[m] is the begin of m.
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

    // Each sample is a run of its own, in the given order: for few samples on many intervals.
    static std::int64_t keep(const std::int32_t* first, std::int64_t n, std::int32_t* order, IntervalRun* runs) {
        for (std::int64_t b = 0; b < n; ++b) {
            order[b] = static_cast<std::int32_t>(b);
            runs[b] = {first[b], static_cast<std::int32_t>(b)};
        }
        runs[n] = {0, static_cast<std::int32_t>(n)};
        return n;
    }

  private:
#if defined(__AVX512F__)
    // One pass over the samples for each interval, sixteen samples at a time, by comparing and compressing. Counters would
    // wait for each other where many samples have the same interval: forward at (1024, 128, 128), G = 5, took 1.52 ms with
    // counters and 1.37 ms so. From about 16 intervals on counters are faster (docs/lab/kernels.md).
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
    // The counters of 8 intervals, a byte each, fit into one 64-bit register. Counters in memory would wait for each other
    // where many samples have the same interval.
    static constexpr std::int64_t kFew = 8;

    void sort_few(const std::int32_t* first, std::int64_t n, std::int64_t intervals, std::int32_t* order) {
        constexpr std::int64_t most = 255;  // the largest count of a byte
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

// to[c][r] = from[r][c]; the strides are the distances between rows of `from` and of `to`.
template <class T>
void transpose(const T* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns, T* to,
                std::int64_t to_stride) {
    const std::int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    const auto block = [=](std::int64_t r, std::int64_t c) __attribute__((always_inline)) {
        typename Four<T>::V four[4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) four[q] = load_four(from + (r + q) * from_stride + c);
        transpose_four<T>(four);
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) store_four(to + (c + q) * to_stride + r, four[q]);
    };
    // The longer dimension in the inner loop.
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

// Computes the columns of a block of inputs, for strips of up to `longest` samples.
template <class T, int K>
class Columns {
  public:
    Columns(const Shape& shape, std::int64_t longest, Order order)
        : shape_(shape), longest_(longest), stride_(ceil_divide(longest, kWhole) * kWhole), order_(order),
          base_(shape.base, shape.order), next_(shape.base, shape.order + 1) {}

    void allocate(Arena& arena, bool values, bool slopes, bool weighted) {
        points_.allocate(arena);
        if (order_ == Order::kSorted) sorter_.allocate(arena, shape_.intervals);
        x_ = arena.take<T>(kBlock * stride_);
        v_ = weighted ? arena.take<T>(kBlock * stride_) : nullptr;
        for (auto& column : columns_) {
            column.stride = stride_;
            column.values = values ? arena.take<T>((K + 2) * stride_) : nullptr;
            column.slopes = slopes ? arena.take<T>((K + 2) * stride_) : nullptr;
            column.first = arena.take<std::int32_t>(stride_);
            if (order_ == Order::kNone) continue;
            column.order = arena.take<std::int32_t>(longest_ + Sorter::kSlack);
            const bool sorted = order_ == Order::kSorted;
            column.runs = arena.take<IntervalRun>((sorted ? smaller(longest_, shape_.intervals) : longest_) + 1);
        }
    }

    // `x` and `v` point to the block's first input at the strip's first sample.
    void read(const Knots<T>* knots, const T* x, const T* v, std::int64_t n, int count) {
        transpose(x, shape_.inputs, n, count, x_, stride_);
        if (v) transpose(v, shape_.inputs, n, count, v_, stride_);
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

    // Multiplies the values or the slopes of a block by its v.
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
    // A multiple of the width of every vector, and of the four samples that are transposed together.
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
