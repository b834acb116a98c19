// SPDX-License-Identifier: Apache-2.0
// `sanctum schema` and `sanctum version`.
#include "base/build_id.hpp"
#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "profiles/schema/operator_config.hpp"
#include "profiles/schema/resolve.hpp"

namespace sanctum::console {

Exit run_schema(Console& console, const std::string& format) {
    const std::string schema =
        format == "configuration" ? profiles::configuration_json_schema() : profiles::profile_json_schema();
    console.out << schema << (schema.ends_with('\n') ? "" : "\n");
    return Exit::Ok;
}

Exit run_version(Console& console, Format format) {
    if (format == Format::Words) {
        console.out << "sanctum " << version() << " (" << build_id() << ")\n";
        return Exit::Ok;
    }
    wire::JsonWriter json;
    json("schema", std::string("sanctum.version/1"));
    json("version", std::string(version()));
    json("build", std::string(build_id()));
    console.out << json.take() << "\n";
    return Exit::Ok;
}

}  // namespace sanctum::console
