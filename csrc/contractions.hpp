// The contractions of a KAN layer: edge_sum, and its three pulls in one pass.
//
// Work goes through blocks of a few inputs and a strip of samples. For a block the rows that are not zero are found
// once, as a record for each input and sample; then tiles of outputs, a few vectors wide, run over it:
//   edge_sum     sums stay in registers while the tile's coefficients stay in the first-level cache;
//   value, slope the tile of g stays in registers;
//   coefficient  samples are ordered by interval first, so that the degree + 1 rows they share stay in registers.
// A tile's coefficients are copied together first: rows a power of two apart would fall on the same few cache sets.
#pragma once

#include "basis.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace superpose {
namespace {

// Samples in a strip, of which rows are found for a short run at a time.
constexpr int kSumStrip = 512, kPullStrip = 1024, kRun = 128;
// Inputs in a block.
constexpr int kSumBlock = 8, kPullBlock = 4;
// More intervals than this are not worth sums of their own, which must be cleared and added up.
constexpr std::int64_t kNarrowIntervals = 64;
// Vectors of outputs in a tile.
constexpr int kSumVectors = 4, kPullVectors = 8;
// Bytes of coefficients that a tile keeps close while samples pass.
constexpr std::int64_t kTileBytes = 20 * 1024;
// Less work than this, in multiply-adds of one row, is not worth a second thread.
constexpr double kThreadWork = 20000;

SUPERPOSE_INLINE std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Of the threads at work, which may be fewer than were asked for.
inline int thread_index() {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

inline int threads_at_work() {
#ifdef _OPENMP
    return omp_get_num_threads();
#else
    return 1;
#endif
}

inline int threads_for(const Shape& shape) {
#ifdef _OPENMP
    const double work = double(shape.batch) * double(shape.inputs) * double(shape.outputs + 8);
    return work < kThreadWork || shape.threads < 2 ? 1 : shape.threads;
#else
    return 1;
#endif
}

// Share `index` of `count` of a range of `length`, in whole units.
struct Share {
    std::int64_t begin, end;
    Share(std::int64_t length, std::int64_t unit, int index, int count) {
        const std::int64_t units = ceil_divide(length, unit);
        begin = smaller(units * index / count * unit, length);
        end = smaller(units * (index + 1) / count * unit, length);
    }
};

// Memory for a call, cut from one piece.
class Cutter {
  public:
    explicit Cutter(char* memory) : memory_(memory) {}
    template <class U>
    U* cut(std::int64_t count) {
        U* piece = reinterpret_cast<U*>(memory_ + used_);
        used_ += (count * static_cast<std::int64_t>(sizeof(U)) + 63) / 64 * 64;
        return piece;
    }
    std::int64_t used() const { return used_; }

  private:
    char* memory_;
    std::int64_t used_ = 0;
};

// Runs lay(cutter) twice: once to count, once on memory of that size.
template <class F>
bool lay_out(Workspace& workspace, F&& lay) {
    Cutter count(nullptr);
    lay(count);
    void* memory = workspace.get(static_cast<std::size_t>(count.used()));
    if (!memory) return false;
    Cutter cutter(static_cast<char*>(memory));
    lay(cutter);
    return true;
}

// How the outputs are cut into vectors.
template <class T>
struct Tiles {
    std::int64_t outputs, vectors;

    explicit Tiles(std::int64_t outputs_) : outputs(outputs_), vectors(ceil_divide(outputs_, Simd<T>::width)) {}
    // Lanes that count in the vectors from `vector` on.
    std::int64_t lanes(std::int64_t vector) const { return outputs - vector * Simd<T>::width; }
};

// Calls tile(first vector, number of vectors) with numbers `most`, a power of two, and smaller ones.
template <class F>
SUPERPOSE_INLINE void for_tiles(std::int64_t begin, std::int64_t end, int most, F&& tile) {
    while (begin < end) {
        int count = most;
        while (count > end - begin) count /= 2;
        tile(begin, count);
        begin += count;
    }
}

// What one input does at one sample: its K + 1 spline rows, zeros up to four, in the last place but one the base
// function's, and which row is the first.
constexpr int kBaseWeight = 6;

template <class T>
struct alignas(8 * sizeof(T)) Record {
    T weights[7];
    typename Simd<T>::Integer first;
};
static_assert(sizeof(Record<float>) == 32 && kMostDegree < kBaseWeight);

// Turns one input's column of x into records, a run at a time.
template <class T, int K>
class Reader {
  public:
    void cut(Cutter& cutter) {
        strip_.stride = kRun;
        strip_.x = cutter.cut<T>(kRun);
        strip_.place = cutter.cut<T>(kRun);
        strip_.logistic = cutter.cut<T>(kRun);
        strip_.local = cutter.cut<T>(2 * K * kRun);
        rows_ = cutter.cut<T>((K + 2) * kRun);
        first_ = cutter.cut<std::int32_t>(kRun);
    }

    // `slopes` may be null, and is of the next order.
    void read(const Knots<T>& knots, const BaseFunction<T>& base, const BaseFunction<T>& next, const T* x,
              std::int64_t inputs, std::int64_t n, Record<T>* values, Record<T>* slopes) {
        constexpr int width = Simd<T>::width;
        for (std::int64_t b = 0; b < n; b += kRun) {
            const std::int64_t here = smaller<std::int64_t>(kRun, n - b);
            for (std::int64_t p = 0; p < here; ++p) strip_.x[p] = x[(b + p) * inputs];
            for (std::int64_t p = here; p % width != 0 || p % 4 != 0; ++p) strip_.x[p] = knots.low;
            locate(knots, strip_, first_, here);
            if (!knots.even) gather_knots<T, K>(knots, strip_, first_, here);
            if (base.kind == kSilu)
                for (std::int64_t p = 0; p < here; p += width)
                    store(strip_.logistic + p, logistic<T>(load(strip_.x + p)));
            if (values) write(knots, base, here, values + b);
            if (slopes) write(knots, next, here, slopes + b);
        }
    }

  private:
    void write(const Knots<T>& knots, const BaseFunction<T>& base, std::int64_t n, Record<T>* records) {
        active_rows<T, K>(knots, base, base.order, strip_, n, rows_, kRun);
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

    Strip<T> strip_;
    T* rows_;
    std::int32_t* first_;
};

// Coefficients of a few inputs for one tile of outputs, rows `stride` apart.
template <class T>
struct TileRows {
    const T* rows[kSumBlock > kPullBlock ? kSumBlock : kPullBlock];
    std::int64_t base_offset;
};

// Coefficients as tiles see them.
template <class T>
class Coefficients {
  public:
    Coefficients(const T* values, const Shape& shape)
        : values_(values), tiles_(shape.outputs), inputs_(shape.inputs), rows_(shape.rows()),
          base_row_(shape.base == kNone ? 0 : rows_ - 1),
          tail_(direct() ? smaller(inputs_, ceil_divide(Simd<T>::width - shape.outputs, rows_ * shape.outputs)) : 0) {}

    // For blocks of `inputs`, tiles of up to `most_vectors`, strips of up to `samples`.
    void cut(Cutter& cutter, int inputs, int most_vectors, std::int64_t samples) {
        const std::int64_t lanes = std::int64_t(most_vectors) * Simd<T>::width;
        few_ = samples < 4 * rows_;
        close_ = inputs;
        if (!direct() && !few_ && close_ * rows_ * lanes * std::int64_t(sizeof(T)) > kTileBytes)
            close_ = static_cast<int>(larger<std::int64_t>(1, kTileBytes / (rows_ * lanes * std::int64_t(sizeof(T)))));
        copy_ = cutter.cut<T>(direct() ? tail_ * rows_ * tiles_.outputs + Simd<T>::width : close_ * rows_ * lanes);
    }

    // One vector of outputs or less is read where it stands: then the rest of a vector reads on into the next rows,
    // and only the last inputs, which have not enough of them behind, are copied.
    bool direct() const { return tiles_.vectors == 1; }
    int close() const { return close_; }

    void prepare() {
        if (!direct()) return;
        const std::int64_t size = rows_ * tiles_.outputs;
        std::memcpy(copy_, values_ + (inputs_ - tail_) * size, sizeof(T) * tail_ * size);
        std::memset(static_cast<void*>(copy_ + tail_ * size), 0, sizeof(T) * Simd<T>::width);
    }

    // Fills in the tile and returns how far apart its rows are.
    std::int64_t tile(std::int64_t input, int count, std::int64_t vector, int vectors, TileRows<T>& tile) const {
        const std::int64_t size = rows_ * tiles_.outputs;
        const std::int64_t lanes = vectors * Simd<T>::width, left = smaller(lanes, tiles_.lanes(vector));
        // A few samples see a few rows, and copying all of them would take longer.
        const bool in_place = direct() || lanes == tiles_.outputs || (few_ && left == lanes);
        const std::int64_t stride = in_place ? tiles_.outputs : lanes;
        tile.base_offset = base_row_ * stride;
        for (int c = 0; c < count; ++c) {
            const T* from = values_ + (input + c) * size + vector * Simd<T>::width;
            if (in_place) {
                const std::int64_t copied = input + c - (inputs_ - tail_);
                tile.rows[c] = direct() && copied >= 0 ? copy_ + copied * size : from;
            } else {
                T* to = copy_ + c * rows_ * lanes;
                tile.rows[c] = to;
                for (std::int64_t r = 0; r < rows_; ++r, to += lanes, from += tiles_.outputs) {
                    std::int64_t l = 0;
                    for (; l + Simd<T>::width <= left; l += Simd<T>::width) store(to + l, load(from + l));
                    if (l < left) {
                        std::memset(static_cast<void*>(to + l), 0, sizeof(T) * Simd<T>::width);
                        for (; l < left; ++l) to[l] = from[l];
                    }
                }
            }
        }
        return stride;
    }

  private:
    const T* values_;
    Tiles<T> tiles_;
    std::int64_t inputs_, rows_, base_row_, tail_;
    int close_ = 1;
    bool few_ = false;
    T* copy_ = nullptr;
};

template <class T, int K>
void scale_records(const T* by, std::int64_t inputs, std::int64_t n, Record<T>* records) {
    for (std::int64_t b = 0; b < n; ++b)
        for (int s = 0; s < 7; ++s)
            if (s <= K || s == kBaseWeight) records[b].weights[s] *= by[b * inputs];
}

// ---------------------------------------------------------------------------------------------------- edge_sum

// Where sums go: to `to`, rows `outputs` apart, of which this tile's last vector has `last` lanes.
template <class T>
struct Sums {
    T* to;
    std::int64_t outputs, samples;
    // Whether there is nothing yet to add to; whether nothing will be added later.
    bool fresh, final;
    int last;

    // A part of a vector may be stored whole where the sums of later samples will cover the rest.
    int lanes(std::int64_t b) const {
        return fresh && final && b * outputs + Simd<T>::width <= samples * outputs ? Simd<T>::width : last;
    }
};

// NB samples by NV vectors of outputs, over `count` inputs.
template <class T, int K, int NV, int NB>
SUPERPOSE_INLINE void sum_samples(const TileRows<T>& tile, const Record<T>* const* records, int count, std::int64_t b,
                                  std::int64_t stride, const Sums<T>& out) {
    constexpr int width = Simd<T>::width;
    Vector<T> sum[NB][NV];
#pragma GCC unroll 8
    for (int q = 0; q < NB; ++q) {
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            const T* from = out.to + (b + q) * out.outputs + j * width;
            if (out.fresh) {
                sum[q][j] = Vector<T>{};
            } else {
                sum[q][j] = j == NV - 1 ? load_part(from, out.last) : load(from);
            }
        }
    }
    for (int i = 0; i < count; ++i) {
        const T* rows = tile.rows[i];
        const Record<T>* record = records[i] + b;
        const T* row[NB];
#pragma GCC unroll 8
        for (int q = 0; q < NB; ++q) row[q] = rows + record[q].first * stride;
        // Sample after sample for each row: a sum is not asked for again before its last product is there.
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) {
#pragma GCC unroll 8
            for (int q = 0; q < NB; ++q) {
                const Vector<T> w = all(record[q].weights[s]);
#pragma GCC unroll 8
                for (int j = 0; j < NV; ++j) sum[q][j] += w * load(row[q] + s * stride + j * width);
            }
        }
        rows += tile.base_offset;
        Vector<T> w[NB];
#pragma GCC unroll 8
        for (int q = 0; q < NB; ++q) w[q] = all(record[q].weights[kBaseWeight]);
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            const Vector<T> row = load(rows + j * width);
#pragma GCC unroll 8
            for (int q = 0; q < NB; ++q) sum[q][j] += w[q] * row;
        }
    }
#pragma GCC unroll 8
    for (int q = 0; q < NB; ++q) {
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            T* to = out.to + (b + q) * out.outputs + j * width;
            if (j == NV - 1) {
                store_part(to, sum[q][j], NV == 1 ? out.lanes(b + q) : out.last);
            } else {
                store(to, sum[q][j]);
            }
        }
    }
}

template <class T, int K, int NV>
void sum_tile(const TileRows<T>& tile, const Record<T>* const* records, int count, std::int64_t stride,
              const Sums<T>& out) {
    // As many sums at a time as registers hold: each waits for its last product.
    constexpr int NB = kRegisters / 16 * (NV == 4 ? 3 : NV == 2 ? 4 : 6);
    std::int64_t b = 0;
    for (; b + NB <= out.samples; b += NB) sum_samples<T, K, NV, NB>(tile, records, count, b, stride, out);
    for (; b < out.samples; ++b) sum_samples<T, K, NV, 1>(tile, records, count, b, stride, out);
}

// A single output: the rows of a sample lie side by side, and make one vector of four.
template <class T, int K>
SUPERPOSE_INLINE typename Four<T>::V side_by_side(const T* rows) {
    if constexpr (K == 3) return load_four(rows);
    typename Four<T>::V some = {};
    for (int s = 0; s <= K && s < 4; ++s) some[s] = rows[s];
    return some;
}

template <class T, int K>
void sum_single(const TileRows<T>& tile, const Record<T>* const* records, int count, std::int64_t n, T* out,
                bool fresh) {
    typedef typename Four<T>::V V;
    for (std::int64_t b = 0; b < n; ++b) {
        V sum = {};
        T base = fresh ? T(0) : out[b];
        for (int i = 0; i < count; ++i) {
            const Record<T>& record = records[i][b];
            sum += load_four(record.weights) * side_by_side<T, K>(tile.rows[i] + record.first);
            base += record.weights[kBaseWeight] * tile.rows[i][tile.base_offset];
        }
        out[b] = ((sum[0] + sum[2]) + (sum[1] + sum[3])) + base;
    }
}

// Samples [begin, end) by the vectors [first_vector, last_vector) of the outputs.
template <class T, int K>
bool sum_part(const EdgeSum<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_vector,
              std::int64_t last_vector) {
    static thread_local Workspace workspace;
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs;
    const Tiles<T> tiles(O);
    const std::int64_t longest = smaller<std::int64_t>(kSumStrip, end - begin);
    Reader<T, K> reader;
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    Record<T>* records[kSumBlock];
    const bool fits = lay_out(workspace, [&](Cutter& cutter) {
        reader.cut(cutter);
        coefficients.cut(cutter, kSumBlock, smaller<std::int64_t>(kSumVectors, last_vector - first_vector), longest);
        knots = cutter.cut<Knots<T>>(I);
        for (auto& part : records) part = cutter.cut<Record<T>>(longest + 4);
    });
    if (!fits) return false;
    coefficients.prepare();
    for (std::int64_t i = 0; i < I; ++i) knots[i] = read_knots(call.knots + i * shape.knots(), K, shape.intervals);
    const BaseFunction<T> base(shape.base, shape.order);
    for (std::int64_t b = begin; b < end; b += kSumStrip) {
        const std::int64_t n = smaller<std::int64_t>(kSumStrip, end - b);
        for (std::int64_t i = 0; i < I; i += kSumBlock) {
            const int count = static_cast<int>(smaller<std::int64_t>(kSumBlock, I - i));
            for (int c = 0; c < count; ++c) {
                reader.read(knots[i + c], base, base, call.x + b * I + i + c, I, n, records[c], nullptr);
                if (call.v) scale_records<T, K>(call.v + b * I + i + c, I, n, records[c]);
            }
            for (int c = 0; c < count; c += coefficients.close()) {
                const int some = smaller(coefficients.close(), count - c);
                const bool fresh = i == 0 && c == 0, final = c + some == I;
                if (O == 1 && K <= 3) {
                    TileRows<T> tile;
                    coefficients.tile(i + c, some, 0, 1, tile);
                    sum_single<T, K>(tile, records + c, some, n, call.out + b, fresh);
                    continue;
                }
                for_tiles(first_vector, last_vector, kSumVectors, [&](std::int64_t vector, int vectors) {
                    TileRows<T> tile;
                    const std::int64_t stride = coefficients.tile(i + c, some, vector, vectors, tile);
                    // Only a lone vector's rest is the next sample's: of a wider row it is another tile's.
                    const Sums<T> out{call.out + b * O + vector * Simd<T>::width, O, n, fresh,
                                      final && tiles.vectors == 1,
                                      static_cast<int>(smaller<std::int64_t>(Simd<T>::width,
                                                                             tiles.lanes(vector + vectors - 1)))};
                    switch (vectors) {
                        case 4: sum_tile<T, K, 4>(tile, records + c, some, stride, out); break;
                        case 2: sum_tile<T, K, 2>(tile, records + c, some, stride, out); break;
                        default: sum_tile<T, K, 1>(tile, records + c, some, stride, out); break;
                    }
                });
            }
        }
    }
    return true;
}

template <class T, int K>
bool edge_sum(const EdgeSum<T>& call) {
    const Shape& shape = call.shape;
    const std::int64_t B = shape.batch, O = shape.outputs;
    if (B == 0 || O == 0) return true;
    if (shape.inputs == 0) {
        std::memset(static_cast<void*>(call.out), 0, sizeof(T) * B * O);
        return true;
    }
    const int threads = threads_for(shape);
    const std::int64_t vectors = Tiles<T>(O).vectors;
    if (threads == 1) return sum_part<T, K>(call, 0, B, 0, vectors);
    // Few samples are not worth splitting: then the threads share the outputs.
    const bool by_outputs = B < 16 * threads && vectors >= 8 * threads;
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        const int index = thread_index(), count = threads_at_work();
        const Share samples(B, 4, by_outputs ? 0 : index, by_outputs ? 1 : count);
        const Share columns(vectors, kSumVectors, by_outputs ? index : 0, by_outputs ? count : 1);
        failed |= !sum_part<T, K>(call, samples.begin, samples.end, columns.begin, columns.end);
    }
    return !failed;
}

// ---------------------------------------------------------------------------------------------------- pulls

// Outputs of g are packed into columns this many vectors wide, so that samples taken in any order lie close together.
template <class T>
struct Packed {
    const T* values;
    std::int64_t samples;
    int wide;

    const T* column(std::int64_t vector) const {
        return values + vector / wide * samples * wide * Simd<T>::width + vector % wide * Simd<T>::width;
    }
    std::int64_t stride() const { return wide * Simd<T>::width; }
};

template <class T>
void pack(const T* g, std::int64_t outputs, std::int64_t n, std::int64_t lanes, T* to) {
    constexpr int width = Simd<T>::width;
    if (outputs < width) {
        // Reads on into the next sample, and drops it; the last few have none to read.
        typename Simd<T>::I keep;
        for (int l = 0; l < width; ++l) keep[l] = l < outputs ? -1 : 0;
        std::int64_t b = 0;
        for (; (b * outputs + width) <= n * outputs; ++b, to += width)
            store(to, Vector<T>(keep ? load(g + b * outputs) : Vector<T>{}));
        for (; b < n; ++b, to += width) store(to, load_part(g + b * outputs, static_cast<int>(outputs)));
        return;
    }
    for (std::int64_t o = 0; o < outputs; o += lanes) {
        const std::int64_t here = smaller(lanes, outputs - o);
        for (std::int64_t b = 0; b < n; ++b, to += lanes) {
            std::int64_t l = 0;
            for (; l + width <= here; l += width) store(to + l, load(g + b * outputs + o + l));
            for (; l < here; ++l) to[l] = g[b * outputs + o + l];
            for (; l < lanes; ++l) to[l] = 0;
        }
    }
}

// sums[i][b] += sum over NV vectors of outputs of g times the edge function.
template <class T, int K, int NV>
void pull_tile(const TileRows<T>& tile, const Record<T>* const* records, T* const* sums, int count, std::int64_t n,
               std::int64_t stride, const Packed<T>& packed, std::int64_t vector, std::int64_t lanes) {
    constexpr int width = Simd<T>::width;
    // A lone vector may read on into other rows: g is zero there, but zero times a NaN is not.
    typename Simd<T>::I keep;
    for (int l = 0; l < width; ++l) keep[l] = l < lanes ? -1 : 0;
    const T* columns[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) columns[j] = packed.column(vector + j);
    for (std::int64_t b = 0; b < n; ++b) {
        Vector<T> g[NV];
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) g[j] = load(columns[j] + b * packed.stride());
        for (int i = 0; i < count; ++i) {
            const Record<T>& record = records[i][b];
            const T* base = tile.rows[i] + tile.base_offset;
            const T* row = tile.rows[i] + record.first * stride;
            Vector<T> total;
            if constexpr (NV < 5) {
                // The edge functions first, then their products with g.
                Vector<T> edge[NV];
                const Vector<T> w = all(record.weights[kBaseWeight]);
#pragma GCC unroll 8
                for (int j = 0; j < NV; ++j) edge[j] = w * load(base + j * width);
#pragma GCC unroll 8
                for (int s = 0; s <= K; ++s) {
                    const Vector<T> ws = all(record.weights[s]);
#pragma GCC unroll 8
                    for (int j = 0; j < NV; ++j) edge[j] += ws * load(row + s * stride + j * width);
                }
                total = edge[0] * g[0];
#pragma GCC unroll 8
                for (int j = 1; j < NV; ++j) total += edge[j] * g[j];
            } else {
                // Two sums for each row: one would wait for itself.
                const auto dot = [&](const T* from) {
                    Vector<T> even = g[0] * load(from), odd = g[1] * load(from + width);
#pragma GCC unroll 8
                    for (int j = 2; j < NV; j += 2) {
                        even += g[j] * load(from + j * width);
                        odd += g[j + 1] * load(from + (j + 1) * width);
                    }
                    return even + odd;
                };
                total = all(record.weights[kBaseWeight]) * dot(base);
#pragma GCC unroll 8
                for (int s = 0; s <= K; ++s) total += all(record.weights[s]) * dot(row + s * stride);
            }
            if (NV == 1) total = keep ? total : Vector<T>{};
            sums[i][b] += sum_lanes<T>(total);
        }
    }
}

// A single output; see sum_single.
template <class T, int K>
void pull_single(const TileRows<T>& tile, const Record<T>* const* records, T* const* sums, int count, std::int64_t n,
                 const T* g) {
    typedef typename Four<T>::V V;
    for (int i = 0; i < count; ++i) {
        const T *rows = tile.rows[i], base = rows[tile.base_offset];
        const Record<T>* own = records[i];
        T* to = sums[i];
        for (std::int64_t b = 0; b < n; ++b) {
            const Record<T>& record = own[b];
            const V edge = load_four(record.weights) * side_by_side<T, K>(rows + record.first);
            to[b] = g[b] * (((edge[0] + edge[2]) + (edge[1] + edge[3])) + record.weights[kBaseWeight] * base);
        }
    }
}

// Gradient of one input's coefficients for a single output: each interval has sums of its own, two of them in turn, so
// that a sample seldom waits for the one before it.
template <class T, int K>
void coefficient_single(const Record<T>* records, std::int64_t n, std::int64_t intervals, const T* g, T* work, T* to,
                        T* base_to, bool add) {
    typedef typename Four<T>::V V;
    const std::int64_t size = 4 * intervals;
    std::memset(static_cast<void*>(work), 0, sizeof(T) * 2 * size);
    const auto take = [=](std::int64_t b, T* sums, T& base) {
        const Record<T>& record = records[b];
        T* at = sums + 4 * std::int64_t(record.first);
        store_four(at, V(load_four(at) + g[b] * load_four(record.weights)));
        base += g[b] * record.weights[kBaseWeight];
    };
    T base = 0, other_base = 0;
    std::int64_t b = 0;
    for (; b + 2 <= n; b += 2) {
        take(b, work, base);
        take(b + 1, work + size, other_base);
    }
    if (b < n) take(b, work, base);
    if (!add) {
        for (std::int64_t r = 0; r < intervals + K; ++r) to[r] = 0;
        if (base_to) *base_to = 0;
    }
    for (std::int64_t m = 0; m < intervals; ++m)
        for (int s = 0; s <= K; ++s) to[m + s] += work[4 * m + s] + work[size + 4 * m + s];
    if (base_to) *base_to += base + other_base;
}

// Gradient of one input's coefficients for a vector of outputs or less, likewise.
template <class T, int K>
void coefficient_narrow(const Record<T>* records, std::int64_t n, std::int64_t intervals, const T* g, T* work, T* to,
                        T* base_to, std::int64_t outputs, bool add) {
    constexpr int width = Simd<T>::width;
    std::memset(static_cast<void*>(work), 0, sizeof(T) * intervals * (K + 1) * width);
    Vector<T> base = {};
    for (std::int64_t b = 0; b < n; ++b) {
        const Record<T>& record = records[b];
        const Vector<T> here = load(g + b * width);
        T* at = work + record.first * (K + 1) * width;
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s, at += width) store(at, Vector<T>(load(at) + all(record.weights[s]) * here));
        base += all(record.weights[kBaseWeight]) * here;
    }
    const int lanes = static_cast<int>(outputs);
    const auto put = [&](T* row, Vector<T> value) {
        if (add) value += load_part(row, lanes);
        store_part(row, value, lanes);
    };
    for (std::int64_t r = 0; r < intervals + K; ++r, to += outputs) {
        Vector<T> sum = {};
        for (int s = 0; s <= K; ++s)
            if (r - s >= 0 && r - s < intervals) sum += load(work + ((r - s) * (K + 1) + s) * width);
        put(to, sum);
    }
    if (base_to) put(base_to, base);
}

// The order of samples by interval: those of interval m are order[start[m]] to order[start[m + 1]].
template <class T>
void order_by_interval(const Record<T>* records, std::int64_t n, std::int64_t intervals, std::int32_t* start,
                       std::int32_t* order) {
    std::memset(start, 0, sizeof(std::int32_t) * (intervals + 2));
    for (std::int64_t b = 0; b < n; ++b) ++start[records[b].first + 2];
    for (std::int64_t m = 2; m <= intervals + 1; ++m) start[m] += start[m - 1];
    for (std::int64_t b = 0; b < n; ++b) order[start[records[b].first + 1]++] = static_cast<std::int32_t>(b);
}

// Rows of one input's coefficient gradient, NV vectors of outputs, of which the first `left` lanes count: a window of
// K + 1 rows slides over the intervals.
template <class T, int K, int NV>
void coefficient_tile(const Record<T>* records, const std::int32_t* start, const std::int32_t* order,
                      std::int64_t intervals, const T* g, T* to, T* base_to, std::int64_t outputs, int left, bool add) {
    constexpr int width = Simd<T>::width;
    Vector<T> window[K + 1][NV] = {}, base[NV] = {};
    const auto put = [&](T* row, const Vector<T>* values) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
            const int lanes = smaller(width, left - j * width);
            if (lanes <= 0) continue;
            const Vector<T> value = add ? values[j] + load_part(row + j * width, lanes) : values[j];
            store_part(row + j * width, value, lanes);
        }
    };
    for (std::int64_t m = 0; m < intervals; ++m) {
        const std::int32_t stop = start[m + 1];
        for (std::int32_t p = start[m]; p < stop; ++p) {
            const std::int64_t b = order[p];
            const Record<T>& record = records[b];
            Vector<T> gs[NV];
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) gs[j] = load(g + (b * NV + j) * width);
#pragma GCC unroll 8
            for (int s = 0; s <= K; ++s) {
                const Vector<T> ws = all(record.weights[s]);
#pragma GCC unroll 4
                for (int j = 0; j < NV; ++j) window[s][j] += ws * gs[j];
            }
            const Vector<T> wb = all(record.weights[kBaseWeight]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) base[j] += wb * gs[j];
        }
        put(to, window[0]);
        to += outputs;
#pragma GCC unroll 8
        for (int s = 0; s < K; ++s) {
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) window[s][j] = window[s + 1][j];
        }
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) window[K][j] = Vector<T>{};
    }
#pragma GCC unroll 8
    for (int s = 0; s < K; ++s, to += outputs) put(to, window[s]);
    if (base_to) put(base_to, base);
}

// Samples [begin, end) and inputs [first_input, last_input).
template <class T, int K>
bool pull_part(const Pulls<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
               std::int64_t last_input) {
    static thread_local Workspace workspace;
    constexpr int width = Simd<T>::width;
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, rows = shape.rows(), G = shape.intervals;
    const Tiles<T> tiles(O);
    const int wide = tiles.vectors > 1 ? 2 : 1;
    const std::int64_t columns = ceil_divide(tiles.vectors, wide), lanes = wide * width;
    const std::int64_t longest = smaller<std::int64_t>(kPullStrip, end - begin);
    Reader<T, K> reader;
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    Record<T>*values[kPullBlock] = {}, *slopes[kPullBlock] = {};
    T *sums[kPullBlock], *g, *work;
    std::int32_t *start, *order;
    const bool single = O == 1 && K <= 3, narrow = !single && tiles.vectors == 1 && G <= kNarrowIntervals;
    const bool needs_values = call.value || call.coefficient, needs_sums = call.value || call.slope;
    const bool fits = lay_out(workspace, [&](Cutter& cutter) {
        reader.cut(cutter);
        if (needs_sums) coefficients.cut(cutter, kPullBlock, smaller<std::int64_t>(kPullVectors, tiles.vectors), longest);
        knots = cutter.cut<Knots<T>>(last_input - first_input);
        start = cutter.cut<std::int32_t>(G + 2);
        order = cutter.cut<std::int32_t>(longest);
        for (int i = 0; i < kPullBlock; ++i) {
            if (needs_values) values[i] = cutter.cut<Record<T>>(longest);
            if (call.slope) slopes[i] = cutter.cut<Record<T>>(longest);
            sums[i] = cutter.cut<T>(longest);
        }
        g = cutter.cut<T>(columns * longest * lanes);
        work = cutter.cut<T>(single ? 8 * G : narrow ? G * (K + 1) * width : 0);
    });
    if (!fits) return false;
    if (needs_sums) coefficients.prepare();
    for (std::int64_t i = first_input; i < last_input; ++i)
        knots[i - first_input] = read_knots(call.knots + i * shape.knots(), K, G);
    const BaseFunction<T> base(shape.base, shape.order), next(shape.base, shape.order + 1);

    for (std::int64_t b = begin; b < end; b += kPullStrip) {
        const std::int64_t n = smaller<std::int64_t>(kPullStrip, end - b);
        if (!single) pack(call.g + b * O, O, n, lanes, g);
        const Packed<T> packed{g, n, wide};
        const auto sum_outputs = [&](Record<T>** records, int count, std::int64_t i, T* to, const T* times) {
            for (int c = 0; c < count; ++c) std::memset(static_cast<void*>(sums[c]), 0, sizeof(T) * n);
            for (int c = 0; c < count; c += coefficients.close()) {
                const int some = smaller(coefficients.close(), count - c);
                if (single) {
                    TileRows<T> tile;
                    coefficients.tile(i + c, some, 0, 1, tile);
                    pull_single<T, K>(tile, records + c, sums + c, some, n, call.g + b);
                    continue;
                }
                for_tiles(0, tiles.vectors, kPullVectors, [&](std::int64_t vector, int vectors) {
                    TileRows<T> tile;
                    const std::int64_t stride = coefficients.tile(i + c, some, vector, vectors, tile);
                    const std::int64_t lanes = tiles.lanes(vector);
                    const auto tile_of = vectors == 8   ? pull_tile<T, K, 8>
                                         : vectors == 4 ? pull_tile<T, K, 4>
                                         : vectors == 2 ? pull_tile<T, K, 2>
                                                        : pull_tile<T, K, 1>;
                    tile_of(tile, records + c, sums + c, some, n, stride, packed, vector, lanes);
                });
            }
            for (int c = 0; c < count; ++c) {
                const T* from = sums[c];
                const std::int64_t at = b * I + i + c;
                if (times) {
                    for (std::int64_t p = 0; p < n; ++p) to[at + p * I] = times[at + p * I] * from[p];
                } else {
                    for (std::int64_t p = 0; p < n; ++p) to[at + p * I] = from[p];
                }
            }
        };
        for (std::int64_t i = first_input; i < last_input; i += kPullBlock) {
            const int count = static_cast<int>(smaller<std::int64_t>(kPullBlock, last_input - i));
            for (int c = 0; c < count; ++c)
                reader.read(knots[i + c - first_input], base, next, call.x + b * I + i + c, I, n, values[c], slopes[c]);
            if (call.value) sum_outputs(values, count, i, call.value, nullptr);
            if (call.slope) sum_outputs(slopes, count, i, call.slope, call.v);
            if (!call.coefficient) continue;
            for (int c = 0; c < count; ++c) {
                if (call.v) scale_records<T, K>(call.v + b * I + i + c, I, n, values[c]);
                T* to = call.coefficient + (i + c) * rows * O;
                T* base_to = shape.base == kNone ? nullptr : to + (rows - 1) * O;
                if (single) {
                    coefficient_single<T, K>(values[c], n, G, call.g + b, work, to, base_to, b != begin);
                    continue;
                }
                if (narrow) {
                    coefficient_narrow<T, K>(values[c], n, G, g, work, to, base_to, O, b != begin);
                    continue;
                }
                order_by_interval(values[c], n, G, start, order);
                for (std::int64_t t = 0; t < columns; ++t) {
                    const std::int64_t o = t * lanes;
                    const int left = static_cast<int>(smaller(O - o, lanes));
                    const auto tile = wide == 2 ? coefficient_tile<T, K, 2> : coefficient_tile<T, K, 1>;
                    tile(values[c], start, order, G, g + t * n * lanes, to + o, base_to ? base_to + o : nullptr, O,
                         left, b != begin);
                }
            }
        }
    }
    return true;
}

// Asks for large pages for memory that is about to be written for the first time: taking small ones from the system one
// by one costs more than filling them.
inline void expect_writes(void* memory, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = std::uintptr_t(2) << 20;
    // Smaller pieces come from what was freed before, and whole large pages would waste some of them.
    if (bytes < 8 * page) return;
    const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
    const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
    // Only advice: where it is not taken nothing is lost.
    if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

template <class T, int K>
bool pulls(const Pulls<T>& call) {
    const Shape& shape = call.shape;
    const std::int64_t B = shape.batch, I = shape.inputs, O = shape.outputs, rows = shape.rows();
    const std::int64_t size = I * rows * O;
    if (B == 0 || I == 0 || O == 0) {
        if (call.coefficient) std::memset(static_cast<void*>(call.coefficient), 0, sizeof(T) * size);
        if (call.value) std::memset(static_cast<void*>(call.value), 0, sizeof(T) * B * I);
        if (call.slope) std::memset(static_cast<void*>(call.slope), 0, sizeof(T) * B * I);
        return true;
    }
    if (call.coefficient) expect_writes(call.coefficient, sizeof(T) * static_cast<std::size_t>(size));
    const int threads = threads_for(shape);
    if (threads == 1) return pull_part<T, K>(call, 0, B, 0, I);
    int failed = 0, parts_made = 0;
    if (I % threads == 0 || I >= 4 * threads) {
#pragma omp parallel num_threads(threads) reduction(| : failed)
        {
            const Share inputs(I, 1, thread_index(), threads_at_work());
            failed |= !pull_part<T, K>(call, 0, B, inputs.begin, inputs.end);
        }
        return !failed;
    }
    // Few inputs: the threads share the samples, and each has a gradient of its own that is added up in order.
    T* parts = nullptr;
    if (call.coefficient) {
        parts = static_cast<T*>(std::malloc(sizeof(T) * static_cast<std::size_t>(size) * (threads - 1)));
        if (!parts) return false;
    }
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        const int index = thread_index(), count = threads_at_work();
        const Share samples(B, 16, index, count);
        if (index == 0) parts_made = count - 1;
        Pulls<T> own = call;
        if (parts && index > 0) own.coefficient = parts + (index - 1) * size;
        if (parts && samples.begin == samples.end)
            std::memset(static_cast<void*>(own.coefficient), 0, sizeof(T) * size);
        failed |= !pull_part<T, K>(own, samples.begin, samples.end, 0, I);
    }
    if (parts) {
        for (int part = 0; part < parts_made; ++part)
            for (std::int64_t n = 0; n < size; ++n) call.coefficient[n] += parts[part * size + n];
        std::free(parts);
    }
    return !failed;
}

}  // namespace
}  // namespace superpose
