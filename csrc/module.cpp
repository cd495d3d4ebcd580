// The Python module: offers the instruction sets that were compiled and that this machine runs.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <new>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "enumeration.hpp"
#include "kernels.hpp"

namespace nb = nanobind;

namespace superpose {

extern const Table table_baseline;
#ifdef SUPERPOSE_AVX2
extern const Table table_avx2;
#endif
#ifdef SUPERPOSE_AVX512
extern const Table table_avx512;
#endif

namespace {

std::vector<const Table*> runnable() {
    std::vector<const Table*> tables;
#ifdef SUPERPOSE_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        tables.push_back(&table_avx512);
#endif
#ifdef SUPERPOSE_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) tables.push_back(&table_avx2);
#endif
    tables.push_back(&table_baseline);
    return tables;
}

using Address = std::uintptr_t;

template <class T>
T* at(Address address) {
    return reinterpret_cast<T*>(address);
}

Shape checked(std::int64_t batch, std::int64_t inputs, std::int64_t outputs, std::int64_t intervals, int degree,
              int base, int order, int threads) {
    if (degree < kMinDegree || degree > kMaxDegree || base < kNone || base > kIdentity || order < 0 ||
        order + 1 > kMaxOrder || batch < 0 || inputs < 0 || outputs < 0 || intervals < 1 || intervals > (1 << 30))
        throw std::invalid_argument("no kernel for these sizes");
    return {batch, inputs, outputs, intervals, degree, base, order, threads};
}

void done(bool worked) {
    if (!worked) throw std::bad_alloc();
}

class Kernels {
  public:
    explicit Kernels(const std::string& name) {
        for (const Table* table : runnable())
            if (name == table->name) table_ = table;
        if (!table_) throw std::invalid_argument("no kernels for the instruction set '" + name + "'");
    }

    std::string name() const { return table_->name; }

    void edge_sum(int kind, Address v, Address coefficients, Address x, Address knots, Address out, std::int64_t batch,
                  std::int64_t inputs, std::int64_t outputs, std::int64_t intervals, int degree, int base, int order,
                  int threads) const {
        const Shape shape = checked(batch, inputs, outputs, intervals, degree, base, order, threads);
        const nb::gil_scoped_release released;
        done(kind == 0 ? table_->edge_sum_float(sum_call<float>(shape, v, coefficients, x, knots, out))
                       : table_->edge_sum_double(sum_call<double>(shape, v, coefficients, x, knots, out)));
    }

    // Null addresses among the three gradients are not computed.
    void vjp(int kind, Address v, Address g, Address coefficients, Address x, Address knots, Address grad_v,
             Address grad_x, Address grad_coefficients, std::int64_t batch, std::int64_t inputs, std::int64_t outputs,
             std::int64_t intervals, int degree, int base, int order, int threads) const {
        const Shape shape = checked(batch, inputs, outputs, intervals, degree, base, order, threads);
        const nb::gil_scoped_release released;
        const auto call = [&](auto kernel, auto zero) {
            using T = decltype(zero);
            done(kernel({shape, at<const T>(v), at<const T>(g), at<const T>(coefficients), at<const T>(x),
                         at<const T>(knots), at<T>(grad_v), at<T>(grad_x), at<T>(grad_coefficients)}));
        };
        kind == 0 ? call(table_->vjp_float, 0.0f) : call(table_->vjp_double, 0.0);
    }

    // `sizes` holds inputs, outputs, intervals, degree and base of each layer, `curves` the addresses of its coefficients and
    // knots.
    using Numbers = std::vector<std::int64_t>;
    using Addresses = std::vector<Address>;

    void chain(int kind, std::int64_t batch, int threads, const Numbers& sizes, const Addresses& curves, Address x,
               Address center, Address scale, Address hidden, Address out) const {
        const auto call = [&](auto kernel, auto zero) {
            using T = decltype(zero);
            const std::vector<Link<T>> links = chained<T>(batch, threads, sizes, curves, {});
            const nb::gil_scoped_release released;
            done(kernel({layers(batch, threads, links), at<const T>(x), at<const T>(center), at<const T>(scale),
                         at<T>(hidden), at<T>(out)}));
        };
        kind == 0 ? call(table_->chain_float, 0.0f) : call(table_->chain_double, 0.0);
    }

    void chain_vjp(int kind, std::int64_t batch, int threads, const Numbers& sizes, const Addresses& curves,
                   const Addresses& gradients, Address x, Address hidden, Address g, Address scale,
                   Address grad_x) const {
        const auto call = [&](auto kernel, auto zero) {
            using T = decltype(zero);
            const std::vector<Link<T>> links = chained<T>(batch, threads, sizes, curves, gradients);
            const nb::gil_scoped_release released;
            done(kernel({layers(batch, threads, links), at<const T>(x), at<const T>(hidden), at<const T>(g),
                         at<const T>(scale), at<T>(grad_x)}));
        };
        kind == 0 ? call(table_->chain_vjp_float, 0.0f) : call(table_->chain_vjp_double, 0.0);
    }

    void records(int kind, Address x, Address knots, Address out, std::int64_t batch, std::int64_t inputs,
                 std::int64_t intervals, int degree, int base, int order) const {
        const Shape shape = checked(batch, inputs, 0, intervals, degree, base, order, 1);
        const nb::gil_scoped_release released;
        done(kind == 0 ? table_->records_float({shape, at<const float>(x), at<const float>(knots), at<float>(out)})
                       : table_->records_double({shape, at<const double>(x), at<const double>(knots), at<double>(out)}));
    }

    // A layer's edges: (records, sensitivities, inputs of edges, outputs of edges, edges, rows, start, degree, base).
    using Edges = std::tuple<Address, Address, Address, Address, std::int64_t, std::int64_t, std::int64_t, int, bool>;

    void normal_matrix(int kind, const Edges& left, const Edges& right, bool same, Address matrix, std::int64_t size,
                       std::int64_t samples, std::int64_t outputs, int threads) const {
        const nb::gil_scoped_release released;
        done(kind == 0 ? table_->normal_float({edges<float>(left), edges<float>(right), same, samples, outputs, size,
                                               threads, at<float>(matrix)})
                       : table_->normal_double({edges<double>(left), edges<double>(right), same, samples, outputs, size,
                                                threads, at<double>(matrix)}));
    }

  private:
    template <class T>
    static EdgeRows<T> edges(const Edges& from) {
        const auto& [records, sensitivities, inputs, outputs, count, rows, start, degree, base] = from;
        return {at<const T>(records), at<const T>(sensitivities), at<const std::int64_t>(inputs),
                at<const std::int64_t>(outputs), count, rows, start, degree, base};
    }

    // Checks the layers of a chain.
    template <class T>
    static std::vector<Link<T>> chained(std::int64_t batch, int threads, const Numbers& sizes, const Addresses& curves,
                                        const Addresses& gradients) {
        const std::size_t depth = sizes.size() / 5;
        if (depth == 0 || sizes.size() != 5 * depth || curves.size() != 2 * depth ||
            (!gradients.empty() && gradients.size() != depth))
            throw std::invalid_argument("sizes, curves and gradients must describe the same layers, at least one");
        std::vector<Link<T>> links;
        links.reserve(depth);
        for (std::size_t n = 0; n < depth; ++n) {
            const std::int64_t* of = sizes.data() + 5 * n;
            const Shape shape = checked(batch, of[0], of[1], of[2], static_cast<int>(of[3]), static_cast<int>(of[4]), 0,
                                        threads);
            if (n > 0 && links.back().outputs != shape.inputs)
                throw std::invalid_argument("a layer's inputs are not the outputs of the one before");
            links.push_back({shape.inputs, shape.outputs, shape.intervals, shape.degree, shape.base,
                             at<const T>(curves[2 * n]), at<const T>(curves[2 * n + 1]),
                             gradients.empty() ? nullptr : at<T>(gradients[n])});
        }
        return links;
    }

    template <class T>
    static Layers<T> layers(std::int64_t batch, int threads, const std::vector<Link<T>>& links) {
        return {batch, threads, static_cast<int>(links.size()), links.data()};
    }

    template <class T>
    static EdgeSum<T> sum_call(const Shape& shape, Address v, Address coefficients, Address x, Address knots,
                               Address out) {
        return {shape, at<const T>(v), at<const T>(coefficients), at<const T>(x), at<const T>(knots), at<T>(out)};
    }

    const Table* table_ = nullptr;
};

}  // namespace
}  // namespace superpose

NB_MODULE(_native, module) {
#ifdef NDEBUG
    // Frames that still exist when the interpreter ends (of a daemon thread, or of a traceback that such a thread holds)
    // keep the kernels, and nanobind would list all functions of this module as leaked, after an error in the tests for
    // example. Nothing is lost: the process frees them. Builds for the sanitizers, without NDEBUG, still hear of leaks.
    nb::set_leak_warnings(false);
#endif
    module.doc() = "Compiled contractions of KAN layers; superpose.spline.backend and superpose.spline.chain use them.";
    module.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const superpose::Table* table : superpose::runnable()) names.emplace_back(table->name);
        return names;
    });
    using superpose::Kernels;
    nb::class_<Kernels>(module, "Kernels")
        .def(nb::init<const std::string&>())
        .def_prop_ro("name", &Kernels::name)
        .def("edge_sum", &Kernels::edge_sum)
        .def("vjp", &Kernels::vjp)
        .def("chain", &Kernels::chain)
        .def("chain_vjp", &Kernels::chain_vjp)
        .def("records", &Kernels::records)
        .def("normal_matrix", &Kernels::normal_matrix);
    using superpose::Enumeration;
    nb::class_<Enumeration>(module, "Enumeration")
        .def("__init__",
             [](Enumeration* self, std::uintptr_t x, std::int64_t rows, std::int64_t columns, std::uintptr_t targets,
                std::int64_t outer, std::int64_t most) {
                 new (self) Enumeration(reinterpret_cast<const double*>(x), rows, columns,
                                        reinterpret_cast<const double*>(targets), outer, most);
             })
        .def("advance", &Enumeration::advance, nb::call_guard<nb::gil_scoped_release>())
        .def("results", &Enumeration::results)
        .def("tree", &Enumeration::tree)
        .def("copy_values", [](const Enumeration& self, std::uintptr_t out,
                               std::int64_t count) { self.copy_values(reinterpret_cast<double*>(out), count); })
        .def_prop_ro("stored", &Enumeration::stored)
        .def_prop_ro("sums", &Enumeration::sums)
        .def_prop_ro("level", &Enumeration::level);
}
