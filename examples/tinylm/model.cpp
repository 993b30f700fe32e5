#include "model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "error.h"
#include "files.h"
#include "safetensors.h"

namespace tinylm {
namespace {

using Json = nlohmann::json;

// Far above any model of this kind; keeps every product of two sizes inside an int.
constexpr int kMaxSize = 16384;

Json parse_object(const std::filesystem::path &path) {
  const std::vector<uint8_t> text = read_file(path);
  Json json;
  try {
    json = Json::parse(text.begin(), text.end());
  } catch (const Json::exception &) {  // syntax, or a number beyond double
    throw BadInput(path.string() + ": not JSON");
  }
  if (!json.is_object()) throw BadInput(path.string() + ": not a JSON object");
  return json;
}

Config read_config(const std::filesystem::path &path) {
  const Json json = parse_object(path);
  const auto size = [&](const char *key) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number_unsigned() || found->get<uint64_t>() < 1 ||
        found->get<uint64_t>() > kMaxSize) {
      throw BadInput(
          fmt::format("{}: {} is not a number from 1 to {}", path.string(), key, kMaxSize));
    }
    return found->get<int>();
  };
  const auto positive = [&](const char *key) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number() || !(found->get<double>() > 0)) {
      throw BadInput(fmt::format("{}: {} is not a number above 0", path.string(), key));
    }
    return found->get<double>();
  };

  Config c;
  c.vocab = size("vocab");
  c.d_model = size("d_model");
  c.n_layers = size("n_layers");
  c.n_heads = size("n_heads");
  c.kv_latent = size("kv_latent");
  c.rope = size("rope");
  c.nope = size("nope");
  c.v_head = size("v_head");
  c.ffn = size("ffn");
  c.index_heads = size("index_heads");
  c.index_dim = size("index_dim");
  c.index_rope = size("index_rope");
  c.topk = size("topk");
  c.rope_theta = positive("rope_theta");
  c.norm_eps = positive("norm_eps");

  if (c.vocab != 256) {
    throw BadInput(fmt::format("{}: vocab is {}, tinylm reads bytes: 256", path.string(), c.vocab));
  }
  if (c.rope % 2 != 0 || c.index_rope != c.rope) {
    throw BadInput(fmt::format("{}: rope {} and index_rope {} must be equal and even",
                               path.string(), c.rope, c.index_rope));
  }
  if (c.index_rope > c.index_dim) {
    throw BadInput(fmt::format("{}: index_rope {} is larger than index_dim {}", path.string(),
                               c.index_rope, c.index_dim));
  }
  return c;
}

}  // namespace

int64_t Model::parameters() const {
  size_t n = embed.size() + norm.size();
  for (const Layer &l : layers) {
    for (const auto *weight :
         {&l.norm1, &l.wq, &l.wkv, &l.kv_norm, &l.wuk, &l.wuv, &l.wo, &l.iq, &l.ik,
          &l.ik_norm_weight, &l.ik_norm_bias, &l.iw, &l.norm2, &l.w1, &l.w2, &l.w3}) {
      n += weight->size();
    }
  }
  return static_cast<int64_t>(n);
}

Model load_model(const std::filesystem::path &folder) {
  Model model;
  model.config = read_config(folder / "config.json");
  const Config &c = model.config;
  const Safetensors file = Safetensors::read(folder / "model.safetensors");
  const auto vector = [&](const std::string &name, int64_t n) {
    return file.floats(name, std::vector{n});
  };
  const auto matrix = [&](const std::string &name, int64_t out, int64_t in) {
    return file.floats(name, std::vector{out, in});
  };

  const int d = c.d_model;
  model.embed = matrix("embed.weight", c.vocab, d);
  model.norm = vector("norm.weight", d);
  for (int i = 0; i < c.n_layers; ++i) {
    const std::string prefix = fmt::format("layers.{}.", i);
    Layer l;
    l.norm1 = vector(prefix + "norm1.weight", d);
    l.wq = matrix(prefix + "wq.weight", c.n_heads * c.q_head(), d);
    l.wkv = matrix(prefix + "wkv.weight", c.kv_dim(), d);
    l.kv_norm = vector(prefix + "kv_norm.weight", c.kv_latent);
    l.wuk = matrix(prefix + "wuk.weight", c.n_heads * c.nope, c.kv_latent);
    l.wuv = matrix(prefix + "wuv.weight", c.n_heads * c.v_head, c.kv_latent);
    l.wo = matrix(prefix + "wo.weight", d, c.n_heads * c.v_head);
    l.iq = matrix(prefix + "iq.weight", c.index_heads * c.index_dim, d);
    l.ik = matrix(prefix + "ik.weight", c.index_dim, d);
    l.ik_norm_weight = vector(prefix + "ik_norm.weight", c.index_dim);
    l.ik_norm_bias = vector(prefix + "ik_norm.bias", c.index_dim);
    l.iw = matrix(prefix + "iw.weight", c.index_heads, d);
    l.norm2 = vector(prefix + "norm2.weight", d);
    l.w1 = matrix(prefix + "w1.weight", c.ffn, d);
    l.w2 = matrix(prefix + "w2.weight", d, c.ffn);
    l.w3 = matrix(prefix + "w3.weight", c.ffn, d);
    model.layers.push_back(std::move(l));
  }
  return model;
}

}  // namespace tinylm
