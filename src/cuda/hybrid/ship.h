// ship, send and take of BackendServices.
#pragma once

#include "core/services.h"

namespace dsa::cuda {

bool ship(BackendDevice* device, const Kernel* kernel, const IndexerTopkParams& params,
          const Shipment& shipment, void* stream, BackendError* error);
bool send(BackendDevice* device, const Shipment& shipment, void* stream, BackendError* error);
bool take(BackendDevice* device, const IndexerTopkParams& params, const Shipment& shipment,
          const Cut* cuts, void* stream, BackendError* error);

}  // namespace dsa::cuda
