// SPDX-License-Identifier: Apache-2.0
#include "cmake/common_instances.hpp"

template class std::basic_string<char>;
template class std::vector<std::string>;
template class std::map<std::string, std::string>;
template class std::_Rb_tree<std::string, std::pair<const std::string, std::string>,
                             std::_Select1st<std::pair<const std::string, std::string>>, std::less<std::string>>;
template std::string std::operator+(const std::string&, const std::string&);
template std::string std::operator+(const std::string&, const char*);
template std::string std::operator+(std::string&&, const std::string&);
template std::string std::operator+(std::string&&, std::string&&);
template std::string std::operator+(std::string&&, const char*);
template std::string std::operator+(const char*, const std::string&);
template std::string std::operator+(const char*, std::string&&);
