// SPDX-License-Identifier: Apache-2.0
// Included in front of every file of a build that does not optimise: what each file would otherwise instantiate and
// compile for itself is compiled once, in common_instances.cpp. As C++20 libstdc++ no longer does this for its strings,
// because their functions are constexpr. Instantiating the library's templates for its own types is outside the letter
// of [namespace.std]; it saves a tenth of the build, and no program that is shipped has it.
#pragma once

#include <map>
#include <string>
#include <vector>

extern template class std::basic_string<char>;
extern template class std::vector<std::string>;
extern template class std::map<std::string, std::string>;
extern template class std::_Rb_tree<std::string, std::pair<const std::string, std::string>,
                                    std::_Select1st<std::pair<const std::string, std::string>>, std::less<std::string>>;
extern template std::string std::operator+(const std::string&, const std::string&);
extern template std::string std::operator+(const std::string&, const char*);
extern template std::string std::operator+(std::string&&, const std::string&);
extern template std::string std::operator+(std::string&&, std::string&&);
extern template std::string std::operator+(std::string&&, const char*);
extern template std::string std::operator+(const char*, const std::string&);
extern template std::string std::operator+(const char*, std::string&&);
