/* SPDX-License-Identifier: MIT */
#pragma once

enum error {
#define ERROR(name, value, text) name = value,
#include <abi/error.def>
#undef ERROR
};
