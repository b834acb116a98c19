// SPDX-License-Identifier: Apache-2.0
// Where an account's credential comes from: the keys of each source, and the clients that accounts name. Internal.
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "profiles/schema/words.hpp"

#include <string>
#include <vector>

namespace sanctum::profiles {

/// Reads the source of every account and every `[tenant.NAME]` and `[provider.NAME]`; reports what does not fit.
class SourceReader {
public:
    /// `folder`: of the configuration file, where relative paths start.
    SourceReader(std::string folder, Diagnostics& diagnostics)
        : folder_(std::move(folder)), diagnostics_(diagnostics) {}

    /// Takes `source` and the keys that belong to it.
    void read_account(TableReader& reader, Account& account);
    /// Takes `[tenant]` and `[provider]`.
    void read_clients(TableReader& top);
    /// After both: every account's client is there and fits. The clients, in order of their names.
    [[nodiscard]] std::vector<IdentityClient> finish();

private:
    struct Reference {
        std::string account;
        bool is_tenant;
        Placed<std::string> client;
        std::string how;
        Place at;
    };

    void read_local(TableReader& reader, Account& account);
    void read_login(TableReader& reader, Account& account);
    void read_command(TableReader& reader, Account& account);
    void read_rotate(TableReader& reader, Account& account);
    void read_secret_file(TableReader& reader, Account& account);
    void read_variable(TableReader& reader, Account& account);
    void read_credential(TableReader& reader, Account& account);
    void read_google(TableReader& reader, Account& account);
    void read_google_client(TableReader& reader, Account& account);
    void read_boundary(TableReader& reader, Account& account);
    /// argv of the key; empty when it is absent or was reported.
    std::vector<std::string> read_program(TableReader& reader, std::string_view key, Need need,
                                          std::string_view example, const Account& account);
    void read_auth0(TableReader& reader, Account& account);
    void read_mission_token(TableReader& reader, Account& account);
    void read_oauth(TableReader& reader, Account& account);
    void read_details(TableReader& reader, Account& account);
    void read_detail(const TomlValue& table, Account& account);
    void read_github_app(TableReader& reader, Account& account);
    void read_github_user(TableReader& reader, Account& account);
    void read_aws_sts(TableReader& reader, Account& account);
    void read_openbao(TableReader& reader, Account& account);
    void read_bao_login(TableReader& reader, BaoAccount& bao);
    void read_bao_secret(TableReader& reader, BaoAccount& bao);
    void read_bao_parameters(TableReader& reader, BaoAccount& bao);
    void read_bao_policies(TableReader& reader, const Account& account, BaoAccount& bao);
    void read_kubernetes(TableReader& reader, Account& account);
    void read_item(TableReader& reader, Account& account, Need need, std::string_view what);
    void read_scopes(TableReader& reader, Account& account);
    void read_scope_names(TableReader& reader, Account& account);
    void read_on_exit_of_a_maker(TableReader& reader, Account& account);
    void read_on_exit(TableReader& reader, Account& account, bool can_revoke,
                      std::string remedy = "write on_exit = \"expire\"");
    void read_how(TableReader& reader, std::string_view key, const std::vector<std::string>& known, Account& account);
    void read_client(TableReader& reader, std::string_view key, Account& account);
    void read_text(TableReader& reader, std::string_view key, Need need, std::string_view example, std::string& to);
    void read_server(TableReader& reader, std::string_view key, std::string_view example, std::string& to);
    std::string read_word(TableReader& reader, std::string_view key, const std::vector<std::string>& known);
    void refuse_foreign_keys(TableReader& reader, const Account& account);

    void read_client_table(const TomlMember& member, bool is_tenant);
    void read_endpoints(TableReader& reader, IdentityClient& client);
    void read_binding(TableReader& reader, IdentityClient& client);
    void read_reaping(TableReader& reader, IdentityClient& client);
    void read_authentication(TableReader& reader, IdentityClient& client);
    void read_certificate(TableReader& reader, std::string& pem, std::string_view key_goes);
    void check_reference(const Reference& reference, const IdentityClient& client, const std::string& title);
    std::string read_named_secret(TableReader& reader, std::string_view key);
    std::string read_url(TableReader& reader, std::string_view key, Need need, std::string_view example);

    std::string folder_;
    Diagnostics& diagnostics_;
    std::vector<IdentityClient> clients_;
    std::vector<Reference> references_;
};

}  // namespace sanctum::profiles
