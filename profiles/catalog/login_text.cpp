// SPDX-License-Identifier: Apache-2.0
#include "profiles/catalog/login_text.hpp"

#include "profiles/schema/values.hpp"

#include <algorithm>
#include <array>

namespace sanctum::profiles {
namespace {

constexpr std::string_view kScheme = "https://";

bool is_member_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

// RFC 6749 appendix A: what a token may consist of, and none of what separates the parts of a JWT.
bool is_token_beginning(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '.'; });
}

bool is_inside_a_home(std::string_view path) {
    std::size_t begin = 0;
    while (begin <= path.size()) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view name = path.substr(begin, end - begin);
        if (name.empty() || name == "." || name == "..") return false;
        begin = end + 1;
    }
    return true;
}

// One entry's [login]; what it reads goes into `login_`.
class LoginReader {
public:
    LoginReader(const TomlMember& member, const EntryText& entry, Diagnostics& diagnostics)
        : reader_(member.value, member.at, "[login]", diagnostics), entry_(entry), diagnostics_(diagnostics) {}

    Login read() {
        login_.token_endpoint = url("token_endpoint", Need::Required);
        login_.authorization_endpoint = url("authorization_endpoint", Need::Required);
        login_.revocation_endpoint = url("revocation_endpoint", Need::Optional);
        if (const auto id = reader_.text("client_id", Need::Required, "the client's id")) login_.client_id = id->value;
        read_operation();
        read_redirect();
        login_.body = body("body", Need::Required);
        login_.revocation_body = body("revocation_body", Need::Optional);
        list("scopes", login_.scopes);
        list("parameters", login_.parameters);
        names("sends", login_.sends);
        names("keeps", login_.keeps);
        list("claims", login_.claims);
        read_tokens();
        read_files();
        reader_.finish();
        return std::move(login_);
    }

private:
    std::string url(std::string_view key, Need need) {
        const auto written = reader_.text(key, need, "https://login.example.org/token");
        if (!written) return {};
        Parsed<std::string> parsed = parse_https_url(written->value);
        if (const Fault* fault = std::get_if<Fault>(&parsed)) {
            diagnostics_.error(written->at, fault->text, fault->hint);
            return {};
        }
        return written->value;
    }

    void list(std::string_view key, std::vector<std::string>& to) {
        const auto texts = reader_.texts(key, Need::Optional, R"(["openid"])");
        if (!texts) return;
        for (const auto& text : texts->value) to.push_back(text.value);
    }

    void names(std::string_view key, std::vector<std::string>& to) {
        const auto texts = reader_.texts(key, Need::Required, R"(["code", "code_verifier"])");
        if (!texts) return;
        for (const auto& text : texts->value) {
            if (!is_member_name(text.value)) {
                diagnostics_.error(text.at, "`" + text.value + "` is no member's name", "letters, digits, - and _");
            }
            to.push_back(text.value);
        }
        std::sort(to.begin(), to.end());
    }

    // SECURITY: what reaches the token endpoint is this one operation; any other of the same address would be relayed,
    // with the tokens in its answer.
    void read_operation() {
        const auto id = reader_.text("operation", Need::Required, "login/token");
        if (!id) return;
        login_.operation = id->value;
        const auto found = std::find_if(entry_.operations.begin(), entry_.operations.end(),
                                        [&](const OperationText& one) { return one.id == id->value; });
        if (found == entry_.operations.end()) {
            return diagnostics_.error(id->at, "there is no operation `" + id->value + "`",
                                      "the one that asks the token endpoint");
        }
        const std::vector<std::vector<std::string>> wanted = {{std::string(kLoginScope)}};
        if (found->any_of != wanted) {
            diagnostics_.error(id->at, "operation `" + id->value + "` has to need the scope `login` and nothing else",
                               "write any_of = [[\"login\"]]");
        }
        if (login_.token_endpoint.empty() || is_at_token_endpoint(*found)) return;
        diagnostics_.error(id->at, "operation `" + id->value + "` is not a POST to " + login_.token_endpoint,
                           "its endpoint's host and its path are those of `token_endpoint`");
    }

    [[nodiscard]] bool is_at_token_endpoint(const OperationText& operation) const {
        const std::string_view rest = std::string_view(login_.token_endpoint).substr(kScheme.size());
        const std::size_t slash = std::min(rest.find('/'), rest.size());
        const auto endpoint = std::find_if(entry_.endpoints.begin(), entry_.endpoints.end(),
                                           [&](const EndpointText& one) { return one.name == operation.endpoint; });
        if (endpoint == entry_.endpoints.end() || endpoint->form != AuthForm::None) return false;
        const bool is_host = std::find(endpoint->hosts.begin(), endpoint->hosts.end(), rest.substr(0, slash)) !=
                             endpoint->hosts.end();
        return is_host && operation.method == "POST" && operation.path == rest.substr(slash);
    }

    void read_redirect() {
        const auto redirect = reader_.text("redirect", Need::Required, "http://localhost:{port}/callback");
        if (!redirect) return;
        login_.redirect = redirect->value;
        if (login_.redirect.starts_with("http://localhost:") || login_.redirect.starts_with("http://127.0.0.1:")) return;
        diagnostics_.error(redirect->at, "`redirect` is no address of this machine",
                           "as the client has it registered: http://localhost:{port}/callback (RFC 8252)");
    }

    // RFC 6749 and 7009 want a form; some providers' own clients send JSON.
    std::string body(std::string_view key, Need need) {
        const auto body = reader_.text(key, need, "form");
        if (!body) return "form";
        if (body->value != "form" && body->value != "json") {
            diagnostics_.error(body->at, "`" + std::string(key) + "` cannot be `" + body->value + "`", "form or json");
        }
        return body->value;
    }

    void read_tokens() {
        const TomlMember* tokens = reader_.table("tokens", R"({ access_token = "" })");
        if (tokens == nullptr) {
            return diagnostics_.error(reader_.at(), "[login] needs `tokens`, the answer's credentials",
                                      R"(write tokens = { access_token = "", refresh_token = "" })");
        }
        for (const TomlMember& token : tokens->value.members) {
            if (token.value.kind != TomlKind::String) {
                report_kind(diagnostics_, token.value, token.key, "how such a token begins", R"("rt_")");
                continue;
            }
            if (!is_token_beginning(token.value.text)) {
                diagnostics_.error(token.value.at, "no token begins so", "as in \"rt_\"; \"\" for a JWT");
            }
            login_.tokens[token.key] = token.value.text;
            if (!std::binary_search(login_.keeps.begin(), login_.keeps.end(), token.key)) continue;
            diagnostics_.error(token.at, "`" + token.key + "` is a credential and in `keeps`", "remove one of them");
        }
        for (const std::string_view needed : {"access_token", "refresh_token"}) {
            if (login_.tokens.contains(std::string(needed))) continue;
            diagnostics_.error(tokens->at, "`tokens` does not name `" + std::string(needed) + "`", "RFC 6749 5.1");
        }
    }

    void read_files() {
        for (const TomlValue* table : reader_.tables("file")) {
            TableReader reader(*table, table->at, "[[login.file]]", diagnostics_);
            LoginFile file;
            if (const auto path = reader.text("path", Need::Required, ".tool/auth.json")) {
                file.path = path->value;
                if (!is_inside_a_home(file.path)) {
                    diagnostics_.error(path->at, "`path` does not lie below the home", "as in \".tool/auth.json\"");
                }
            }
            if (const auto text = reader.text("text", Need::Required, "{}")) file.text = text->value;
            reader.finish();
            login_.files.push_back(std::move(file));
        }
    }

    TableReader reader_;
    const EntryText& entry_;
    Diagnostics& diagnostics_;
    Login login_;
};

}  // namespace

void read_login(TableReader& top, EntryText& entry) {
    const TomlMember* member = top.table("login", {});
    if (member == nullptr) return;
    entry.login = LoginReader(*member, entry, top.diagnostics()).read();
}

}  // namespace sanctum::profiles
