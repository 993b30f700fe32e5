// Which route `auto` takes, and what is said of the others.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace dsa {

// A route as the choice sees it. `refusal` "": it can do the call.
struct RouteOffer {
  int32_t route;  // DSA_ROUTE_GPU, ...
  const char* name;
  std::string refusal;
  double seconds = 0;  // predicted; of routes that do not refuse
};

// Place of the offer that `asked` (DSA_ROUTE_...) means: of `auto` the least predicted among those
// that do not refuse, the first of equal ones; else that route's, refused or not. offers.size():
// there is none.
size_t pick_offer(std::span<const RouteOffer> offers, int32_t asked);

// "forward.hybrid: predicted 0.512 ms" or "forward.hybrid: <refusal>": for plans and the log.
std::string offer_text(const RouteOffer& offer);

}  // namespace dsa
