// lay_out, ship and take of BackendServices.
#pragma once

#include "core/services.h"

namespace dsa::cuda {

bool lay_out(BackendDevice* device, const Rows& rows, int64_t chunk_rows, bool filtered,
             ShippedRow* shipped, int32_t* totals, void* stream, BackendError* error);
bool ship(BackendDevice* device, const Kernel* kernel, const IndexerTopkParams& params,
          const Shipment& shipment, void* stream, BackendError* error);
bool take(BackendDevice* device, const IndexerTopkParams& params, const Shipment& shipment,
          const Cut* cuts, void* stream, BackendError* error);

}  // namespace dsa::cuda
