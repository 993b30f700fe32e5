// Sizes of the models that DeepSeek Sparse Attention serves.
#pragma once

#include <string>
#include <vector>

namespace bench {

struct Model {
  std::string name;
  int heads, dim, value_dim;  // attention: H, d, dv
  int k;
  int index_heads, index_dim;
};

inline const std::vector<Model>& models() {
  static const std::vector<Model> all = {
      {"deepseek-v3.2", 128, 576, 512, 2048, 64, 128},
      {"glm-5", 64, 576, 512, 2048, 32, 128},
      {"deepseek-v4-flash", 64, 512, 512, 512, 64, 128},
      {"deepseek-v4-pro", 128, 512, 512, 1024, 64, 128},
      {"tinylm", 8, 160, 128, 256, 8, 64},
  };
  return all;
}

inline const Model* find_model(const std::string& name) {
  for (const Model& model : models()) {
    if (model.name == name) return &model;
  }
  return nullptr;
}

}  // namespace bench
