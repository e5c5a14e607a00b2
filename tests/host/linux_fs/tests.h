/* SPDX-License-Identifier: MIT */
#pragma once

/* Each: 0 if all checks passed */
int line_tests(void);
int pure_tests(void);
int serial_tests(void);
int namespace_tests(void);
int data_tests(void);
