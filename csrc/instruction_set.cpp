// Compiled once for each instruction set: SUPERPOSE_TABLE names the table it offers, SUPERPOSE_NAME what users call it.
#include "chain.hpp"
#include "normal_matrix.hpp"

namespace superpose {
namespace {

template <class T>
bool records_of_degree(const Records<T>& call) {
    return by_degree(call.shape.degree, [&](auto k) { return records<T, decltype(k)::value>(call); });
}

}  // namespace

extern const Table SUPERPOSE_TABLE;
const Table SUPERPOSE_TABLE = {
    SUPERPOSE_NAME,     edge_sum<float>,     edge_sum<double>, vjp<float>,       vjp<double>,
    chain<float>,       chain<double>,       chain_vjp<float>, chain_vjp<double>, records_of_degree<float>,
    records_of_degree<double>, normal_matrix<float>, normal_matrix<double>};

}  // namespace superpose
