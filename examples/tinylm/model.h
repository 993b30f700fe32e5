#pragma once
// The trained model: sizes and weights, everything in f32. A Linear is y = W x, W [out, in].

#include <cstdint>
#include <filesystem>
#include <vector>

namespace tinylm {

struct Config {
  int vocab = 0;
  int d_model = 0;
  int n_layers = 0;
  int n_heads = 0;
  int kv_latent = 0;  // r: what K and V of all heads are made from
  int rope = 0;       // rotated part of a query or key
  int nope = 0;       // the other part, before it is absorbed into the latent
  int v_head = 0;
  int ffn = 0;
  int index_heads = 0;  // Hi
  int index_dim = 0;    // Di
  int index_rope = 0;   // its rotated part comes first
  int topk = 0;
  double rope_theta = 0;
  double norm_eps = 0;

  int kv_dim() const { return kv_latent + rope; }  // D: a row of the KV cache
  int q_head() const { return nope + rope; }
};

struct Layer {
  std::vector<float> norm1;           // [d]
  std::vector<float> wq;              // [H (nope + rope), d]
  std::vector<float> wkv;             // [r + rope, d]
  std::vector<float> kv_norm;         // [r]
  std::vector<float> wuk;             // [H nope, r]
  std::vector<float> wuv;             // [H v, r]
  std::vector<float> wo;              // [d, H v]
  std::vector<float> iq;              // [Hi Di, d]
  std::vector<float> ik;              // [Di, d]
  std::vector<float> ik_norm_weight;  // [Di]
  std::vector<float> ik_norm_bias;    // [Di]
  std::vector<float> iw;              // [Hi, d]
  std::vector<float> norm2;           // [d]
  std::vector<float> w1, w3;          // [ffn, d]
  std::vector<float> w2;              // [d, ffn]
};

struct Model {
  Config config;
  std::vector<float> embed;  // [vocab, d], the output's matrix too
  std::vector<float> norm;   // [d]
  std::vector<Layer> layers;

  int64_t parameters() const;
};

// Reads config.json and model.safetensors. Throws BadInput.
Model load_model(const std::filesystem::path &folder);

}  // namespace tinylm
