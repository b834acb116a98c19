#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py finds the mistake it is there for, and leaves its allowed twin alone."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tidy  # noqa: E402

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


def findings(rule, name, text):
    return list(rule(name, text))


class EachRule(unittest.TestCase):
    def test_an_include_against_the_direction_is_found(self):
        self.assertTrue(findings(tidy.check_includes, "vault/x.cpp", '#include "interceptor/y.hpp"'))
        self.assertFalse(findings(tidy.check_includes, "vault/x.cpp", '#include "profiles/y.hpp"'))
        self.assertTrue(findings(tidy.check_includes, "network/x.cpp", '#include "vault/y.hpp"'))
        self.assertTrue(findings(tidy.check_includes, "launcher/x.cpp", '#include "network/y.hpp"'))
        self.assertFalse(findings(tidy.check_includes, "vault/x.cpp", '#include "network/y.hpp"'))

    def test_a_heavy_header_is_found_in_headers_only(self):
        self.assertTrue(findings(tidy.check_includes, "vault/x.hpp", "#include <nlohmann/json.hpp>"))
        self.assertFalse(findings(tidy.check_includes, "vault/x.cpp", "#include <nlohmann/json.hpp>"))
        self.assertFalse(findings(tidy.check_includes, "interceptor/x.hpp", "#include <boost/asio/awaitable.hpp>"))

    def test_a_line_of_121_columns_is_found(self):
        self.assertTrue(findings(tidy.check_lines, "base/x.cpp", "x" * 121))
        self.assertFalse(findings(tidy.check_lines, "base/x.cpp", "x" * 120))

    def test_a_function_of_71_lines_is_found(self):
        def body(lines):
            return "namespace a {\nint f(int x) {\n" + "    x++;\n" * (lines - 2) + "}\n}\n"
        self.assertTrue(findings(tidy.check_functions, "base/x.cpp", body(71)))
        self.assertFalse(findings(tidy.check_functions, "base/x.cpp", body(70)))

    def test_a_long_function_after_tables_and_literals_is_found(self):
        text = 'const char* a = "{{{";\nconstexpr int t[] = {1, 2};\nvoid g() {\n' + "    f();\n" * 80 + "}\n"
        self.assertTrue(findings(tidy.check_functions, "base/x.cpp", text))

    def test_a_long_table_is_no_function(self):
        text = "constexpr Row kRows[] = {\n" + "    {1, f(2)},\n" * 100 + "};\n"
        self.assertFalse(findings(tidy.check_functions, "base/x.cpp", text))

    def test_a_banned_word_is_found_outside_comments_and_literals(self):
        self.assertTrue(findings(tidy.check_banned, "base/x.cpp", "strcpy(a, b);"))
        self.assertFalse(findings(tidy.check_banned, "base/x.cpp", '// strcpy(a, b)\nf("strcpy(a, b)");'))
        self.assertTrue(findings(tidy.check_banned, "tests/e2e/x.py", "time." "sleep(1)"))

    def test_a_source_in_no_list_is_found(self):
        files = {"base/CMakeLists.txt": "add_library(b x.cpp)", "base/x.cpp": SPDX, "base/y.cpp": SPDX}
        found = list(tidy.check_sources_are_built(files))
        self.assertEqual(["base/y.cpp:1: in no CMake list"], found)

    def test_an_unused_header_is_found(self):
        files = {"base/x.hpp": SPDX, "base/y.hpp": SPDX, "base/x.cpp": '#include "base/x.hpp"'}
        self.assertEqual(["base/y.hpp:1: nobody includes this header"], list(tidy.check_headers_are_used(files)))

    def test_an_unused_limit_is_found(self):
        files = {"base/limits.hpp": "inline constexpr int kUsed = 1;\ninline constexpr int kIdle = 2;",
                 "base/x.cpp": "kUsed"}
        self.assertEqual(["base/limits.hpp:2: nobody uses kIdle"], list(tidy.check_limits_are_used(files)))

    def test_a_missing_licence_line_is_found(self):
        self.assertTrue(findings(tidy.check_head, "base/x.cpp", "int x;"))
        self.assertFalse(findings(tidy.check_head, "base/x.cpp", SPDX))


if __name__ == "__main__":
    unittest.main()
