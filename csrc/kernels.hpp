// The contractions that the compiled kernels compute, and the table of functions that one instruction set offers.
//
// The definition is src/superpose/spline/reference.py; names and conventions are the same. Arrays are contiguous:
// x, v [batch, inputs], g [batch, outputs], coefficients [inputs, rows, outputs], knots [inputs, intervals + 2 degree + 1],
// where rows = intervals + degree, and one more, the last, when there is a base function.
#pragma once

#include <cstdint>

namespace superpose {

enum Base : int { kNone = 0, kSilu = 1, kIdentity = 2 };

// Each degree is compiled on its own; KANLayer allows 0 to 5, and degree 0 has no derivative to make fast.
constexpr int kMinDegree = 1, kMaxDegree = 5;
// The largest order of a derivative. Derivatives of the logistic function are polynomials in it whose coefficients grow
// like factorials, and 12! is still exact in double.
constexpr int kMaxOrder = 12;

struct Shape {
    std::int64_t batch, inputs, outputs, intervals;
    int degree, base, order, threads;

    std::int64_t knots() const { return intervals + 2 * degree + 1; }
    std::int64_t rows() const { return intervals + degree + (base != kNone); }
};

// out[b, o] = sum_i v[b, i] phi_io^(order)(x[b, i]); v may be null, for ones.
template <class T>
struct EdgeSum {
    Shape shape;
    const T *v, *coefficients, *x, *knots;
    T* out;
};

// Vector-Jacobian products of EdgeSum: the gradients of sum_bo g[b, o] out[b, o]. Each of the three may be null:
//   grad_v[b, i]               = sum_o g[b, o] phi_io^(order)(x[b, i])
//   grad_x[b, i]               = v[b, i] sum_o g[b, o] phi_io^(order + 1)(x[b, i])
//   grad_coefficients[i, r, o] = sum_b v[b, i] g[b, o] beta_r^(order)(x[b, i])
template <class T>
struct Vjp {
    Shape shape;
    const T *v, *g, *coefficients, *x, *knots;
    T *grad_v, *grad_x, *grad_coefficients;
};

// One layer of a chain, and the gradient by its coefficients, which may be null.
template <class T>
struct Link {
    std::int64_t inputs, outputs, intervals;
    int degree, base;
    const T *coefficients, *knots;
    T* grad_coefficients;
};

// Consecutive layers: the outputs of each are the inputs of the next.
template <class T>
struct Layers {
    std::int64_t batch;
    int threads, depth;
    const Link<T>* of;

    Shape shape(int n) const {
        return {batch, of[n].inputs, of[n].outputs, of[n].intervals, of[n].degree, of[n].base, 0, threads};
    }
    // Number of coefficients of layer n.
    std::int64_t size(int n) const { return of[n].inputs * shape(n).rows() * of[n].outputs; }
    std::int64_t outputs() const { return of[depth - 1].outputs; }
};

// hidden: the outputs of all layers but the last, one after another. out[b, o] = center[o] + scale[o] h[b, o], h being the
// outputs of the last; `center` and `scale` may be null, for zeros and ones.
template <class T>
struct Chain {
    Layers<T> layers;
    const T *x, *center, *scale;
    T *hidden, *out;
};

// The gradients of sum_bo g[b, o] out[b, o] by the coefficients (in the layers' grad_coefficients) and by x (grad_x, which
// may be null). `hidden` is that of the forward pass.
template <class T>
struct ChainVjp {
    Layers<T> layers;
    const T *x, *hidden, *g, *scale;
    T* grad_x;
};

// out[inputs, batch]: the nonzero basis functions at each point as records of eight numbers: degree + 1 B-splines, at
// index 6 the base function (zero without one), at index 7 the number of the first row, an integer as wide as T.
template <class T>
struct Records {
    Shape shape;
    const T *x, *knots;
    T* out;
};

// The edges of one layer as columns of a Jacobian: edge e leads from input_of[e] to output_of[e] and has the columns
// from start + e * rows on. sensitivities[outputs of the layer, outputs of the network, samples].
template <class T>
struct EdgeRows {
    const T *records, *sensitivities;
    const std::int64_t *input_of, *output_of;
    std::int64_t edges, rows, start;
    int degree;
    bool base;
};

// matrix[size, size]: fills the two blocks of J^T J that belong to a pair of layers, or the one block of a layer with
// itself.
template <class T>
struct NormalMatrix {
    EdgeRows<T> left, right;
    bool same;
    std::int64_t samples, outputs, size;
    int threads;
    T* matrix;
};

// All functions return false if memory ran out; their outputs are then undefined.
struct Table {
    const char* name;
    bool (*edge_sum_float)(const EdgeSum<float>&);
    bool (*edge_sum_double)(const EdgeSum<double>&);
    bool (*vjp_float)(const Vjp<float>&);
    bool (*vjp_double)(const Vjp<double>&);
    bool (*chain_float)(const Chain<float>&);
    bool (*chain_double)(const Chain<double>&);
    bool (*chain_vjp_float)(const ChainVjp<float>&);
    bool (*chain_vjp_double)(const ChainVjp<double>&);
    bool (*records_float)(const Records<float>&);
    bool (*records_double)(const Records<double>&);
    bool (*normal_float)(const NormalMatrix<float>&);
    bool (*normal_double)(const NormalMatrix<double>&);
};

}  // namespace superpose
