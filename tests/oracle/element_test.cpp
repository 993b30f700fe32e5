// The oracle's decoders and the tests' encoders: every code there and back, and known values.
#include "oracle/element.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/element.h"

namespace {

TEST(Elements, KnownValues) {
  EXPECT_EQ(oracle::f16_to_double(0x3c00), 1.0);
  EXPECT_EQ(oracle::f16_to_double(0xfbff), -65504.0);
  EXPECT_EQ(oracle::f16_to_double(0x0001), std::ldexp(1.0, -24));
  EXPECT_EQ(oracle::bf16_to_double(0x3f80), 1.0);
  EXPECT_EQ(oracle::bf16_to_double(0xff7f), -3.3895313892515355e38);
  EXPECT_EQ(oracle::e4m3_to_double(0x38), 1.0);
  EXPECT_EQ(oracle::e4m3_to_double(0x7e), 448.0);
  EXPECT_EQ(oracle::e4m3_to_double(0x81), -std::ldexp(1.0, -9));
  EXPECT_TRUE(std::isnan(oracle::e4m3_to_double(0x7f)));
  EXPECT_TRUE(std::isnan(oracle::e4m3_to_double(0xff)));
}

TEST(Elements, EveryCodeThereAndBack) {
  for (int code = 0; code < 65536; ++code) {
    const double f16 = oracle::f16_to_double(uint16_t(code));
    const double bf16 = oracle::bf16_to_double(uint16_t(code));
    if (!std::isnan(f16)) {
      ASSERT_EQ(support::to_f16(f16), code);
    }
    if (!std::isnan(bf16)) {
      ASSERT_EQ(support::to_bf16(bf16), code);
    }
  }
  for (int code = 0; code < 256; ++code) {
    const double e4m3 = oracle::e4m3_to_double(uint8_t(code));
    if (!std::isnan(e4m3)) {
      ASSERT_EQ(support::to_e4m3(e4m3), code);
    }
  }
  EXPECT_TRUE(std::isnan(oracle::f16_to_double(support::to_f16(NAN))));
  EXPECT_TRUE(std::isnan(oracle::bf16_to_double(support::to_bf16(NAN))));
  EXPECT_TRUE(std::isnan(oracle::e4m3_to_double(support::to_e4m3(NAN))));
}

TEST(Elements, RoundsToNearestEven) {
  EXPECT_EQ(support::to_bf16(1.0 + 0x1p-8), 0x3f80);      // a tie: to even
  EXPECT_EQ(support::to_bf16(1.0 + 3 * 0x1p-8), 0x3f82);  // a tie: to even
  EXPECT_EQ(support::to_bf16(1.0 + 0x1p-8 + 0x1p-20), 0x3f81);
  EXPECT_EQ(support::to_f16(65519.0), 0x7bff);
  EXPECT_EQ(support::to_f16(65520.0), 0x7c00);
  EXPECT_EQ(support::to_e4m3(17.0), support::to_e4m3(16.0));
}

}  // namespace
