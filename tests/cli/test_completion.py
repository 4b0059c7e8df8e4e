"""Completion in the shells themselves: bash always, zsh and fish where they are installed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from frames import COMMAND, daily, environment, write

pytestmark = pytest.mark.slow

#: What is typed, and what the shell makes of it.
TYPED: dict[str, tuple[str, list[str]]] = {
    "command": ("weekly-cli ver", ["verify"]),
    "option": ("weekly-cli build --feat", ["--features"]),
    "families": ("weekly-cli build --features mom", ["momentum"]),
    "features in a list": ("weekly-cli build --features trend,w_vol_", [f"trend,w_vol_{n}" for n in (4, 12, 26, 52)]),
    "exclusions in a list": ("weekly-cli build --features all,-rel", ["all,-relative"]),
    "weeks": ("weekly-cli plan --week W-S", ["W-SAT", "W-SUN"]),
    "choices": ("weekly-cli build --strategy per", ["per-symbol"]),
    "price columns": ("weekly-cli build prices.parquet --price adj", ["adj_close"]),
    "roles": ("weekly-cli build prices.parquet --columns vol", ["volume="]),
    "symbols": ("weekly-cli build prices.parquet --symbols A", ["AAA", "ABB"]),
    "benchmarks": ("weekly-cli build prices.parquet --benchmark AAA,B", ["AAA,BBB"]),
    "price columns of no input": ("weekly-cli build --price adj", []),
    "price columns of an input that is none": ("weekly-cli build nowhere --price adj", []),
}

BASH = """
complete_words() {{
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _weekly_cli_completion weekly-cli
    printf '%s\\n' "${{COMPREPLY[@]}}"
}}
complete_words {words}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where prices are, and a home."""
    made = tmp_path_factory.mktemp("shell")
    table = daily(["AAA", "ABB", "BBB"], 20)
    write(table.append_column("adj_close", table.column("close")), made / "prices.parquet")
    (made / "home").mkdir()
    return made


def run_shell(folder: Path, *words: str) -> str:
    env = environment({"HOME": str(folder / "home"), "TERM": "dumb"})
    env["PATH"] = f"{Path(COMMAND).parent}:{env.get('PATH', '/usr/bin:/bin')}"
    done = subprocess.run(
        words, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def completion(folder: Path) -> str:
    """What bash is told; it is the one that asks, as the command is not its last."""
    return run_shell(folder, "bash", "--norc", "-c", "weekly-cli --show-completion; exit $?")


@pytest.mark.parametrize("name", TYPED)
def test_bash_completes_commands_flags_and_values(folder: Path, completion: str, name: str) -> None:
    typed, expected = TYPED[name]
    script = completion + BASH.format(words=shlex.join(typed.split()))
    assert run_shell(folder, "bash", "--norc", "-c", script).split() == expected


def test_bash_completes_once_it_is_installed(folder: Path) -> None:
    said = run_shell(folder, "bash", "--norc", "-c", "weekly-cli --install-completion; exit $?")
    assert "bash completion installed" in said
    script = f". ~/.bashrc\n{BASH.format(words='weekly-cli build --week W-TH')}"
    assert run_shell(folder, "bash", "--norc", "-c", script).split() == ["W-THU"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
@pytest.mark.parametrize("name", TYPED)
def test_fish_completes_commands_flags_and_values(folder: Path, name: str) -> None:
    typed, expected = TYPED[name]
    said = run_shell(folder, "fish", "-c", f"weekly-cli --show-completion | source; complete -C {shlex.quote(typed)}")
    assert [line.split("\t")[0] for line in said.splitlines()] == expected


#: zsh completes in a terminal only: one of its own types, and what stands there then is told.
ZSH = """
zmodload zsh/zpty
zpty shell 'zsh -f -i'
zpty -w shell 'autoload -Uz compinit; compinit -u -d ~/dump; PS1=; eval "$(weekly-cli --show-completion)"; echo REA""DY'
while zpty -r shell line; do [[ $line == *READY* ]] && break; done
zpty -n -w shell "$1"$'\\t'
typeset -F SECONDS=0
while (( SECONDS < 20 )); do
    zpty -r -t shell part && seen+=$part
    [[ $seen == *$2* ]] && break
    sleep 0.05
done
print -r -- "$seen"
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed here")
@pytest.mark.parametrize("name", [name for name, (_, expected) in TYPED.items() if len(expected) == 1])
def test_zsh_completes_commands_flags_and_values(folder: Path, name: str) -> None:
    typed, (expected,) = TYPED[name]
    whole = shlex.join([*typed.split()[:-1], expected])
    said = run_shell(folder, "zsh", "-f", "-c", ZSH, "zsh", typed, whole)
    assert whole in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
