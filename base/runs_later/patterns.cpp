// SPDX-License-Identifier: Apache-2.0
// The list of files that run later. What is built or tested by name (Makefile, package.json) is not here: the user runs
// those knowingly.
#include "base/runs_later/runs_later.hpp"

namespace sanctum::runs_later {

const std::vector<Pattern>& patterns() {
    static const std::vector<Pattern> kPatterns{
        {".mcp.json", "agents start the programs it names"},
        {".claude/settings.json", "agent settings with hooks"},
        {".claude/settings.local.json", "agent settings with hooks"},
        {".claude/hooks/", "agent hooks"},
        {".claude/plugins/", "agent plugins"},
        {".claude/commands/", "agent commands with tool rights"},
        {".claude/agents/", "agents with tool rights"},
        {".claude/skills/", "agent skills with scripts"},
        {".codex/config.toml", "agent settings with programs"},
        {".codex/hooks.json", "agent hooks"},
        {".agents/plugins/", "agent plugins"},
        {".gemini/settings.json", "agent settings with programs"},
        {".gemini/extensions/", "agent extensions"},
        {".cursor/mcp.json", "agents start the programs it names"},
        {".cursor/hooks.json", "agent hooks"},
        {".windsurf/hooks.json", "agent hooks"},
        {".roo/mcp.json", "agents start the programs it names"},
        {".kiro/settings/", "agent settings with programs"},
        {".kiro/hooks/", "agent hooks"},
        {".opencode/", "agent plugins"},
        {"opencode.json", "agent settings with programs"},
        {".github/hooks/", "agent hooks"},
        {".github/copilot/", "agent settings"},
        {".vscode/tasks.json", "editor tasks"},
        {".vscode/launch.json", "editor tasks"},
        {".vscode/settings.json", "editor settings with programs"},
        {".vscode/mcp.json", "agents start the programs it names"},
        {".idea/workspace.xml", "editor run configurations"},
        {".idea/externalTools.xml", "editor tools"},
        {".idea/runConfigurations/", "editor run configurations"},
        {".run/", "editor run configurations"},
        {".fleet/run.json", "editor run configurations"},
        {".zed/tasks.json", "editor tasks"},
        {".zed/settings.json", "editor settings with programs"},
        {".exrc", "editor commands"},
        {".vimrc", "editor commands"},
        {".nvimrc", "editor commands"},
        {".nvim.lua", "editor commands"},
        {".dir-locals.el", "editor commands"},
        {".devcontainer/", "containers that the editor starts"},
        {".devcontainer.json", "containers that the editor starts"},
        {".envrc", "shell code on entering the folder"},
        {"mise.toml", "shell code on entering the folder"},
        {".mise.toml", "shell code on entering the folder"},
        {".husky/", "git hooks of a hook manager"},
        {".githooks/", "git hooks of a hook manager"},
        {".pre-commit-config.yaml", "git hooks of a hook manager"},
        {"lefthook.yml", "git hooks of a hook manager"},
        {"lefthook-local.yml", "git hooks of a hook manager"},
        {".bashrc", "shell start"},
        {".bash_profile", "shell start"},
        {".bash_login", "shell start"},
        {".profile", "shell start"},
        {".zshrc", "shell start"},
        {".zshenv", "shell start"},
        {".zprofile", "shell start"},
    };
    return kPatterns;
}

}  // namespace sanctum::runs_later
