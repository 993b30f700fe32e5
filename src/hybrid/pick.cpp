#include "hybrid/pick.h"

#include <cstdio>

#include "dsa.h"

namespace dsa {

size_t pick_offer(std::span<const RouteOffer> offers, int32_t asked) {
  size_t best = offers.size();
  for (size_t i = 0; i < offers.size(); ++i) {
    if (asked != DSA_ROUTE_AUTO) {
      if (offers[i].route == asked) return i;
    } else if (offers[i].refusal.empty() &&
               (best == offers.size() || offers[i].seconds < offers[best].seconds)) {
      best = i;
    }
  }
  return best;
}

std::string offer_text(const RouteOffer& offer) {
  if (!offer.refusal.empty()) return std::string(offer.name) + ": " + offer.refusal;
  char text[64];
  std::snprintf(text, sizeof text, ": predicted %.3f ms", offer.seconds * 1e3);
  return offer.name + std::string(text);
}

}  // namespace dsa
