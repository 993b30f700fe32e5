#include "api/forward_choice.h"

#include <algorithm>
#include <cinttypes>
#include <optional>

#include "core/error.h"
#include "hybrid/chunks.h"
#include "hybrid/cost.h"
#include "hybrid/pick.h"
#include "hybrid/staging.h"

namespace dsa {
namespace {

const char* word_of(const Route& route) { return route.name + sizeof("forward.") - 1; }

// A call as the other side's routes see it. Made when the first of them is asked.
class OtherSide {
 public:
  OtherSide(const dsa_ctx& ctx, const dsa_forward_desc& desc, bool to_gpu) {
    const DeviceInfo* device = ctx.device();
    if (to_gpu && !device) {
      refusal_ = "the context has no CUDA device";
      if (!ctx.cuda_missing.empty()) refusal_ += ": " + ctx.cuda_missing;
      return;
    }
    staged_.emplace(desc, to_gpu ? DSA_DEVICE_CUDA : DSA_DEVICE_CPU, to_gpu ? device->id : 0);
    try {
      call_ = make_forward(ctx, staged_->desc(), false);
    } catch (const Error& error) {
      refusal_ = error.text;
    }
  }
  const std::string& refusal() const { return refusal_; }
  const ForwardCall& call() const { return call_; }
  const StagedForward& staged() const { return *staged_; }

 private:
  std::string refusal_;
  std::optional<StagedForward> staged_;
  ForwardCall call_;
};

// Asks routes about one call.
class Chooser {
 public:
  Chooser(const dsa_ctx& ctx, const dsa_forward_desc& desc, const ForwardCall& call)
      : ctx_(ctx),
        desc_(desc),
        call_(call),
        tune_(ctx.tune.get()),
        load_{ctx.parallel.max_lanes(), static_cast<double>(call.gpu_busy)},
        shape_(shape_of(call.select, call.attend, call.on_gpu())) {
    shape_.chunks = expected_chunks(call, shape_.visible);
  }

  bool is_staged(const Route& route) const { return is_gpu_route(route) != call_.on_gpu(); }
  bool is_capturable(const Route& route) const { return route.capturable && !is_staged(route); }

  RouteOffer offer(const Route& route) {
    RouteOffer offer{route.id, route.name, refusal(route)};
    if (offer.refusal.empty()) offer.seconds = predict(*tune_, shape_, route.id, load_);
    return offer;
  }
  // What it takes at the least: tensors of the other side, once asked for, cost their copies too.
  double least_seconds(const Route& route) const {
    return predict(*tune_, shape_, route.id, load_);
  }
  uint64_t workspace(const Route& route) const {
    return is_staged(route) ? 0 : route.workspace(ctx_, call_);
  }

 private:
  std::string refusal(const Route& route) {
    if (call_.capturing && !is_capturable(route)) return "it cannot be captured";
    uint64_t bytes = 0;
    std::string reason;
    if (is_staged(route)) {
      if (!other_) {
        other_.emplace(ctx_, desc_, is_gpu_route(route));
        if (other_->refusal().empty()) {
          shape_.input_bytes = static_cast<double>(other_->staged().input_bytes());
          shape_.output_bytes = static_cast<double>(other_->staged().output_bytes());
          shape_.copies = other_->staged().tensors();
        }
      }
      reason = other_->refusal();
      if (reason.empty()) reason = route.refuse(ctx_, other_->call());
      if (reason.empty()) bytes = other_->staged().bytes() + route.workspace(ctx_, other_->call());
    } else {
      reason = route.refuse(ctx_, call_);
      if (reason.empty()) bytes = route.workspace(ctx_, call_);
    }
    if (!reason.empty() || call_.memory_limit == 0 || !is_gpu_route(route)) return reason;
    if (bytes <= call_.memory_limit) return "";
    return "it needs " + std::to_string(bytes) + " bytes of device memory, memory_limit is " +
           std::to_string(call_.memory_limit);
  }

  const dsa_ctx& ctx_;
  const dsa_forward_desc& desc_;
  const ForwardCall& call_;
  std::shared_ptr<const Tune> tune_;
  ForwardLoad load_;
  ForwardShape shape_;
  std::optional<OtherSide> other_;
};

// The routes, those whose side has the tensors first.
std::vector<const Route*> routes_for(const Chooser& chooser) {
  const auto all = forward_routes();
  std::vector<const Route*> routes(all.begin(), all.end());
  std::stable_partition(routes.begin(), routes.end(),
                        [&](const Route* route) { return !chooser.is_staged(*route); });
  return routes;
}

[[noreturn]] void fail_all(const std::vector<RouteOffer>& offers) {
  std::string reasons;
  for (const RouteOffer& offer : offers) {
    reasons += (reasons.empty() ? "" : "; ") + offer_text(offer);
  }
  fail(DSA_ERROR_UNSUPPORTED, "forward: no route takes this call; %s", reasons.c_str());
}

void say_choice(const dsa_ctx& ctx, const ForwardCall& call, int32_t asked,
                const ForwardChoice& choice, const std::vector<RouteOffer>& offers) {
  for (const RouteOffer& offer : offers) {
    ctx.log.write(2, "dispatch: %s", offer_text(offer).c_str());
  }
  const char* copied = choice.staged ? ", tensors copied there and back" : "";
  if (asked == DSA_ROUTE_AUTO) {
    ctx.log.write(2, "dispatch: %s (auto, gpu_busy %.2f, %s), workspace %" PRIu64 " bytes%s",
                  choice.route->name, static_cast<double>(call.gpu_busy), ctx.tune.from().c_str(),
                  choice.workspace, copied);
  } else {
    ctx.log.write(2, "dispatch: %s, workspace %" PRIu64 " bytes%s", choice.route->name,
                  choice.workspace, copied);
  }
}

}  // namespace

ForwardChoice choose_route(const dsa_ctx& ctx, const dsa_forward_desc& desc,
                           const ForwardCall& call, int32_t asked,
                           std::vector<std::string>* others) {
  Chooser chooser(ctx, desc, call);
  const bool tells = others || ctx.log.dispatch();
  std::vector<const Route*> routes;
  std::vector<RouteOffer> offers;
  double least = 0;  // predicted of the routes that can do it
  for (const Route* route : routes_for(chooser)) {
    // Nobody needs to hear of a route that was not asked for, or that cannot be the fastest.
    const bool idle = asked == DSA_ROUTE_AUTO ? least > 0 && chooser.least_seconds(*route) >= least
                                              : route->id != asked;
    if (idle && !tells) continue;
    routes.push_back(route);
    offers.push_back(chooser.offer(*route));
    const RouteOffer& offer = offers.back();
    if (offer.refusal.empty() && (least == 0 || offer.seconds < least)) least = offer.seconds;
  }
  const size_t place = pick_offer(offers, asked);
  if (place == offers.size()) {
    if (asked == DSA_ROUTE_AUTO) fail_all(offers);
    fail(DSA_ERROR_UNSUPPORTED, "forward.route is %d: this build has no such route", asked);
  }
  const Route& route = *routes[place];
  if (!offers[place].refusal.empty()) {
    fail(
        call.capturing && !chooser.is_capturable(route) ? DSA_ERROR_CAPTURE : DSA_ERROR_UNSUPPORTED,
        "forward.route is %d (%s): %s", asked, word_of(route), offers[place].refusal.c_str());
  }
  const ForwardChoice choice = {&route, chooser.is_staged(route), chooser.workspace(route)};
  if (ctx.log.dispatch()) say_choice(ctx, call, asked, choice, offers);
  if (others) {
    for (size_t i = 0; i < offers.size(); ++i) {
      if (i != place) others->push_back(offer_text(offers[i]));
    }
  }
  return choice;
}

uint64_t forward_workspace(const dsa_ctx& ctx, const dsa_forward_desc& desc,
                           const ForwardCall& call) {
  const ForwardChoice choice = choose_route(ctx, desc, call, desc.route);
  if (desc.route != DSA_ROUTE_AUTO) return choice.workspace;
  Chooser chooser(ctx, desc, call);
  uint64_t most = 0;
  for (const Route* route : forward_routes()) {
    if (chooser.is_staged(*route) || !chooser.offer(*route).refusal.empty()) continue;
    most = std::max(most, chooser.workspace(*route));
  }
  return most;
}

}  // namespace dsa
