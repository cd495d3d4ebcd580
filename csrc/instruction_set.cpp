// Compiled once for each instruction set: SUPERPOSE_TABLE names the table it offers, SUPERPOSE_NAME what users call it.
#include "chain.hpp"
#include "normal_matrix.hpp"

namespace superpose {
namespace {

template <class T>
bool records_any(const Records<T>& call) {
    return by_degree(call.shape.degree, [&](auto k) { return records<T, decltype(k)::value>(call); });
}

}  // namespace

extern const Table SUPERPOSE_TABLE;
const Table SUPERPOSE_TABLE = {
    SUPERPOSE_NAME,     edge_sum<float>,     edge_sum<double>, pulls<float>,       pulls<double>,
    chain<float>,       chain<double>,       chain_pulls<float>, chain_pulls<double>, records_any<float>,
    records_any<double>, normal_matrix<float>, normal_matrix<double>};

}  // namespace superpose
