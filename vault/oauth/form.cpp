// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/form.hpp"

namespace sanctum::vault {
namespace {

constexpr std::size_t kRoomAtFirst = 1024;

bool is_plain(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '*';
}

}  // namespace

Form::Form(Form&& other) noexcept : text_(std::move(other.text_)) { other.text_.clear(); }

Form& Form::operator=(Form&& other) noexcept {
    if (this == &other) return *this;
    wipe(text_);
    text_ = std::move(other.text_);
    other.text_.clear();
    return *this;
}

Form::~Form() { wipe(text_); }

Form Form::duplicate() const {
    Form copy;
    copy.text_ = text_;
    return copy;
}

// Grows by hand: what a string leaves behind when it grows would not be wiped.
void Form::append(char byte) {
    if (text_.size() == text_.capacity()) {
        std::string larger;
        larger.reserve(text_.capacity() * 2 + kRoomAtFirst);
        larger = text_;
        wipe(text_);
        text_.swap(larger);
    }
    text_.push_back(byte);
}

void Form::add(std::string_view name, std::string_view value) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    const auto encode = [&](std::string_view text) {
        for (const char byte : text) {
            if (is_plain(byte)) {
                append(byte);
                continue;
            }
            const auto number = static_cast<unsigned char>(byte);
            append('%');
            append(kHex[number >> 4]);
            append(kHex[number & 15]);
        }
    };
    if (!text_.empty()) append('&');
    encode(name);
    append('=');
    encode(value);
}

}  // namespace sanctum::vault
