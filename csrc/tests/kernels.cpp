// Runs the kernels of each instruction set that this machine has, and compares them with the plain loops below.
//
// Every array is a piece of the heap of just the size that a kernel may touch, so that under AddressSanitizer a step
// beyond it ends the program; `make sanitize` builds and runs it so. The cases are drawn from a fixed seed.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>

#include "../kernels.hpp"

namespace superpose {

extern const Table table_baseline;
// Vectors of 64 bytes on a machine with narrower ones: the compiler splits them, and the logic is that of AVX-512.
extern const Table table_split;
#ifdef SUPERPOSE_AVX2
extern const Table table_avx2;
#endif
#ifdef SUPERPOSE_AVX512
extern const Table table_avx512;
#endif

namespace {

using Index = std::int64_t;

std::vector<const Table*> runnable() {
    std::vector<const Table*> tables = {&table_baseline};
#ifdef SUPERPOSE_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
        tables.push_back(&table_split);
        tables.push_back(&table_avx2);
    }
#else
    tables.push_back(&table_split);
#endif
#ifdef SUPERPOSE_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        tables.push_back(&table_avx512);
#endif
    return tables;
}

// The generator of G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators" (2014).
class Source {
  public:
    explicit Source(std::uint64_t seed) : state_(seed) {}
    std::uint64_t bits() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    Index below(Index count) { return static_cast<Index>(bits() % static_cast<std::uint64_t>(count)); }
    bool coin() { return below(2) == 0; }
    double between(double low, double high) { return low + (high - low) * double(bits() >> 11) * 0x1p-53; }
    template <std::size_t n>
    Index one_of(const Index (&values)[n]) {
        return values[below(n)];
    }

  private:
    std::uint64_t state_;
};

// A piece of the heap without slack behind it. `shift` moves its start off the alignment of vectors.
template <class T>
class Array {
  public:
    explicit Array(Index size, Index shift = 0) : size_(size), shift_(shift) {
        // Not malloc: records must be aligned. Not aligned_alloc: it rounds sizes up.
        if (size > 0 && posix_memalign(&memory_, 64, sizeof(T) * std::size_t(size + shift)) != 0) std::abort();
        for (Index n = 0; n < size; ++n) (*this)[n] = T(-7777);
    }
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    ~Array() { std::free(memory_); }
    // Null if empty, as for tensors.
    T* data() const { return size_ > 0 ? static_cast<T*>(memory_) + shift_ : nullptr; }
    T& operator[](Index n) const { return data()[n]; }
    Index size() const { return size_; }

  private:
    Index size_, shift_;
    void* memory_ = nullptr;
};

enum KnotKind : int { kEven, kUneven, kClamped, kCoincident, kCoincidentEnds, kUsual, kBroken = kUsual };

template <class T>
void draw_knots(Source& source, int kind, int degree, Index intervals, T* t) {
    const Index count = intervals + 2 * degree + 1;
    const double low = source.between(-3, 1), step = source.between(0.5, 4) / double(intervals);
    double place = low - degree * step;
    for (Index j = 0; j < count; ++j) {
        t[j] = T(kind == kEven ? low + double(j - degree) * step : place);
        place += step * source.between(0.3, 1.7);
    }
    T *first = t + degree, *last = first + intervals;
    if (kind == kClamped || kind == kCoincidentEnds) {
        for (int j = 1; j <= degree; ++j) {
            first[-j] = first[0];
            last[j] = last[0];
        }
    }
    if (kind == kCoincidentEnds && intervals > 3) {
        first[1] = first[0];
        last[-1] = last[0];
    }
    if (kind == kCoincident && intervals > 3) first[2] = first[1];
    if (kind == kBroken) {
        const double bad[] = {NAN, INFINITY, -INFINITY, 0, 1e30, -1e30};
        for (Index j = 0; j < count; ++j)
            if (source.below(4) == 0) t[j] = T(bad[source.below(6)]);
    }
}

template <class T>
T draw_point(Source& source, const T* t, int degree, Index intervals, bool wild) {
    const T low = t[degree], high = t[degree + intervals];
    switch (source.below(wild ? 12 : 8)) {
        case 0: return t[degree + source.below(intervals + 1)];
        case 1: return low - T(source.between(0, 3));
        case 2: return high + T(source.between(0, 3));
        case 3: return std::nextafter(t[degree + source.below(intervals + 1)], source.coin() ? low : high);
        case 8: return T(NAN);
        case 9: return T(source.coin() ? INFINITY : -INFINITY);
        case 10: return T(source.between(-1e6, 1e6));
        case 11: return std::numeric_limits<T>::denorm_min();
        default: return T(source.between(low, high));
    }
}

// ------------------------------------------------------------------------------------------- the plain definition

// A number, and the size of what was summed for it: rounding is measured against that.
struct Sized {
    double value = 0, size = 0;
};

// Derivative `order` of B-spline r of degree k, where point x counts to interval [t[m], t[m + 1]).
Sized b_spline(const std::vector<double>& t, Index r, int k, Index m, double x, int order) {
    if (order > k) return {0.0 * x, 0};
    if (k == 0) return {r == m ? 1 + 0.0 * x : 0, r == m ? 1.0 : 0};
    const double left = t[r + k] - t[r], right = t[r + k + 1] - t[r + 1];
    // The spline of a lower degree on an empty interval is zero.
    const Sized a = left > 0 ? b_spline(t, r, k - 1, m, x, order > 0 ? order - 1 : 0) : Sized{};
    const Sized b = right > 0 ? b_spline(t, r + 1, k - 1, m, x, order > 0 ? order - 1 : 0) : Sized{};
    const double p = left > 0 ? (order > 0 ? k : x - t[r]) / left : 0;
    const double q = right > 0 ? (order > 0 ? -k : t[r + k + 1] - x) / right : 0;
    return {p * a.value + q * b.value, std::fabs(p) * a.size + std::fabs(q) * b.size};
}

Sized base_function(int base, double x, int order) {
    if (base == kNone) return {};
    if (base == kIdentity) return {order == 0 ? x : 0.0 * x + (order == 1), order == 0 ? std::fabs(x) : order == 1};
    const double s = 1 / (1 + std::exp(-x));
    // Derivatives of s as polynomials in s.
    std::vector<double> lower(order + 3), upper(order + 3);
    upper[1] = 1;
    for (int n = 0; n < order; ++n) {
        lower = upper;
        for (int p = order + 2; p > 0; --p) upper[p] = p * lower[p] - (p - 1) * lower[p - 1];
    }
    Sized sum;
    double power = 1;
    for (int p = 0; p < order + 3; ++p, power *= s) {
        sum.value += (x * upper[p] + (order > 0 ? order * lower[p] : 0)) * power;
        sum.size += (std::fabs(x * upper[p]) + std::fabs(order * lower[p])) * power;
    }
    return sum;
}

// What is not zero at one point: degree + 1 spline rows from `first`, then the base function.
struct Active {
    Index first;
    Sized rows[kMaxDegree + 2];
};

// How much knots may differ from even ones and still be taken as even.
template <class T>
constexpr double kEvenShare = sizeof(T) == 4 ? 2e-6 : 1e-13;

template <class T>
Active active(const T* knots, int degree, Index intervals, int base, double x, int order) {
    const std::vector<double> t(knots, knots + intervals + 2 * degree + 1);
    const double low = t[degree], high = t[degree + intervals];
    const double nearest = x < low ? low : x > high ? high : x;
    Index m = degree, last = degree + intervals - 1;
    while (last > degree && !(t[last] < high)) --last;
    while (m < last && !(nearest < t[m + 1])) ++m;
    const bool outside = x < low || x > high;
    Active result;
    result.first = m - degree;
    for (int s = 0; s <= degree; ++s) {
        Sized& row = result.rows[s];
        row = b_spline(t, result.first + s, degree, m, nearest, order);
        const Sized slope = b_spline(t, result.first + s, degree, m, nearest, order + 1);
        const double interval = (high - low) / double(intervals);
        row.size += 64 * slope.size * (interval + std::fabs(nearest) * kEvenShare<T>);
        if (outside && order == 0) {
            row.value += slope.value * (x - nearest);
            row.size += slope.size * (std::fabs(x) + std::fabs(nearest));
        } else if (outside && order > 1) {
            row = {};
        }
    }
    // A spline that vanishes at the point is rounded like its neighbours.
    double largest = 0;
    for (int s = 0; s <= degree; ++s) largest = std::fmax(largest, result.rows[s].size);
    for (int s = 0; s <= degree; ++s) result.rows[s].size = largest;
    result.rows[degree + 1] = base_function(base, x, order);
    return result;
}

struct Sums {
    std::vector<Sized> parts;
    explicit Sums(Index size) : parts(std::size_t(size)) {}
    void add(Index at, const Sized& row, double by) {
        parts[at].value += row.value * by;
        parts[at].size += row.size * std::fabs(by);
    }
};

// ------------------------------------------------------------------------------------------- comparison

struct Count {
    long passed = 0, failed = 0;
};

// Beside numbers that are not finite only their place counts: infinity less infinity may come out either way.
template <class T>
bool same(const char* what, const char* table, const Array<T>& ours, const Sums& expected, const char* where) {
    const double share = sizeof(T) == 4 ? 1e-5 : 1e-12, least = sizeof(T) == 4 ? 1e-30 : 1e-290;
    for (Index n = 0; n < ours.size(); ++n) {
        const Sized& e = expected.parts[n];
        const double value = ours[n];
        const bool good = std::isfinite(e.value) ? std::fabs(value - e.value) <= share * e.size + least
                                                 : !std::isfinite(value);
        if (good) continue;
        std::printf("FAILED %s %s %s: element %lld is %.17g, expected %.17g, sum of sizes %.3g; %s\n", table,
                    sizeof(T) == 4 ? "float" : "double", what, static_cast<long long>(n), value, e.value, e.size, where);
        return false;
    }
    return true;
}

template <class T>
bool run(const Table& table, const EdgeSum<T>& call) {
    if constexpr (std::is_same_v<T, float>) return table.edge_sum_float(call);
    else return table.edge_sum_double(call);
}

template <class T>
bool run(const Table& table, const Vjp<T>& call) {
    if constexpr (std::is_same_v<T, float>) return table.vjp_float(call);
    else return table.vjp_double(call);
}

template <class T>
bool run(const Table& table, const Records<T>& call) {
    if constexpr (std::is_same_v<T, float>) return table.records_float(call);
    else return table.records_double(call);
}

template <class T>
bool run(const Table& table, const NormalMatrix<T>& call) {
    if constexpr (std::is_same_v<T, float>) return table.normal_float(call);
    else return table.normal_double(call);
}

template <class T>
void fill(Source& source, const Array<T>& array) {
    for (Index n = 0; n < array.size(); ++n) array[n] = T(source.between(-1, 1));
}

// ------------------------------------------------------------------------------------------- the contractions

template <class T>
bool contractions(Source& source, const Table& table, const Shape& shape, int kind, bool wild) {
    const Index B = shape.batch, I = shape.inputs, O = shape.outputs, G = shape.intervals, R = shape.rows();
    const int K = shape.degree;
    char where[200];
    std::snprintf(where, sizeof where, "batch %lld, %lld -> %lld, G %lld, degree %d, base %d, order %d, threads %d, knots %d",
                  static_cast<long long>(B), static_cast<long long>(I), static_cast<long long>(O),
                  static_cast<long long>(G), K, shape.base, shape.order, shape.threads, kind);
    const Index shift = source.below(2);
    const Array<T> v(source.coin() ? B * I : 0, shift), g(B * O, shift), c(I * R * O, shift), x(B * I, shift),
        knots(I * shape.knots(), shift);
    fill(source, v);
    fill(source, g);
    fill(source, c);
    for (Index i = 0; i < I; ++i) draw_knots(source, kind, K, G, knots.data() + i * shape.knots());
    for (Index n = 0; n < B * I; ++n)
        x[n] = draw_point(source, knots.data() + n % I * shape.knots(), K, G, wild && source.below(8) == 0);

    const Array<T> out(B * O, shift);
    bool good = run(table, EdgeSum<T>{shape, v.data(), c.data(), x.data(), knots.data(), out.data()});
    // Any of the three may be unwanted, and then coefficients may be missing too.
    const int wanted = 1 + static_cast<int>(source.below(7));
    const Array<T> grad_v(wanted & 1 ? B * I : 0, shift), grad_x(wanted & 2 ? B * I : 0, shift),
        grad_coefficients(wanted & 4 ? I * R * O : 0, shift);
    good &= run(table, Vjp<T>{shape, v.data(), g.data(), wanted == 4 ? nullptr : c.data(), x.data(), knots.data(),
                                grad_v.data(), grad_x.data(), grad_coefficients.data()});
    if (!good) std::printf("FAILED %s: no memory; %s\n", table.name, where);
    if (kind == kBroken) return good;

    Sums y(B * O), by_v(B * I), by_x(B * I), by_coefficients(I * R * O);
    for (Index n = 0; n < B * I; ++n) {
        const Index b = n / I, i = n % I;
        const double by = v.size() ? double(v[n]) : 1;
        const T* t = knots.data() + i * shape.knots();
        const Active here = active(t, K, G, shape.base, x[n], shape.order);
        const Active next = active(t, K, G, shape.base, x[n], shape.order + 1);
        for (int s = 0; s < K + 1 + (shape.base != kNone); ++s) {
            const Index row = (i * R + (s > K ? R - 1 : here.first + s)) * O;
            for (Index o = 0; o < O; ++o) {
                y.add(b * O + o, here.rows[s], by * c[row + o]);
                by_v.add(n, here.rows[s], double(g[b * O + o]) * c[row + o]);
                by_x.add(n, next.rows[s], by * g[b * O + o] * c[row + o]);
                by_coefficients.add(row + o, here.rows[s], by * g[b * O + o]);
            }
        }
    }
    return good && same("edge_sum", table.name, out, y, where) && same("grad_v", table.name, grad_v, by_v, where) &&
           same("grad_x", table.name, grad_x, by_x, where) &&
           same("grad_coefficients", table.name, grad_coefficients, by_coefficients, where);
}

template <class T>
Count all_contractions(const Table& table, int cases) {
    Source source(sizeof(T));
    Count count;
    const auto take = [&](Shape shape, bool wild) {
        const int kind = static_cast<int>(source.below(kBroken + 1));
        ++(contractions<T>(source, table, shape, kind, wild) ? count.passed : count.failed);
    };
    // Empty ones, and what sends two threads and more down each of their ways: by samples, outputs, inputs, and
    // samples with a gradient for each, where some have no samples.
    const Index special[][3] = {{0, 3, 2}, {3, 0, 2}, {3, 2, 0},   {0, 0, 0},   {1030, 2, 20}, {8, 30, 300},
                                {20, 40, 70}, {1100, 3, 9}, {2100, 1, 17}, {20, 3, 800}, {1, 1, 6000}};
    for (const auto& sizes : special)
        for (int threads : {1, 2, 3, 5})
            for (int order : {0, 1})
                take({sizes[0], sizes[1], sizes[2], 1 + source.below(9), 1 + static_cast<int>(source.below(5)),
                      static_cast<int>(source.below(3)), order, threads},
                     false);
    for (int n = 0; n < cases; ++n) {
        const Index batches[] = {1, 2, 5, 16, 17, 127, 128, 129, 300, 513, 1025};
        const Index inputs[] = {1, 2, 3, 5, 8, 9, 17, 33};
        const Index outputs[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 130, 300};
        const Index intervals[] = {1, 2, 3, 4, 5, 8, 20, 100, 600};
        Shape shape;
        do {
            shape = {source.one_of(batches), source.one_of(inputs), source.one_of(outputs), source.one_of(intervals),
                     1 + static_cast<int>(source.below(5)), static_cast<int>(source.below(3)), 0,
                     1 + static_cast<int>(source.below(3))};
        } while (shape.batch * shape.inputs > 1500 || shape.batch * shape.inputs * shape.outputs > 30000 ||
                 shape.inputs * shape.rows() * shape.outputs > 60000);
        shape.order = static_cast<int>(source.coin() ? source.below(3) : source.below(kMaxOrder));
        take(shape, source.coin());
    }
    return count;
}

// ------------------------------------------------------------------------------------------- layers in a chain

// One layer of a chain: its curves, and its gradient where one is wanted.
template <class T>
struct Curves {
    Shape shape;
    Array<T> coefficients, knots, gradient;

    Curves(Source& source, const Shape& shape_, bool wanted)
        : shape(shape_), coefficients(shape.inputs * shape.rows() * shape.outputs), knots(shape.inputs * shape.knots()),
          gradient(wanted ? coefficients.size() : 0) {
        fill(source, coefficients);
        const int kind = static_cast<int>(source.below(kUsual));
        for (Index i = 0; i < shape.inputs; ++i)
            draw_knots(source, kind, shape.degree, shape.intervals, knots.data() + i * shape.knots());
    }
};

template <class T>
bool run(const Table& table, const Chain<T>& call) {
    if constexpr (std::is_same_v<T, float>) return table.chain_float(call);
    else return table.chain_double(call);
}

template <class T>
bool run(const Table& table, const ChainVjp<T>& call) {
    if constexpr (std::is_same_v<T, float>) return table.chain_vjp_float(call);
    else return table.chain_vjp_double(call);
}

template <class T>
bool nearly(const char* what, const char* table, const Array<T>& ours, const std::vector<T>& expected) {
    // Rounding grows from layer to layer, and what is summed may be much larger than the sum.
    double size = 0;
    for (T value : expected) size = std::fmax(size, std::fabs(value));
    for (Index n = 0; n < ours.size(); ++n) {
        if (std::fabs(double(ours[n]) - expected[std::size_t(n)]) <= (sizeof(T) == 4 ? 2e-3 : 1e-11) * size) continue;
        std::printf("FAILED %s %s %s: element %lld is %.9g, expected %.9g\n", table, sizeof(T) == 4 ? "float" : "double",
                    what, static_cast<long long>(n), double(ours[n]), double(expected[std::size_t(n)]));
        return false;
    }
    return true;
}

// Against the contractions, layer by layer.
template <class T>
bool chain(Source& source, const Table& table) {
    const Index batches[] = {0, 1, 2, 15, 17, 130, 515, 1100};
    const Index nodes[] = {1, 1, 2, 3, 5, 7, 8, 9, 16, 17, 40};
    const Index grids[] = {1, 2, 5, 20, 70};
    const Index batch = source.one_of(batches);
    const int depth = 1 + static_cast<int>(source.below(4)), threads = 1 + static_cast<int>(source.below(4));
    const int base = static_cast<int>(source.below(3));
    std::vector<std::unique_ptr<Curves<T>>> curves;
    std::vector<Link<T>> links;
    Index hidden_size = 0;
    for (int n = 0; n < depth; ++n) {
        const Index inputs = n == 0 ? source.one_of(nodes) : links.back().outputs;
        const Shape shape{batch, inputs, source.one_of(nodes), source.one_of(grids), 1 + static_cast<int>(source.below(5)),
                          base, 0, threads};
        curves.push_back(std::make_unique<Curves<T>>(source, shape, source.below(4) > 0));
        const Curves<T>& made = *curves.back();
        links.push_back({shape.inputs, shape.outputs, shape.intervals, shape.degree, shape.base,
                         made.coefficients.data(), made.knots.data(), made.gradient.data()});
        if (n > 0) hidden_size += batch * inputs;
    }
    const Index I = links.front().inputs, O = links.back().outputs;
    const bool scaled = source.coin();
    const Array<T> x(batch * I), center(scaled ? O : 0), scale(scaled ? O : 0), hidden(hidden_size), out(batch * O),
        g(batch * O), grad_x(source.coin() ? batch * I : 0);
    for (const Array<T>* one : {&x, &center, &scale, &g}) fill(source, *one);
    const Layers<T> layers{batch, threads, depth, links.data()};
    bool good = run(table, Chain<T>{layers, x.data(), center.data(), scale.data(), hidden.data(), out.data()}) &&
                run(table, ChainVjp<T>{layers, x.data(), hidden.data(), g.data(), scale.data(), grad_x.data()});

    std::vector<std::vector<T>> inputs = {{x.data(), x.data() + x.size()}};
    for (int n = 0; n < depth; ++n) {
        const Curves<T>& layer = *curves[n];
        std::vector<T> y(std::size_t(batch * layer.shape.outputs));
        good &= run(table, EdgeSum<T>{layer.shape, nullptr, layer.coefficients.data(), inputs[n].data(),
                                      layer.knots.data(), y.data()});
        inputs.push_back(y);
    }
    std::vector<T> expected = inputs[depth], upstream(g.data(), g.data() + g.size());
    for (Index n = 0; scaled && n < batch * O; ++n) {
        expected[n] = center[n % O] + scale[n % O] * expected[n];
        upstream[n] *= scale[n % O];
    }
    good &= nearly("chain", table.name, out, expected);
    for (int n = depth - 1; n >= 0; --n) {
        const Curves<T>& layer = *curves[n];
        std::vector<T> lower(std::size_t(batch * layer.shape.inputs)), gradient(std::size_t(layer.coefficients.size()));
        good &= run(table, Vjp<T>{layer.shape, nullptr, upstream.data(), layer.coefficients.data(), inputs[n].data(),
                                    layer.knots.data(), nullptr, lower.data(), gradient.data()});
        good &= nearly("a gradient of the chain", table.name, layer.gradient, gradient);
        upstream = lower;
    }
    return good && nearly("grad_x of the chain", table.name, grad_x, upstream);
}

template <class T>
Count all_chains(const Table& table, int cases) {
    Source source(20 + sizeof(T));
    Count count;
    for (int n = 0; n < cases; ++n) ++(chain<T>(source, table) ? count.passed : count.failed);
    return count;
}

// ------------------------------------------------------------------------------------------- the normal matrix

template <class T>
struct Integer;
template <>
struct Integer<float> {
    using type = std::int32_t;
};
template <>
struct Integer<double> {
    using type = std::int64_t;
};

// One layer: its points and curves, what they are in records, and its edges.
template <class T>
struct Layer {
    Shape shape;
    Index edges;
    Array<T> x, knots, records, sensitivities;
    Array<Index> input_of, output_of;
    Index start = 0;

    Layer(Source& source, Index samples, Index network_outputs)
        : shape{samples, 1 + source.below(4), 1 + source.below(4), 1 + source.below(9),
                1 + static_cast<int>(source.below(5)), static_cast<int>(source.below(3)), 0, 1},
          edges(1 + source.below(9)), x(samples * shape.inputs), knots(shape.inputs * shape.knots()),
          records(shape.inputs * samples * 8), sensitivities(shape.outputs * network_outputs * samples),
          input_of(edges), output_of(edges) {
        fill(source, sensitivities);
        const int kind = static_cast<int>(source.below(kUsual));
        for (Index i = 0; i < shape.inputs; ++i)
            draw_knots(source, kind, shape.degree, shape.intervals, knots.data() + i * shape.knots());
        for (Index n = 0; n < x.size(); ++n)
            x[n] = draw_point(source, knots.data() + n % shape.inputs * shape.knots(), shape.degree, shape.intervals,
                              false);
        for (Index e = 0; e < edges; ++e) {
            input_of[e] = source.below(shape.inputs);
            output_of[e] = source.below(shape.outputs);
        }
    }

    Active at(Index input, Index sample) const {
        return active(knots.data() + input * shape.knots(), shape.degree, shape.intervals, shape.base,
                      x[sample * shape.inputs + input], 0);
    }

    EdgeRows<T> rows() const {
        return {records.data(), sensitivities.data(), input_of.data(), output_of.data(), edges, shape.rows(), start,
                shape.degree, shape.base != kNone};
    }

    bool check_records(const Table& table) const {
        const int rows = shape.degree + 2;
        bool good = run(table, Records<T>{shape, x.data(), knots.data(), records.data()});
        const Array<T> values(records.size() / 8 * rows);
        Sums wanted(values.size());
        for (Index i = 0; i < shape.inputs; ++i) {
            for (Index p = 0; p < shape.batch; ++p) {
                const Active expected = at(i, p);
                const T* record = records.data() + (i * shape.batch + p) * 8;
                typename Integer<T>::type first;
                std::memcpy(&first, record + 7, sizeof first);
                good &= first == expected.first;
                for (int s = 0; s < rows; ++s) {
                    values[(i * shape.batch + p) * rows + s] = record[s <= shape.degree ? s : 6];
                    wanted.add((i * shape.batch + p) * rows + s, expected.rows[s], 1);
                }
            }
        }
        char where[60];
        std::snprintf(where, sizeof where, "degree %d, base %d, intervals %s", shape.degree, shape.base,
                      good ? "right" : "wrong");
        return same("records", table.name, values, wanted, where) && good;
    }

    // Column by column, for each output of the network and each sample.
    std::vector<std::vector<Sized>> jacobian(Index network_outputs) const {
        const Index n = shape.batch;
        std::vector<std::vector<Sized>> columns(edges * shape.rows(), std::vector<Sized>(network_outputs * n));
        for (Index e = 0; e < edges; ++e) {
            for (Index p = 0; p < n; ++p) {
                const Active here = at(input_of[e], p);
                for (Index m = 0; m < network_outputs; ++m) {
                    const double by = sensitivities[(output_of[e] * network_outputs + m) * n + p];
                    for (int s = 0; s < shape.degree + 1 + (shape.base != kNone); ++s) {
                        const Index row = s > shape.degree ? shape.rows() - 1 : here.first + s;
                        columns[e * shape.rows() + row][m * n + p] = {here.rows[s].value * by,
                                                                     here.rows[s].size * std::fabs(by)};
                    }
                }
            }
        }
        return columns;
    }
};

template <class T>
bool normal_matrix(Source& source, const Table& table) {
    const Index sample_counts[] = {0, 1, 5, 127, 129, 600};
    const Index samples = source.one_of(sample_counts), network_outputs = 1 + source.below(3);
    Layer<T> left(source, samples, network_outputs), right(source, samples, network_outputs);
    left.start = source.below(3);
    right.start = left.start + left.edges * left.shape.rows() + source.below(3);
    bool good = left.check_records(table);
    good &= right.check_records(table);
    const Index size = right.start + right.edges * right.shape.rows() + source.below(3);
    const Array<T> matrix(size * size);
    const int threads = 1 + static_cast<int>(source.below(3));
    good &= run(table, NormalMatrix<T>{left.rows(), left.rows(), true, samples, network_outputs, size, threads, matrix.data()});
    good &= run(table, NormalMatrix<T>{left.rows(), right.rows(), false, samples, network_outputs, size, threads, matrix.data()});

    // What belongs to no pair of these layers stays as it was.
    Sums expected(size * size);
    for (Sized& part : expected.parts) part = {-7777, 0};
    const auto a = left.jacobian(network_outputs), b = right.jacobian(network_outputs);
    const auto product = [&](const std::vector<Sized>& p, const std::vector<Sized>& q) {
        Sized sum;
        for (std::size_t n = 0; n < p.size(); ++n) {
            sum.value += p[n].value * q[n].value;
            sum.size += p[n].size * q[n].size;
        }
        return sum;
    };
    for (std::size_t r = 0; r < a.size(); ++r) {
        const Index row = left.start + Index(r);
        for (std::size_t c = 0; c < a.size(); ++c) expected.parts[row * size + left.start + Index(c)] = product(a[r], a[c]);
        for (std::size_t c = 0; c < b.size(); ++c) {
            const Index column = right.start + Index(c);
            expected.parts[row * size + column] = expected.parts[column * size + row] = product(a[r], b[c]);
        }
    }
    return good && same("normal_matrix", table.name, matrix, expected, "");
}

template <class T>
Count all_normal_matrices(const Table& table, int cases) {
    Source source(10 + sizeof(T));
    Count count;
    for (int n = 0; n < cases; ++n) ++(normal_matrix<T>(source, table) ? count.passed : count.failed);
    return count;
}

}  // namespace
}  // namespace superpose

// The number of drawn cases may be given, and the one instruction set to run.
int main(int count, char** words) {
    using namespace superpose;
    const int cases = count > 1 ? std::atoi(words[1]) : 300;
    long passed = 0, failed = 0;
    for (const Table* table : runnable()) {
        if (count > 2 && std::strcmp(words[2], table->name) != 0) continue;
        for (const Count& part : {all_contractions<float>(*table, cases), all_contractions<double>(*table, cases),
                                  all_chains<float>(*table, cases / 3), all_chains<double>(*table, cases / 3),
                                  all_normal_matrices<float>(*table, cases / 10),
                                  all_normal_matrices<double>(*table, cases / 10)}) {
            passed += part.passed;
            failed += part.failed;
        }
        std::printf("%s: %ld passed, %ld failed so far\n", table->name, passed, failed);
        std::fflush(stdout);
    }
    std::printf("%ld passed, %ld failed\n", passed, failed);
    return failed != 0;
}
